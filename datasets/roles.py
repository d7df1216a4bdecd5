"""Which recorded stream is what: the robot's state, what was intended and sent, the base, the cameras.

Found from the streams' declarations alone (names, fields, axes), never from a robot's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from telerig.datasets.rawlog_schema import DEPTH_MEDIA_TYPE, EVENT, IMAGE, kind_of
from telerig.datasets.recording import is_recordable
from telerig.hardware.errors import ConfigError, DataError
from telerig.hardware.specs import ArraySpec, StreamSpec

# telerig's own processes (names that no device may have): what they publish is in the log, and never in a dataset
PROCESSES = ("session", "loop", "recorder", "emulation", "operator", "policy")
BASE_AXES = ("vx", "vy", "yaw_rate", "height")


@dataclass(frozen=True, slots=True)
class Roles:
    """The streams of one robot in a log.

    :param target: the command target (``robot/upper``); ``joints`` its elements, which everything else is ordered by.
    :param state: the stream that measures them; ``columns``: where each stands in its ``position``.
    :param base: the base's target, or None.
    :param cameras, depths: camera name → stream name.
    :param numeric: every numeric stream worth keeping at its own rate.
    """

    target: str
    joints: tuple[str, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None
    unit: str
    state: str
    columns: tuple[int, ...]
    base: str | None
    cameras: dict[str, str]
    depths: dict[str, str]
    numeric: tuple[str, ...]

    @property
    def sent(self) -> str:
        """The stream of sent commands."""
        return f"{self.target}/sent"

    @property
    def intended(self) -> str:
        """The stream of intended commands."""
        return f"{self.target}/intended"


def find_roles(specs: Mapping[str, StreamSpec], target: str | None = None) -> Roles:
    """Sort a log's streams.

    :param target: which command target, where there are several of joints.
    :raises DataError: no commands, or nothing measures what they move.
    :raises ConfigError: several targets to choose from, or none of the name given.
    """
    kept = {n: s for n, s in specs.items() if is_recordable(s) and n.split("/", 1)[0] not in PROCESSES}
    targets = {n.removesuffix("/sent"): s.array("data") for n, s in kept.items() if n.endswith("/sent")}
    bases = [n for n, data in targets.items() if data.axes == BASE_AXES]
    chosen = _choose({n: d for n, d in targets.items() if n not in bases}, target)
    data = targets[chosen]
    device = chosen.rsplit("/", 1)[0]
    state, columns = _measured(kept, device, data.axes)
    same_device = [n for n in bases if n.rsplit("/", 1)[0] == device]
    cameras, depths = _cameras(kept)
    numeric = tuple(sorted(n for n, s in kept.items() if s.arrays and kind_of(s) not in (EVENT, IMAGE)))
    return Roles(
        chosen, data.axes, _bounds(data.low), _bounds(data.high), data.unit, state, columns,
        same_device[0] if same_device else None, cameras, depths, numeric,
    )  # fmt: skip


def _choose(targets: Mapping[str, ArraySpec], wanted: str | None) -> str:
    if not targets:
        raise DataError("no stream of sent joint commands (TARGET/sent) was recorded: nothing to learn from")
    names = ", ".join(sorted(targets))
    if wanted is not None:
        if wanted not in targets:
            raise ConfigError(f"no target '{wanted}' was recorded; there are: {names}")
        return wanted
    if len(targets) > 1:
        raise ConfigError(f"several targets were recorded, choose one with --target: {names}")
    return next(iter(targets))


def _measured(specs: Mapping[str, StreamSpec], device: str, joints: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """The stream whose ``position`` holds all the joints, the target's own device first."""
    ordered = sorted(specs.values(), key=lambda s: (s.name != f"{device}/state", s.name))
    for spec in ordered:
        position = next((a for a in spec.arrays if a.name == "position"), None)
        if position is not None and set(joints) <= set(position.axes):
            return spec.name, tuple(position.axes.index(j) for j in joints)
    raise DataError(f"no recorded stream has a field 'position' with the joints {', '.join(joints)}")


def _bounds(value: float | tuple[float, ...] | None) -> tuple[float, ...] | None:
    return value if value is None or isinstance(value, tuple) else (value,)


def _cameras(specs: Mapping[str, StreamSpec]) -> tuple[dict[str, str], dict[str, str]]:
    """Camera streams by camera name: the device's, or ``device_what`` where a device has several of a kind."""
    out: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for kind, is_kind in enumerate((_is_color, _is_depth)):
        names = sorted(n for n, s in specs.items() if is_kind(s))
        devices = [n.split("/", 1)[0] for n in names]
        for name, device in zip(names, devices, strict=True):
            out[kind][device if devices.count(device) == 1 else name.replace("/", "_")] = name
    return out


def _is_color(spec: StreamSpec) -> bool:
    return kind_of(spec) == IMAGE and spec.blobs[0].media_type == "image/jpeg"


def _is_depth(spec: StreamSpec) -> bool:
    return kind_of(spec) == IMAGE and spec.blobs[0].media_type == DEPTH_MEDIA_TYPE
