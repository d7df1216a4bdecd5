"""One recorded episode on a grid of rows: all arrays that a dataset's file holds, as a pure function of a raw log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.align import Aligned, interpolate, newest, row_times, take
from telerig.datasets.end_effector import end_effectors
from telerig.datasets.rawlog_codec import SampleCodec
from telerig.datasets.rawlog_columns import Columns
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.roles import Roles
from telerig.hardware import events
from telerig.hardware.commands import Mode, Source, is_command_stream
from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import DataError
from telerig.hardware.specs import StreamSpec

Array = NDArray[Any]
STALE_NS, STALE_PERIODS = 100_000_000, 4  # as the loop's freshness rule: max(100 ms, 4 periods)
_FIELDS = (("position", "joint_position"), ("velocity", "joint_velocity"), ("effort", "joint_effort"))


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How rows are made.

    :param rate_hz: rows a second.
    :param clock: ``sample`` (newest measured by the row) or ``arrival`` (newest that had arrived by the row).
    :param interpolate: joint state linear between samples instead of the newest one; looks ahead by one sample.
    :param depth: keep depth images.
    :param target: which command target, where several were recorded.
    """

    rate_hz: float = 30.0
    clock: str = "sample"
    interpolate: bool = False
    depth: bool = True
    target: str | None = None


@dataclass
class Track:
    """One stream: its samples at their own rate, and where each row finds its own."""

    spec: StreamSpec
    columns: Columns
    aligned: Aligned
    valid: NDArray[np.bool_]
    blobs: Callable[[int], bytes] | None = None
    sizes: list[int] = field(default_factory=list)

    def rows(self, name: str) -> Array:
        """A field on the rows, ``(T, …)``; elements the device marked invalid are NaN already."""
        return take(self.columns.fields[name], self.aligned)


@dataclass
class Assembled:
    """Everything a dataset's file holds of one episode, by key.

    :param rows: ``(T,)`` instants.  :param arrays: key → ``(T, …)``.  :param attrs: key → attributes.
    """

    roles: Roles
    rows: NDArray[np.int64]
    arrays: dict[str, Array] = field(default_factory=dict)
    attrs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


def assemble(log: RawLog, roles: Roles, options: BuildOptions, embodiment: Embodiment | None) -> Assembled:
    """Align one episode.

    Rows begin when every required stream (state, intended, sent, every camera) has a sample, and end with the last sample
    of any of them.

    :raises DataError: a required stream is empty, or they do not overlap.
    """
    required = [roles.state, roles.intended, roles.sent, *roles.cameras.values()]
    required += list(roles.depths.values()) if options.depth else []
    loaded = {name: log.columns(name) for name in dict.fromkeys((*roles.numeric, *required))}
    loaded = {name: columns for name, columns in loaded.items() if len(columns) or name in required}
    moving = {name: _moving(loaded[name]) for name in loaded if is_command_stream(log.specs[name])}
    basis = {name: moving.get(name, columns) for name, columns in loaded.items()}
    empty = [name for name in required if not len(basis[name])]
    if empty:
        raise DataError(f"{log.path}: nothing recorded on {', '.join(empty)}")
    known = _arrivals if options.clock == "arrival" else _samples
    start = max(int(known(basis[name]).min()) for name in required)
    end = max(int(known(basis[name]).max()) for name in required)
    rows = row_times(start, end, options.rate_hz)
    out = Assembled(roles, rows)
    for name, columns in basis.items():
        aligned = newest(rows, columns.t_sample, known(columns))
        out.tracks[name] = Track(log.specs[name], columns, aligned, _valid(log.specs[name], columns, aligned))
        if name in roles.cameras.values() or name in roles.depths.values():
            out.tracks[name].blobs, out.tracks[name].sizes = _blob_reader(log, name), log.sizes(name)
    for name, columns in loaded.items():
        if name in moving:
            _commands(out, name, columns, known(columns))
    _joints(out, options)
    _base(out)
    if embodiment is not None:
        _sides(out, embodiment)
        _effectors(out, embodiment)
    out.events = _events(log)
    return out


def _samples(columns: Columns) -> NDArray[np.int64]:
    return columns.t_sample


def _arrivals(columns: Columns) -> NDArray[np.int64]:
    return columns.t_arrival


def _moving(columns: Columns) -> Columns:
    """Only the commands that say where to go: the data of a hold or a damp mean nothing."""
    moves = ~np.isin(columns.fields["mode"], (Mode.HOLD, Mode.DAMP))
    return pick(columns, moves)


def pick(columns: Columns, which: Array) -> Columns:
    """Some of the samples."""
    fields = {k: v[which] for k, v in columns.fields.items()}
    rest = {f.name: getattr(columns, f.name)[which] for f in dataclass_fields(columns) if f.name != "fields"}
    return Columns(**rest, fields=fields)


def _valid(spec: StreamSpec, columns: Columns, aligned: Aligned) -> NDArray[np.bool_]:
    """Fresh, and no element that the device itself called invalid."""
    stale = max(STALE_NS, int(STALE_PERIODS * 1e9 / spec.rate_hz))
    whole = np.asarray(columns.valid.all(axis=1))  # all of nothing is true: images have no elements
    return np.asarray(aligned.seen & (aligned.age_ns <= stale) & take(whole, aligned), bool)


def _blob_reader(log: RawLog, name: str) -> Callable[[int], bytes]:
    codec = SampleCodec(log.specs[name])
    return lambda i: codec.image_part(log.payload(name, i))


def _commands(out: Assembled, name: str, columns: Columns, known: NDArray[np.int64]) -> None:
    """Mode and source of the command in force at each row; a row under hold or damp is not valid."""
    aligned = newest(out.rows, columns.t_sample, known)
    mode, source = take(columns.fields["mode"], aligned), take(columns.fields["source"], aligned)
    out.tracks[name].valid &= ~np.isin(mode, (0, Mode.HOLD, Mode.DAMP))
    if name == out.roles.sent:
        out.arrays["action/mode"], out.arrays["action/source"] = mode, source
        out.attrs["action/mode"] = {"names": {m.name.lower(): int(m) for m in Mode}}
        out.attrs["action/source"] = {"names": {s.name.lower(): int(s) for s in Source}}


def _joints(out: Assembled, options: BuildOptions) -> None:
    roles, state = out.roles, out.tracks[out.roles.state]
    columns = list(roles.columns)
    for name, key in _FIELDS:
        spec = next((a for a in state.spec.arrays if a.name == name), None)
        if spec is None or not spec.shape or spec.shape[0] <= max(columns):
            continue
        values = state.columns.fields[name]
        if options.interpolate:
            on_rows = interpolate(out.rows, state.columns.t_sample, values)
        else:
            on_rows = state.rows(name).astype(np.float64)
        _put(out, f"puppet/{key}", on_rows[:, columns], roles.joints, spec.unit)
    for key, stream in (("master/joint_position", roles.intended), ("action/sent", roles.sent)):
        _put(out, key, out.tracks[stream].rows("data").astype(np.float64), roles.joints, roles.unit)


def _base(out: Assembled) -> None:
    if out.roles.base is None or f"{out.roles.base}/sent" not in out.tracks:
        return
    track = out.tracks[f"{out.roles.base}/sent"]
    if track.aligned.seen.any():
        spec = track.spec.array("data")
        _put(out, "action/base", track.rows("data").astype(np.float64), spec.axes, spec.unit)


def _put(out: Assembled, key: str, values: Array, names: tuple[str, ...], unit: str, **more: Any) -> None:
    out.arrays[key] = values
    out.attrs[key] = {"names": list(names), "unit": unit, **more}


def _sides(out: Assembled, embodiment: Embodiment) -> None:
    """``…_left`` and ``…_right`` where the target has groups of both sides."""
    sides: dict[str, list[int]] = {}
    for group in embodiment.groups:
        side = group.name.split("_", 1)[0]
        if side in ("left", "right"):
            sides.setdefault(side, []).extend(out.roles.joints.index(j) for j in group.joints if j in out.roles.joints)
    if len([s for s in sides.values() if s]) < 2:
        return
    for key in [k for k in out.arrays if k.startswith(("puppet/joint", "master/joint"))]:
        for side, columns in sides.items():
            names = tuple(out.roles.joints[i] for i in sorted(columns))
            _put(out, f"{key}_{side}", out.arrays[key][:, sorted(columns)], names, out.attrs[key]["unit"])


def _effectors(out: Assembled, embodiment: Embodiment) -> None:
    names = ("x", "y", "z", "qw", "qx", "qy", "qz")
    tracks = end_effectors(embodiment, out.roles.joints, out.arrays["puppet/joint_position"])
    for track in tracks:
        side = track.name.split("_", 1)[0]
        suffix = "" if len(tracks) == 1 else f"_{side if side in ('left', 'right') else track.name}"
        key = f"puppet/end_effector{suffix}"
        _put(out, key, track.poses, names, "m, 1", frame=track.frame, effector=track.name, assumed=list(track.assumed))


def _events(log: RawLog) -> list[dict[str, Any]]:
    found = []
    for name, spec in log.specs.items():
        if name.endswith("/events") and log.counts[name]:
            for sample in log.samples(spec.name):
                e = events.from_sample(sample)
                found.append({"t_ns": e.t, "level": e.level.value, "source": e.source, "code": e.code, "text": e.text})
    return sorted(found, key=lambda e: (e["t_ns"], e["source"], e["code"]))
