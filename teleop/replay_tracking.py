"""How well a robot followed a replay: what it was asked to do and where it was before, against where it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import TargetSpec
from telerig.hardware.samples import Sample
from telerig.teleop.replay import STATE, Timeline
from telerig.teleop.replay_source import Trajectory
from telerig.teleop.states import State
from telerig.teleop.stream import Tap

TAIL_NS = 300_000_000  # the robot is still on its way when the last command is issued


class Tapped(Protocol):
    """A stream that can be read whole."""

    def tap(self, start: int | None = None) -> Tap: ...


class Tracker:
    """Listens while a replay runs.  :meth:`step` must be called at least once a second (the streams' rings are short).

    :param chosen: recorded target → the rig's, see :func:`telerig.teleop.replay.fit`.
    """

    def __init__(
        self, trajectory: Trajectory, chosen: Mapping[str, str], targets: Mapping[str, TargetSpec], readers: Mapping[str, Tapped],
        speed: float = 1.0,
    ) -> None:  # fmt: skip
        self.timeline = Timeline(trajectory.length, speed)
        self._trajectory, self._speed = trajectory, speed
        self._states = readers[STATE].tap()
        self._pairs = {n: targets[chosen[n]] for n in trajectory.joints if n in chosen and targets[chosen[n]].state}
        self._taps = {n: readers[t.state[0]].tap() for n, t in self._pairs.items() if t.state is not None}
        self._measured: dict[str, list[Sample]] = {n: [] for n in self._pairs}
        self._now = 0
        self._through: int | None = None

    def step(self) -> None:
        """Take in everything new."""
        for sample in self._states.read()[0]:
            self._now = sample.t_sample
            self.timeline.step(State(int(sample.array("state"))), int(sample.array("since")))
            if self._through is None and self.progress >= self._trajectory.length:
                self._through = self._now
        for name, tap in self._taps.items():
            self._measured[name] += tap.read()[0]

    @property
    def progress(self) -> int:
        """ns of the recording that have been replayed."""
        return self.timeline.progress(self._now)

    @property
    def finished(self) -> bool:
        """Whether it is through, and the robot had a moment to arrive."""
        return self._through is not None and self._now >= self._through + TAIL_NS

    def report(self) -> dict[str, Any]:
        """What ``--json`` prints: rms and largest error of every joint, rad.

        ``tracking``: measured minus commanded at the same instant of the recording; ``repeat``: measured now minus
        measured then.
        """
        joints: dict[str, dict[str, float]] = {}
        for name, target in self._pairs.items():
            joints |= self._errors(name, target)
        everything = list(joints.values())

        def over(key: str, how: Any) -> float | None:
            return round(float(how([j[key] for j in everything])), 5) if everything else None

        return {
            "episode": str(self._trajectory.path),
            "completed": self._through is not None,
            "replayed_s": round(self.progress / 1e9, 3),
            "length_s": round(self._trajectory.length / 1e9, 3),
            "speed": self._speed,
            "stops": self.timeline.stops,
            "tracking_rms_rad": over("tracking_rms", _rms),
            "tracking_max_rad": over("tracking_max", max),
            "repeat_rms_rad": over("repeat_rms", _rms),
            "repeat_max_rad": over("repeat_max", max),
            "joints": joints,
        }

    def _errors(self, name: str, target: TargetSpec) -> dict[str, dict[str, float]]:
        assert target.state is not None
        samples, field = self._measured[name], target.state[1]
        t = np.array([s.t_sample for s in samples], np.int64)
        progress = self.timeline.along(t)
        rows = np.flatnonzero(np.isfinite(progress))
        if not len(rows):
            return {}
        seen = np.array([samples[i].array(field) for i in rows])
        tracking = seen - self._trajectory.joints[name].along(progress[rows])
        repeat = seen - self._trajectory.measured[name].along(progress[rows])
        return {
            joint: {
                "tracking_rms": _round(_rms(tracking[:, i])), "tracking_max": _round(np.nanmax(np.abs(tracking[:, i]))),
                "repeat_rms": _round(_rms(repeat[:, i])), "repeat_max": _round(np.nanmax(np.abs(repeat[:, i]))),
            }
            for i, joint in enumerate(target.names)
        }  # fmt: skip


def _rms(values: Any) -> float:
    square: NDArray[np.float64] = np.square(np.asarray(values, float))
    return float(np.sqrt(np.nanmean(square)))


def _round(value: float) -> float:
    return round(float(value), 5)
