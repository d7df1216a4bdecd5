"""Episode commands and the recorder's report, as streams: the pedal, the keyboard and programs all speak this."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, BlobSpec, StreamSpec


class EpisodeCommand(enum.IntEnum):
    """What can be asked of the recorder."""

    START_OR_KEEP = 1  # the pedal's short press: start when idle, keep when recording
    START = 2
    KEEP = 3
    DISCARD = 4
    LABEL_SUCCESS = 5  # of the running episode, or of the one kept last
    LABEL_FAILURE = 6
    TASK = 7  # sets the instruction of the episodes to come


def episode_stream(source: str) -> StreamSpec:
    """``SOURCE/episode``: commands from one source (``loop`` for the pedal, ``session`` for keyboard and API)."""
    return StreamSpec(
        f"{source}/episode", (ArraySpec("command", (), "<u1"), BlobSpec("text", 512, "text/plain")), 16.0, 4.0
    )


def episode_sample(source: str, command: EpisodeCommand, now: int, text: str = "") -> Sample:
    """One command as a sample."""
    return Sample(f"{source}/episode", now, now, {"command": np.array(command, np.uint8), "text": text.encode()[:512]})


RECORDER_STATE = StreamSpec(
    "recorder/state",
    (
        ArraySpec("recording", (), "<u1"),
        ArraySpec("episode", (), "<i8"),
        ArraySpec("kept", (), "<i8"),
        ArraySpec("discarded", (), "<i8"),
        ArraySpec("samples", (), "<i8"),
        ArraySpec("lost", (), "<i8"),
        ArraySpec("bytes", (), "<i8", "byte"),
        ArraySpec("seconds", (), "<f8", "s"),
    ),
    20.0,
)


PUT_AWAY_NS = 10_000_000_000  # no recorder takes longer


def put_away(newest: Sample | None, asked: int, now: int) -> bool:
    """Whether the recorder, whose newest state that is, has put away what it was asked to keep at ``asked``."""
    if newest is None or now - asked > PUT_AWAY_NS:
        return True
    return newest.t_arrival > asked + 200_000_000 and not int(newest.array("recording"))


@dataclass(frozen=True, slots=True)
class RecorderState:
    """What the recorder is doing; :data:`RECORDER_STATE` is its stream."""

    recording: bool = False
    episode: int = 0
    kept: int = 0
    discarded: int = 0
    samples: int = 0
    lost: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def to_sample(self, now: int) -> Sample:
        """As a sample of ``recorder/state``."""
        data = {a.name: np.array(getattr(self, a.name), a.dtype) for a in RECORDER_STATE.arrays}
        return Sample(RECORDER_STATE.name, now, now, data)

    @staticmethod
    def from_sample(sample: Sample) -> RecorderState:
        """The inverse of :meth:`to_sample`."""
        values = {a.name: sample.array(a.name).item() for a in RECORDER_STATE.arrays}
        return RecorderState(**{**values, "recording": bool(values["recording"])})
