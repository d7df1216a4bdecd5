"""What a policy takes and gives, in names and rates: the part of a checkpoint that must fit the robot it is to drive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from telerig.hardware.errors import DataError

CHUNK_STREAM = "policy/chunk"


@dataclass(frozen=True, slots=True)
class CameraInput:
    """One camera: its name in the dataset (``observations/rgb_images/NAME``), and its live stream and blob field."""

    name: str
    stream: str
    field: str = "jpeg"


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Inputs, outputs and timing of a policy.

    :param target: the command target it drives, e.g. ``robot/upper``; ``joints`` are its elements in order (rad).
    :param state_stream, state_field: where the measured positions of the same joints are found.
    :param image_size: (height, width) in pixels to which every camera is reduced.
    :param rate_hz: rate of the dataset's rows; ``stride`` rows lie between two steps of a chunk.
    :param horizon: steps in a chunk; ``execute`` of them are meant to be used before the next chunk arrives.
    :param image_age_ns: how old the images of a training row typically were.
    :param latency_ns: typical time from newest input to a finished chunk, measured after training; used in virtual time.
    """

    embodiment: str
    embodiment_version: int
    target: str
    joints: tuple[str, ...]
    state_stream: str
    state_field: str
    cameras: tuple[CameraInput, ...]
    image_size: tuple[int, int]
    rate_hz: float
    horizon: int
    stride: int = 1
    execute: int = 8
    image_age_ns: int = 0
    latency_ns: int = 0

    @property
    def dt_ns(self) -> int:
        """Time between two steps of a chunk, ns."""
        return round(self.stride * 1e9 / self.rate_hz)

    @property
    def size(self) -> int:
        """Number of joints."""
        return len(self.joints)

    @property
    def streams(self) -> tuple[str, ...]:
        """Live streams it reads: state first, then cameras."""
        return (self.state_stream, *(c.stream for c in self.cameras))

    def to_json(self) -> dict[str, Any]:
        """A plain description."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> PolicySpec:
        """The inverse of :meth:`to_json`.  :raises DataError: keys are missing or unknown."""
        known = {f.name for f in fields(PolicySpec)}
        required = known - {"stride", "execute", "image_age_ns", "latency_ns"}
        if wrong := sorted((set(data) - known) | (required - set(data))):
            raise DataError(f"checkpoint spec: missing or unknown {', '.join(wrong)}")
        cameras = tuple(CameraInput(**c) for c in data["cameras"])
        rest = {k: v for k, v in data.items() if k not in ("cameras", "joints", "image_size")}
        height, width = data["image_size"]
        return PolicySpec(**rest, joints=tuple(data["joints"]), cameras=cameras, image_size=(height, width))


def require_fit(spec: PolicySpec, embodiment: str, version: int, joints: tuple[str, ...], streams: set[str]) -> None:
    """Check that a checkpoint fits a rig: same robot, same joints in the same order, all its streams there.

    :param joints: element names of the rig's target ``spec.target``.
    :param streams: every stream the rig has.
    :raises DataError: they differ; one line that names the first difference.
    """
    if spec.embodiment != embodiment:
        raise DataError(f"checkpoint is for embodiment '{spec.embodiment}', this rig has '{embodiment}'")
    if spec.embodiment_version != version:
        raise DataError(
            f"checkpoint is for version {spec.embodiment_version} of '{embodiment}', this rig has version {version}"
        )
    if spec.joints != joints:
        raise DataError(
            f"checkpoint and target '{spec.target}' differ in their joints: {_difference(spec.joints, joints)}"
        )
    if missing := [s for s in spec.streams if s not in streams]:
        raise DataError(
            f"checkpoint reads {', '.join(missing)}, which this rig has not (it has {', '.join(sorted(streams))})"
        )


def _difference(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """The first way in which two lists of names differ, in words."""
    for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if a != b:
            return f"element {i} is '{a}' in the checkpoint, '{b}' in the rig"
    return f"{len(ours)} in the checkpoint, {len(theirs)} in the rig"
