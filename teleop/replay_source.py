"""What a replay repeats: the commands of one recorded episode, and where the robot was meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.dataset import EpisodeFile
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.roles import BASE_AXES, find_roles
from telerig.hardware.commands import Mode, Source
from telerig.hardware.errors import DataError

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]
COMMANDS = ("sent", "intended")


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Vectors of one target over time.

    :param t: (N,) ns since the replay's start, strictly rising.  :param data: (N, n) in the order of ``names``.
    :param steps: a value holds until the next one (a base's velocities); else linear between them.
    """

    names: tuple[str, ...]
    t: Instants
    data: Floats
    steps: bool = False

    def at(self, t: float) -> Floats:
        """(n,) at one instant; before the first and after the last their values hold."""
        last = len(self.t) - 1
        i = int(np.searchsorted(self.t, t, "right")) - 1
        if i < 0 or i >= last or self.steps:
            held: Floats = self.data[min(max(i, 0), last)].copy()
            return held
        share = (t - self.t[i]) / (self.t[i + 1] - self.t[i])
        between: Floats = (1.0 - share) * self.data[i] + share * self.data[i + 1]
        return between

    def along(self, t: Floats) -> Floats:
        """(T, n) at many instants."""
        return np.column_stack([np.interp(t, self.t, column) for column in self.data.T])


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode's commands.

    :param joints, bases: by target's name.  :param measured: where the joints of a target were, by its name.
    :param length: ns from the first to the last command.
    """

    path: Path
    embodiment: str
    task: str
    joints: Mapping[str, Track]
    bases: Mapping[str, Track]
    measured: Mapping[str, Track]
    length: int


def load_trajectory(path: Path, commands: str = "sent") -> Trajectory:
    """Read the commands of an episode, from the first to the last that an agent (not the guard) issued.

    :param commands: ``sent``: what the robot was sent; ``intended``: what the operator wanted, before the guard.
    :raises DataError: not an episode, or nobody moved the robot in it.
    """
    if commands not in COMMANDS:
        raise DataError(f"commands '{commands}' are not recorded; there are: {', '.join(COMMANDS)}")
    found = _from_episode(path, commands) if path.suffix in (".hdf5", ".h5") else _from_log(path, commands)
    if found is None:
        raise DataError(f"{path}: the robot was never engaged in it: nothing to replay")
    return found


def _from_log(path: Path, commands: str) -> Trajectory | None:
    with RawLog(path) as log:
        log.require_whole()
        names = [n.rsplit("/", 1)[0] for n in log.specs if n.endswith(f"/{commands}")]
        tracks: dict[str, tuple[tuple[str, ...], Instants, Floats]] = {}
        for name in names:
            columns = log.columns(f"{name}/{commands}")
            moving = np.isin(columns.fields["mode"], (Mode.JOINT_POSITION, Mode.BASE_VELOCITY_HEIGHT))
            steered = moving & (columns.fields["source"] != Source.GUARD)
            t, first = np.unique(columns.t_sample[steered], return_index=True)
            axes = log.specs[f"{name}/{commands}"].array("data").axes
            tracks[name] = (axes, t, columns.fields["data"][steered][first].astype(np.float64))
        joints = [n for n in names if tracks[n][0] != BASE_AXES and len(tracks[n][1])]
        measured = {}
        for name in joints:
            roles = find_roles(log.specs, name)
            state = log.columns(roles.state)
            t, first = np.unique(state.t_sample, return_index=True)
            measured[name] = (tracks[name][0], t, state.fields["position"][first][:, list(roles.columns)])
        bases = [n for n in names if n not in joints and len(tracks[n][1])]
        about = ((log.meta.get("embodiment") or {}).get("name", ""), str(log.meta.get("task") or ""))
    return _trajectory(path, about, {n: tracks[n] for n in joints}, {n: tracks[n] for n in bases}, measured)


def _from_episode(path: Path, commands: str) -> Trajectory | None:
    episode = EpisodeFile(path)
    try:
        meta, engaged, t = episode.meta, episode.engaged, episode.t_ns
        names = tuple(meta["joints"])
        target = str(meta["target"])
        data = episode.action if commands == "sent" else episode.intended
        joints = {target: (names, t[engaged], data[engaged])} if engaged.any() else {}
        bases = {}
        base = episode.base
        if base is not None and engaged.any():
            bases = {f"{target.rsplit('/', 1)[0]}/base": (BASE_AXES, t[engaged], base[engaged])}
        about = (str(meta["embodiment"].get("name", "")), episode.task)
        return _trajectory(path, about, joints, bases, {target: (names, t, episode.state)})
    finally:
        episode.close()


_Raw = Mapping[str, tuple[tuple[str, ...], Instants, Floats]]


def _trajectory(path: Path, about: tuple[str, str], joints: _Raw, bases: _Raw, measured: _Raw) -> Trajectory | None:
    """With instants counted from the first joint command."""
    if not joints:
        return None
    start = min(int(t[0]) for _, t, _ in joints.values())
    end = max(int(t[-1]) for _, t, _ in joints.values())

    def tracks(raw: _Raw, steps: bool) -> dict[str, Track]:
        return {n: Track(names, t - start, data, steps) for n, (names, t, data) in raw.items() if len(t)}

    return Trajectory(path, *about, tracks(joints, False), tracks(bases, True), tracks(measured, False), end - start)
