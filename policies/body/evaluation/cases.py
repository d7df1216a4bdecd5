"""What a body policy is asked to do, and what is good enough: the rows of the table that ``telerig eval-body`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from telerig.hardware.errors import ConfigError
from telerig.policies.body.evaluation.full_model import World

STAND_M = 0.74
ASKED_S, MEASURED_S, PUSH_S = 1.0, 4.0, 5.0  # command on; means from here; a push

Tracked = Literal["height", "share", "speed"]


@dataclass(frozen=True, slots=True)
class Case:
    """A row.

    :param command: vx, vy m/s, yaw rate rad/s, height m.
    :param up: how many of the robots must stay up, a share.
    :param tracked: what the bar is about: the height's error m, the commanded velocities' as a share, or the speed's m/s.
    :param within: the largest mean error that meets the bar.
    :param push: a kick of the whole robot in a random direction, m/s.
    :param delay_s: how much later than usual targets arrive.
    :param random: commands and arm targets are drawn anew all the time.
    :param grid: commands of the dead-band search along the one axis that ``command`` is not zero in.
    """

    name: str
    command: tuple[float, float, float, float] = (0.0, 0.0, 0.0, STAND_M)
    up: float = 1.0
    tracked: Tracked | None = None
    within: float | None = None
    push: float = 0.0
    delay_s: float = 0.0
    seconds: float = 10.0
    world: World = field(default_factory=World)
    random: bool = False
    grid: tuple[float, ...] = ()

    @property
    def measure(self) -> Tracked:
        """What ``tracking_error`` is about; without a bar, velocities where it moves, else the height."""
        return self.tracked or ("share" if any(self.command[:3]) else "height")

    @property
    def wants(self) -> tuple[str, ...]:
        """Commands that a policy must take for the case to make sense."""
        names = ("vx", "vy", "yaw_rate")
        found = tuple(n for n, value in zip(names, self.command[:3], strict=True) if value)
        return (*found, "height") if self.command[3] != STAND_M else found


def _height(name: str, height: float) -> Case:
    return Case(name, (0.0, 0.0, 0.0, height), tracked="height", within=0.015)


def _go(name: str, vx: float, vy: float, yaw: float, within: float) -> Case:
    return Case(name, (vx, vy, yaw, STAND_M), tracked="share", within=within)


_WALK = (0.5, 0.0, 0.0, STAND_M)

CASES = (
    _height("stand", STAND_M),
    _height("height_0.60", 0.60),
    _height("height_0.45", 0.45),
    _height("height_0.34", 0.34),
    _go("forward_0.5", 0.5, 0.0, 0.0, 0.05),
    _go("forward_0.8", 0.8, 0.0, 0.0, 0.10),
    _go("backward_0.3", -0.3, 0.0, 0.0, 0.05),
    _go("sideways_0.3", 0.0, 0.3, 0.0, 0.10),
    _go("yaw_0.5", 0.0, 0.0, 0.5, 0.10),
    _go("yaw_0.8", 0.0, 0.0, 0.8, 0.10),
    _go("forward_0.4_yaw_0.4", 0.4, 0.0, 0.4, 0.10),
    Case("forward_0.4_height_0.60", (0.4, 0.0, 0.0, 0.60), 1.0, "speed", 0.05),
    Case("forward_0.4_height_0.50", (0.4, 0.0, 0.0, 0.50), 0.9, "speed", 0.05),
    Case("push_0.5_standing", push=0.5),
    Case("push_0.8_standing", push=0.8, up=0.9),
    Case("push_0.5_forward_0.5", _WALK, push=0.5),
    Case("push_0.8_forward_0.5", _WALK, push=0.8, up=0.9),
    Case("payload_1kg_forward_0.5", _WALK, world=World(hand_mass=1.0)),
    Case("friction_0.4_forward_0.5", _WALK, world=World(friction=0.4)),
    Case("delay_20ms_forward_0.5", _WALK, delay_s=0.02),
    Case("waist_free_forward_0.5", _WALK, up=0.9, world=World(waist_free=True)),
    Case("random_60s", up=0.95, seconds=60.0, random=True),
    Case("dead_band_vx", (0.05, 0.0, 0.0, STAND_M), within=0.05, grid=(0.03, 0.05, 0.1, 0.2, 0.3)),
    Case("dead_band_yaw", (0.0, 0.0, 0.1, STAND_M), within=0.1, grid=(0.05, 0.1, 0.2, 0.3, 0.4)),
)


def choose(names: Sequence[str]) -> tuple[Case, ...]:
    """Cases by name, all of them if none is named.  :raises ConfigError: there is no such case."""
    known = {c.name: c for c in CASES}
    if unknown := [n for n in names if n not in known]:
        raise ConfigError(f"no case {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[n] for n in names) if names else CASES
