"""Commands: the only thing that moves a robot, and how they travel as stream samples.

An agent issues *intended* commands, the guard's shaping half turns them into *sent* ones, the actuator's worker reports
what was *applied*.  All three are streams, so all three are recorded.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec

DEFAULT_TTL_NS = 100_000_000  # DESIGN: a command that is not renewed within 100 ms is void


class Mode(enum.IntEnum):
    """What a command's data mean.  Closed: an actuator refuses what it does not know."""

    JOINT_POSITION = 1  # rad (m for prismatic)
    JOINT_VELOCITY = 2  # rad/s
    JOINT_TORQUE = 3  # N·m
    EE_POSE = 4  # xyz m, quaternion wxyz
    BASE_VELOCITY_HEIGHT = 5  # vx, vy m/s, yaw rate rad/s, height m
    HOLD = 6  # keep the measured position
    DAMP = 7  # no position, only damping


class Source(enum.IntEnum):
    """Who issued a command."""

    OPERATOR = 1
    POLICY = 2
    REPLAY = 3
    GUARD = 4  # hold, damp and homing, which nobody steers


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """One thing that takes commands: an actuator's group of joints, or a base.

    :param name: ``device/group``, e.g. ``robot/upper``.  The command streams are ``NAME/intended``, ``/sent``, ``/applied``.
    :param names: element names in order; ``low``, ``high``, ``velocity`` and ``acceleration`` limits go with them
        (SI, radians).
    :param state: stream and field where the measured counterpart is found; None for a base without one.
    :param home: where the robot waits for its operator.
    :param gripping: those of ``names`` that close on things (a hand's, a gripper's): an object may keep them from where
        they are sent, so the guard is lenient with them, and with no others, when operator and robot are matched.
    """

    name: str
    mode: Mode
    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    home: tuple[float, ...]
    unit: str = "rad"
    state: tuple[str, str] | None = None
    gripping: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("low", "high", "velocity", "acceleration", "home"):
            if len(getattr(self, key)) != len(self.names):
                raise ValueError(
                    f"{self.name}: {key} has {len(getattr(self, key))} values for {len(self.names)} elements"
                )
        if unknown := set(self.gripping) - set(self.names):
            raise ValueError(f"{self.name}: gripping names {', '.join(sorted(unknown))}, which are not elements of it")

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.names)


class Command(NamedTuple):
    """One command for one target.

    :param data: ``(target.size,)`` float64, in the target's order and unit; ignored for HOLD and DAMP.
    :param t_inputs: arrival of the oldest and of the newest operator sample used, session clock, ns.
    :param ttl_ns: the command is void this long after ``t_issued``.
    """

    seq: int
    target: str
    mode: Mode
    data: NDArray[np.float64]
    source: Source
    t_issued: int
    t_inputs: tuple[int, int]
    ttl_ns: int = DEFAULT_TTL_NS


def command_stream(target: TargetSpec, kind: str, rate_hz: float) -> StreamSpec:
    """The stream on which a target's commands travel; ``kind`` is ``intended`` or ``sent``."""
    fields = (
        ArraySpec("data", (target.size,), "<f8", target.unit, target.names, low=target.low, high=target.high),
        ArraySpec("mode", (), "<u1"),
        ArraySpec("source", (), "<u1"),
        ArraySpec("command_seq", (), "<i8"),
        ArraySpec("t_inputs", (2,), "<i8", "ns", ("oldest", "newest")),
        ArraySpec("ttl", (), "<i8", "ns"),
    )
    return StreamSpec(f"{target.name}/{kind}", fields, rate_hz)


def is_command_stream(spec: StreamSpec) -> bool:
    """Whether commands travel on it (:func:`command_stream`): others may have a ``mode`` too, of another meaning."""
    return {"data", "mode", "source", "command_seq"} <= {a.name for a in spec.arrays}


def applied_stream(target: TargetSpec, rate_hz: float) -> StreamSpec:
    """What the actuator's worker put on the bus: which command, what it became, and why it differs if it does.

    ``t_sample`` of such a sample is the instant the bus write returned.  ``action``: a :class:`Mode`, what was done.
    """
    fields = (
        ArraySpec("data", (target.size,), "<f8", target.unit, target.names, low=target.low, high=target.high),
        ArraySpec("action", (), "<u1"),
        ArraySpec("command_seq", (), "<i8"),
        ArraySpec("clamped", (), "<u1"),
    )
    return StreamSpec(f"{target.name}/applied", fields, rate_hz)


def _constant(value: int, dtype: str) -> NDArray[np.generic]:
    array = np.array(value, dtype)
    array.flags.writeable = False
    return array


_BYTES = [_constant(i, "<u1") for i in range(256)]  # modes and sources, made once
_TTL = _constant(DEFAULT_TTL_NS, "<i8")


def to_sample(command: Command, stream: str) -> Sample:
    """A command as a sample of its stream."""
    data = {
        "data": command.data,
        "mode": _BYTES[command.mode],
        "source": _BYTES[command.source],
        "command_seq": np.array(command.seq, np.int64),
        "t_inputs": np.array(command.t_inputs, np.int64),
        "ttl": _TTL if command.ttl_ns == DEFAULT_TTL_NS else np.array(command.ttl_ns, np.int64),
    }
    return Sample(stream, command.t_issued, command.t_issued, data)


def from_sample(sample: Sample) -> Command:
    """The inverse of :func:`to_sample`; the target is the stream's name without its last part."""
    oldest, newest = sample.array("t_inputs").tolist()
    return Command(
        sample.array("command_seq").item(),
        sample.stream.rsplit("/", 1)[0],
        Mode(sample.array("mode").item()),
        sample.array("data"),
        Source(sample.array("source").item()),
        sample.t_arrival,
        (oldest, newest),
        sample.array("ttl").item(),
    )
