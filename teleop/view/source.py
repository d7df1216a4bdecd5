"""Where a view's data come from: a raw log, or an episode of a dataset.  No rerun here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.dataset import EpisodeFile
from telerig.datasets.files import read_json
from telerig.datasets.rawlog_codec import SampleCodec
from telerig.datasets.rawlog_columns import Columns
from telerig.datasets.rawlog_reader import RawLog
from telerig.hardware import events
from telerig.hardware.embodiment import Embodiment, parse_embodiment
from telerig.hardware.errors import ConfigError, DataError, TelerigError
from telerig.hardware.events import Event, Level
from telerig.hardware.specs import StreamSpec
from telerig.hardware.surroundings import Surroundings
from telerig.teleop.states import State
from telerig.teleop.view.layout import STATE, Camera, Line

Instants = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class About:
    """What a recording is: lines for people, and the instants (ns) it begins and ends."""

    name: str
    facts: Mapping[str, str]
    t_start: int
    t_end: int


class Source(Protocol):
    """What painting asks for.  Instants are ns on the session clock."""

    @property
    def note(self) -> str: ...
    @property
    def specs(self) -> Mapping[str, StreamSpec]: ...
    @property
    def embodiment(self) -> Embodiment | None: ...
    @property
    def around(self) -> Surroundings | None: ...
    @property
    def about(self) -> About: ...
    def series(self, line: Line) -> tuple[Instants, Floats]: ...
    def arrivals(self, stream: str) -> Instants: ...
    def frames(self, camera: Camera) -> tuple[Instants, Callable[[int], bytes], str]: ...
    def states(self) -> list[tuple[int, str]]: ...
    def events(self, streams: tuple[str, ...]) -> Iterator[Event]: ...
    def close(self) -> None: ...


def open_source(path: Path) -> Source:
    """The source behind a file.  :raises DataError: neither a raw log nor an episode, or a damaged one."""
    return EpisodeSource(path) if path.suffix in (".hdf5", ".h5") else LogSource(path)


def read_embodiment(tables: Mapping[str, Any] | None) -> Embodiment | None:
    """The frozen embodiment, if there is one that still holds together."""
    try:
        return parse_embodiment(tables) if tables else None
    except (TelerigError, KeyError, TypeError, ValueError):
        return None


def read_surroundings(raw: Mapping[str, Any] | None) -> Surroundings | None:
    """What stood around the robot, if that was frozen and still holds together."""
    try:
        return Surroundings.from_json(raw) if raw else None
    except ConfigError:
        return None


class LogSource:
    """One raw log, closed or not.  Images are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._log = RawLog(path)
        self.note = (
            "" if self._log.complete else f"{path.name} was cut short or is not closed: this is what is left of it"
        )
        self.specs: Mapping[str, StreamSpec] = self._log.specs
        self.embodiment = read_embodiment(self._log.meta.get("embodiment"))
        self.around = read_surroundings(self._log.meta.get("surroundings"))
        self._columns: dict[str, Columns] = {}
        if self._log.span is None:
            raise DataError(f"{path}: an empty log: there is nothing to see")

    @cached_property
    def about(self) -> About:
        """From the log and the sidecar beside it (a label that came late is only there)."""
        log, path = self._log, self._log.path
        side = path.with_name(path.name.split(".", 1)[0] + ".json")
        told = dict(log.episode or {}) | (read_json(side) if side.exists() and side.stem != "session" else {})
        span = log.span or (0, 0)
        start = int(log.meta.get("t_start") or span[0])
        lost = told.get("lost")
        facts = {
            "Task": str(told.get("task") or log.meta.get("task") or "–"),
            "Outcome": str(told.get("outcome") or ("interrupted" if told.get("interrupted") else "not labelled")),
            "Rig": str(log.meta.get("rig", "–")),
            "Robot": self.embodiment.name if self.embodiment else "–",
            "Samples": f"{sum(log.counts.values()):,}" + (f", {lost} lost" if lost else ""),
        }
        return About(_title(path.name.split(".", 1)[0]), facts, start, span[1])

    def _of(self, stream: str) -> Columns:
        if stream not in self._columns:
            self._columns[stream] = self._log.columns(stream)
        return self._columns[stream]

    def series(self, line: Line) -> tuple[Instants, Floats]:
        """Instants (N,) and values (N, n)."""
        columns = self._of(line.stream)
        found = columns.fields[line.field]
        values = found.reshape(len(columns), int(np.prod(found.shape[1:], dtype=int)))
        values = values[:, list(line.columns)] if len(columns) else np.zeros((0, len(line.columns)))
        return columns.t_sample, values.astype(np.float64)

    def arrivals(self, stream: str) -> Instants:
        """When each sample arrived."""
        return self._of(stream).t_arrival

    def frames(self, camera: Camera) -> tuple[Instants, Callable[[int], bytes], str]:
        """When each image was taken, the n-th image as recorded, and what it is (a media type)."""
        log, stream, blob = self._log, camera.stream, camera.blob
        kind = next(b.media_type for b in self.specs[stream].blobs if b.name == blob)
        codec = SampleCodec(self.specs[stream])
        return self._of(stream).t_sample, lambda i: codec.decode(log.payload(stream, i)).blob(blob), kind

    def states(self) -> list[tuple[int, str]]:
        """Each change of the operator's state: when, to what."""
        if STATE not in self.specs:
            return []
        columns = self._of(STATE)
        codes = columns.fields["state"]
        changes = np.flatnonzero(np.diff(codes.astype(int), prepend=-1))
        return [(int(columns.t_sample[i]), State(int(codes[i])).name) for i in changes]

    def events(self, streams: tuple[str, ...]) -> Iterator[Event]:
        """Every event, in the order of the log."""
        return (events.from_sample(s) for s in self._log.samples(*streams)) if streams else iter(())

    def close(self) -> None:
        """Let go of the file."""
        self._log.close()


class EpisodeSource:
    """One episode of a dataset: native streams at their own rate, the robot and images at the rows' rate."""

    def __init__(self, path: Path) -> None:
        self._episode, self.note = EpisodeFile(path), ""
        meta = self._episode.meta
        self.specs: Mapping[str, StreamSpec] = {n: StreamSpec.from_json(s) for n, s in meta["streams"].items()}
        self.embodiment = read_embodiment(meta.get("embodiment"))
        self.around = read_surroundings(meta.get("surroundings"))
        self._keys = set(self._episode.keys())
        if not len(self._episode.t_ns):
            raise DataError(f"{path}: an empty episode: there is nothing to see")

    @cached_property
    def about(self) -> About:
        """From the episode's ``meta``."""
        episode, meta = self._episode, self._episode.meta
        facts = {
            "Task": episode.task or "–",
            "Outcome": episode.outcome or "not labelled",
            "Rig": str(meta.get("rig") or "–"),
            "Robot": self.embodiment.name if self.embodiment else "–",
            "Rows": f"{episode.rows} at {meta['rate_hz']:g} Hz",
            "Quality": str(meta.get("quality", {}).get("verdict", "–")),
        }
        return About(_title(episode.name), facts, int(episode.t_ns[0]), int(episode.t_ns[-1]))

    def series(self, line: Line) -> tuple[Instants, Floats]:
        """Instants (N,) and values (N, n)."""
        native, columns = f"native/{line.stream}", list(line.columns)
        if f"{native}/{line.field}" in self._keys:
            values = self._episode.array(f"{native}/{line.field}")
            return self._episode.array(f"{native}/t_ns"), values.reshape(len(values), -1)[:, columns].astype(np.float64)
        meta = self._episode.meta
        base = line.stream.rsplit("/", 1)[0] != meta["target"]
        key = "action/base" if base else {"intended": "master/joint_position"}.get(line.kind, "action/sent")
        return self._episode.t_ns, self._episode.array(key)[:, columns]

    def arrivals(self, stream: str) -> Instants:
        """When each sample arrived; for images, when each one that a row shows was taken."""
        for key in (f"native/{stream}/t_arrival_ns", f"time/{stream}/t_ns"):
            if key in self._keys:
                return np.unique(self._episode.array(key))
        return np.zeros(0, np.int64)

    def frames(self, camera: Camera) -> tuple[Instants, Callable[[int], bytes], str]:
        """The rows' images, each once; none where the dataset was built without depth."""
        kind = "rgb_images" if camera.meter is None else "depth_images"
        group = self._episode.meta["cameras" if camera.meter is None else "depth_cameras"]
        name = next((n for n, c in group.items() if c["stream"] == camera.stream), None)
        if name is None or f"observations/{kind}/{name}" not in self._keys:
            return np.zeros(0, np.int64), lambda i: b"", ""
        taken, first = np.unique(self._episode.array(f"time/{camera.stream}/t_ns"), return_index=True)
        read = self._episode.jpeg if camera.meter is None else self._episode.depth_png
        return taken, lambda i: read(name, int(first[i])), "image/jpeg" if camera.meter is None else "image/png"

    def states(self) -> list[tuple[int, str]]:
        """Datasets keep no operator's states; events tell them."""
        return []

    def events(self, streams: tuple[str, ...]) -> Iterator[Event]:
        """Those kept in the episode's ``meta``."""
        for e in self._episode.meta.get("events", ()):
            yield Event(int(e["t_ns"]), Level(e["level"]), e["source"], e["code"], e["text"])

    def close(self) -> None:
        """Let go of the file."""
        self._episode.close()


def _title(name: str) -> str:
    return f"Episode {name}" if name.isdigit() else name.capitalize()
