"""A recorded episode as an agent: the same commands again, at the same instants, through the same guard.

While the session is not ENGAGED the replay's time stands still and its one wish is the pose at that time, so matching
brings the robot to the first pose, slowly, and after a hold back to where it was.  Commands follow from absolute time,
so lateness never adds up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import Command, Mode, Source, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError, DataError
from telerig.hardware.protocols import Observation
from telerig.teleop.plan import DevicePlan, plan_devices
from telerig.teleop.replay_source import Track, Trajectory, load_trajectory
from telerig.teleop.rig import Rig
from telerig.teleop.states import State

STATE = "session/state"
LEAD_IN_NS = 300_000_000  # after engaging, for the last of the 0.15 rad that matching leaves


class Timeline:
    """How far a replay is, as a function of time: it runs while ENGAGED and stands otherwise.

    :param length: ns, of the recording.  :param speed: recorded seconds a second.
    """

    def __init__(self, length: int, speed: float = 1.0) -> None:
        self.length, self.speed = length, speed
        self._runs: list[tuple[int, int]] = []  # (instant it began to move, progress then)
        self._ends: list[int] = []
        self._since: int | None = None  # of the ENGAGED state it is in

    def step(self, state: State, since: int) -> None:
        """Take in the session's state and the instant it was entered."""
        if state is not State.ENGAGED:
            if self._since is not None:
                self._ends.append(since)
                self._since = None
            return
        if self._since == since:
            return
        if self._since is not None:  # left and entered again, unseen
            self._ends.append(since)
        done = self.progress(self._ends[-1]) if self._ends else 0
        self._runs.append((since + LEAD_IN_NS, done))
        self._since = since

    def progress(self, t: int) -> int:
        """ns of the recording at instant ``t``, which must not lie before the newest run."""
        if not self._runs:
            return 0
        begin, done = self._runs[-1]
        end = min(t, self._ends[-1]) if len(self._ends) == len(self._runs) else t
        return min(self.length, done + max(0, int((end - begin) * self.speed)))

    @property
    def running(self) -> bool:
        """Whether the session is engaged."""
        return self._since is not None

    @property
    def stops(self) -> int:
        """How often it was interrupted so far."""
        return sum(self.progress_before(i) < self.length for i in range(len(self._ends)))

    def progress_before(self, run: int) -> int:
        """ns of the recording at the end of one run."""
        begin, done = self._runs[run]
        return min(self.length, done + max(0, int((self._ends[run] - begin) * self.speed)))

    def along(self, t: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T,) progress in ns at many instants; NaN where it stood, led in, or was through."""
        out = np.full(len(t), np.nan)
        ends = [*self._ends, np.iinfo(np.int64).max][: len(self._runs)]
        for (begin, done), end in zip(self._runs, ends, strict=True):
            inside = (t >= begin) & (t < end)
            out[inside] = done + (t[inside] - begin) * self.speed
        out[out > self.length] = np.nan
        return out


class ReplayAgent:
    """See the module and :class:`telerig.hardware.protocols.Agent`.

    :param tracks: target → its commands; joints and bases.  :param length: ns.
    """

    requires: tuple[str, ...] = ()

    def __init__(self, tracks: Mapping[str, Track], length: int, speed: float = 1.0) -> None:
        self._tracks, self._length = dict(tracks), length
        self.drives = tuple(tracks)
        self._seq = 0
        self.timeline = Timeline(length, speed)

    def reset(self) -> None:
        """Nothing to forget: a stop is a pause, and the session's state alone says how far time went."""

    def act(self, observation: Observation, now: int) -> Sequence[Command]:
        """One command a target: the recording's at this instant of its time line."""
        shown = observation[STATE].latest()
        if shown is not None:
            self.timeline.step(State(int(shown.array("state"))), int(shown.array("since")))
        progress = self.timeline.progress(now)
        self._seq += 1
        return [self._command(name, track, progress, now) for name, track in self._tracks.items()]

    def _command(self, name: str, track: Track, progress: int, now: int) -> Command:
        data = track.at(progress)
        if track.steps and not (self.timeline.running and 0 < progress < self._length):
            data[:3] = 0.0  # a base whose time stands still stands still too
        mode = Mode.BASE_VELOCITY_HEIGHT if track.steps else Mode.JOINT_POSITION
        return Command(self._seq, name, mode, data, Source.REPLAY, now, (now, now))


def fit(trajectory: Trajectory, rig: Rig, targets: Sequence[TargetSpec]) -> dict[str, str]:
    """Which of the rig's targets repeats which of the recording's: recorded name → target's name.

    :raises DataError: another robot, or other joints; one line.
    """
    path = trajectory.path
    devices = {t.name.rsplit("/", 1)[0] for t in targets}
    robots = {str(rig.devices[d].config_values.get("embodiment", "")) for d in devices}
    if trajectory.embodiment and trajectory.embodiment not in robots:
        raise DataError(
            f"{path}: recorded with robot '{trajectory.embodiment}'; {rig.path} has '{', '.join(sorted(robots))}'"
        )
    by_names = {t.name: t.names for t in targets}
    chosen: dict[str, str] = {}
    for name, track in {**trajectory.joints, **trajectory.bases}.items():
        alike = [t for t, names in by_names.items() if names == track.names and t not in chosen.values()]
        if by_names.get(name) == track.names:
            chosen[name] = name
        elif len(alike) == 1:
            chosen[name] = alike[0]
        elif name in trajectory.joints:
            raise DataError(
                f"{path}: its target {name} ({len(track.names)} joints) fits none of {rig.path} ({', '.join(by_names)})"
            )
    return chosen


def replay_rig(rig: Rig, watched: bool = False) -> Rig:
    """The rig without what only an operator wears: robots, worlds, and real pedals (enable is a person's).

    Emulated pedals, which nobody can press, are left out, so that the keyboard's enable counts.

    :param watched: somebody looks on or records: cameras and other sensors that nobody wears stay too.
    """
    plans = plan_devices(rig)
    worn = _worn(rig)
    keep = {n for n, p in plans.items() if p.moves or p.serves or _pressed(p) or (watched and n not in worn)}
    keep |= {s.split("/", 1)[0] for n in keep for s in plans[n].inputs} & plans.keys()
    return replace(rig, devices={n: d for n, d in rig.devices.items() if n in keep})


def _worn(rig: Rig) -> set[str]:
    """The operator's devices: those that ``[cockpit]`` names."""
    tables = [t for value in rig.file.cockpit.values() for t in (value if isinstance(value, list) else [value])]
    return {str(t["device"]) for t in tables if isinstance(t, Mapping) and "device" in t}


def _pressed(plan: DevicePlan) -> bool:
    return not plan.device.rig.emulate and bool(plan.pedals)


def check(rig: Rig, trajectory: Trajectory) -> dict[str, str]:
    """:func:`fit` before anything runs.  :raises DataError, ConfigError: the recording does not fit the rig."""
    targets = [t for p in plan_devices(rig).values() for t in p.targets]
    for name in {str(rig.devices[t.name.rsplit("/", 1)[0]].config_values.get("embodiment", "")) for t in targets} - {
        ""
    }:
        load_embodiment(name)
    return fit(trajectory, rig, targets)


def build(rig: Rig, targets: tuple[TargetSpec, ...], told: Mapping[str, Any]) -> ReplayAgent:
    """The agent's factory.

    :param told: ``episode`` (path), ``commands`` (``sent`` or ``intended``), ``speed``.
    :raises DataError: the recording cannot be read, or does not fit the rig.
    """
    speed = float(told.get("speed", 1.0))
    if not 0.0 < speed <= 2.0:
        raise ConfigError(f"--speed is {speed}; above 0 and at most 2 is right")
    trajectory = load_trajectory(Path(told["episode"]), str(told.get("commands", "sent")))
    chosen = fit(trajectory, rig, targets)
    tracks = {chosen[n]: track for n, track in {**trajectory.joints, **trajectory.bases}.items() if n in chosen}
    return ReplayAgent(tracks, trajectory.length, speed)
