"""A robot that stands on its own feet: which joints its body policy moves, and what travels between it and its worker.

The *legs* are the joints below the arms that are not rigid (legs, waist yaw).  They take no commands from an agent: an
agent commands the base (velocities and height), and a body policy in the actuator's own process makes leg targets of it
(docs/decisions/0011).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.specs import ArraySpec, StreamSpec

Array = NDArray[np.float64]
BODY_RATE_HZ = 200.0
BALANCE_RATE_HZ = 50.0
KP_MAX, KD_MAX = 1000.0, 100.0  # N m/rad, N m s/rad: of drives whose embodiment says nothing


@dataclass(frozen=True, slots=True)
class Legs:
    """The joints that a body policy moves, in order; ``(n,)`` each, rad, N m.

    :param rigid: joints of the same groups that the robot keeps at these angles by itself (a locked waist).
    :param lowest: lowest pelvis height of the base, m;  ``height``: where it stands.
    :param kp_max, kd_max: most that their drives take, N m/rad, N m s/rad.
    """

    joints: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    home: tuple[float, ...]
    effort: tuple[float, ...]
    rigid: Mapping[str, float]
    lowest: float
    height: float
    kp_max: float = KP_MAX
    kd_max: float = KD_MAX


def legs_of(robot: Embodiment) -> Legs:
    """:raises ConfigError: the embodiment's ``[base]`` names no ``body`` groups: nobody knows its legs."""
    base = robot.base
    if base is None or not base.get("body"):
        raise ConfigError(f"embodiment {robot.name} cannot stand on its feet: its [base] has no 'body' groups")
    groups = [robot.group(name) for name in base["body"]]
    homes = {j: h for g in groups for j, h in zip(g.joints, g.home, strict=True)}
    stiff = tuple(base.get("rigid", ()))
    if strange := [j for j in stiff if j not in homes]:
        raise ConfigError(f"embodiment {robot.name}: rigid joint {strange[0]} is in none of {', '.join(base['body'])}")
    keep = [(g, k) for g in groups for k, j in enumerate(g.joints) if j not in stiff]

    def column(key: str) -> tuple[float, ...]:
        return tuple(float(getattr(g, key)[k]) for g, k in keep)

    at = list(base["names"]).index("height")
    return Legs(
        tuple(g.joints[k] for g, k in keep), column("low"), column("high"), column("home"), column("effort"),
        {j: float(homes[j]) for j in stiff}, float(base["low"][at]), float(base["home"][at]), *gain_limits(robot),
    )  # fmt: skip


def gain_limits(robot: Embodiment) -> tuple[float, float]:
    """Most that the drives of a robot's joints take: kp N m/rad, kd N m s/rad; its ``[base]`` says it as ``gains``.

    :raises ConfigError: not two positive numbers.
    """
    said = (robot.base or {}).get("gains", (KP_MAX, KD_MAX))
    if len(said) != 2 or not all(0 < value < math.inf for value in said):
        raise ConfigError(f"embodiment {robot.name}: [base] gains: [kp, kd], both positive, expected, not {list(said)}")
    return float(said[0]), float(said[1])


class LegMode(enum.IntEnum):
    """What the drives of the legs are doing."""

    OFF = 0
    DAMP = 1
    FOLLOW = 2  # position targets, with the gains that came with them


class LegCommand(NamedTuple):
    """One target for all legs: ``position`` rad, ``kp`` N m/rad, ``kd`` N m s/rad, each ``(n,)``.

    :param balancing: a policy keeps the robot up: whoever holds its rope may let it down.
    """

    position: Array
    kp: Array
    kd: Array
    balancing: bool


class LeggedActuator(Protocol):
    """What an actuator that stands on its own feet has beside :class:`~telerig.hardware.protocols.Actuator`.

    Its ``hold`` and ``damp`` are about the arms only, ``close`` lets go of everything; it streams :func:`body_stream`,
    and lists :func:`balance_stream`, which its worker writes.
    """

    @property
    def legs(self) -> Legs: ...
    def send_legs(self, command: LegCommand) -> None: ...
    def damp_legs(self) -> None: ...


def body_stream(device: str, legs: Legs, rate_hz: float = BODY_RATE_HZ) -> StreamSpec:
    """``DEVICE/body``: measured legs and the pelvis' attitude (quaternion wxyz) and rate (in its own axes)."""
    n, names = len(legs.joints), legs.joints
    fields = (
        ArraySpec("position", (n,), "<f8", "rad", names, low=legs.low, high=legs.high),
        ArraySpec("velocity", (n,), "<f8", "rad/s", names),
        ArraySpec("effort", (n,), "<f8", "N*m", names),
        ArraySpec("attitude", (4,), "<f8", "1", ("qw", "qx", "qy", "qz"), "world"),
        ArraySpec("angular_velocity", (3,), "<f8", "rad/s", ("x", "y", "z"), "pelvis"),
        ArraySpec("mode", (), "<u1"),  # LegMode
    )
    return StreamSpec(f"{device}/body", fields, rate_hz)


class Balance(enum.IntEnum):
    """What the worker's body supervisor is doing; see ``teleop/body.py``."""

    LIMP = 0
    RISING = 1
    SETTLING = 2
    BALANCING = 3
    LOWERING = 4
    FALLEN = 5


def balance_stream(device: str, legs: Legs) -> StreamSpec:
    """``DEVICE/balance``: what the body supervisor does and asks for.

    ``wish``: what the policy is asked, vx, vy m/s, yaw rate rad/s, height m; ``gain``: share of the stiffness in use;
    ``target``: what the legs were last sent, NaN when nothing; ``urgent``: the wish was cut short (stale command).
    """
    n, names = len(legs.joints), legs.joints
    fields = (
        ArraySpec("state", (), "<u1"),  # Balance
        ArraySpec("tilt", (), "<f8", "rad"),
        ArraySpec("gain", (), "<f8", "1", low=0.0, high=1.0),
        ArraySpec("wish", (4,), "<f8", "m/s, m/s, rad/s, m", ("vx", "vy", "yaw_rate", "height")),
        ArraySpec("urgent", (), "<u1"),
        ArraySpec("target", (n,), "<f8", "rad", names, low=legs.low, high=legs.high),
    )
    return StreamSpec(f"{device}/balance", fields, BALANCE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class LegMeasure:
    """What a body policy is given.

    :param position, velocity: of the legs ``(n,)``, rad, rad/s;  ``upper_position``, ``upper_velocity``, ``upper_sent``:
        of the arms ``(m,)``, measured and last sent.
    :param attitude: of the pelvis, quaternion wxyz;  ``angular_velocity``: in its own axes, rad/s.
    """

    position: Array
    velocity: Array
    upper_position: Array
    upper_velocity: Array
    upper_sent: Array
    attitude: Array
    angular_velocity: Array
