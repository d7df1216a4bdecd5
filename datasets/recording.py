"""The recorder without processes and sockets: samples and episode commands in, a session folder out.

Whoever runs it (a process with taps, or a virtual-time harness) calls :meth:`RecorderCore.take` with what the taps gave
and ``start``, ``keep``, ``discard``, ``label`` as the operator wishes.  Nothing here asks for the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from telerig.datasets.files import read_json, write_json
from telerig.datasets.rawlog_writer import EPISODE_RECORD, EpisodeWriter
from telerig.datasets.repair import repair_session
from telerig.datasets.session_folder import PARTIAL, SessionFolder, SessionInfo, episode_facts, outcome_of, publish
from telerig.hardware import events
from telerig.hardware.errors import DataError
from telerig.hardware.events import Event, Level
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec

SOURCE = "recorder"
LOSS_REPORT_NS = 1_000_000_000
CLOCK = StreamSpec(
    "session/clock", (ArraySpec("monotonic", (), "<i8", "ns"), ArraySpec("realtime", (), "<i8", "ns")), 0.1, 60.0
)
_OWN_EVENTS = events.event_stream(SOURCE)


def is_recordable(spec: StreamSpec) -> bool:
    """False for what only the simulated world may know: truth, physics state, how emulated sensors are moved."""
    fields = {f.name for f in spec.fields}
    return spec.name.rsplit("/", 1)[-1] not in ("truth", "controls") and not {"qpos", "qvel"} <= fields


def is_session_stream(name: str) -> bool:
    """What ``session.mcap`` keeps between episodes: events, and the loop's state and health."""
    return name.endswith("/events") or name.startswith("session/")


def clock_sample(monotonic_ns: int, realtime_ns: int, now: int) -> Sample:
    """A (monotonic, realtime) pair as a sample of ``session/clock``; take one every 10 s."""
    pair = {"monotonic": np.array(monotonic_ns, np.int64), "realtime": np.array(realtime_ns, np.int64)}
    return Sample(CLOCK.name, now, now, pair)


@dataclass
class _Counted:
    lost: int = 0
    refused: int = 0
    first: int | None = None
    last: int | None = None


@dataclass
class _Open:
    writer: EpisodeWriter
    index: int
    t_start: int
    task: str
    success: bool | None = None
    streams: dict[str, _Counted] = field(default_factory=dict)


class RecorderCore:
    """Records a session.  Use from one thread.

    :param folder: the session's folder; one that a killed recorder left behind is repaired and continued.
    :param specs: streams known at the start; later ones through :meth:`add_stream`.  Those that only a simulated world
        may know (:func:`is_recordable`) are ignored.
    :param emit: is told every event the recorder makes, for the operator's screen; they are in the log already.
    :raises ConfigError: the folder holds something else.
    :raises DataError: it cannot be written, or another recorder is at it.
    """

    def __init__(
        self,
        folder: Path,
        specs: Sequence[StreamSpec],
        info: SessionInfo,
        now: int,
        emit: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.folder = SessionFolder.create(folder, info)
        self.kept = self.discarded = 0
        self.lost: dict[str, int] = {}
        self._info, self._emit = info, emit
        self._specs = {s.name: s for s in (*specs, CLOCK, _OWN_EVENTS) if is_recordable(s)}
        self._open: _Open | None = None
        self._last_log: Path | None = None
        self._unreported: dict[str, int] = {}
        self._t_report = now - LOSS_REPORT_NS
        repaired = repair_session(self.folder)
        chosen = [s for s in self._specs.values() if is_session_stream(s.name)]
        self._session = EpisodeWriter(self.folder.next_session_log(), chosen, self._meta(), now)
        for report in repaired:
            self._event(now, Level.WARNING, "recorder.repaired", report.line(), {"file": report.path.name})

    # -- state ------------------------------------------------------------------------------------------------------

    @property
    def recording(self) -> bool:
        """An episode is open."""
        return self._open is not None

    @property
    def episode(self) -> str | None:
        """The open episode's name (``000003``)."""
        return None if self._open is None else f"{self._open.index:06d}"

    @property
    def t_start(self) -> int | None:
        """When the open episode began, session clock."""
        return None if self._open is None else self._open.t_start

    # -- input ------------------------------------------------------------------------------------------------------

    def add_stream(self, spec: StreamSpec) -> None:
        """A stream that appeared after the start."""
        if spec.name in self._specs or not is_recordable(spec):
            return
        self._specs[spec.name] = spec
        if is_session_stream(spec.name):
            self._session.add_stream(spec)
        if self._open is not None:
            self._open.writer.add_stream(spec)

    def take(self, stream: str, samples: Sequence[Sample], lost: int = 0) -> None:
        """What a tap gave: samples in order, and how many it lost before them.  Unknown and own streams are ignored.

        :raises DataError: the disk refuses.
        """
        if stream not in self._specs or stream == _OWN_EVENTS.name:
            return
        if lost:
            self._count_lost(stream, lost)
        to_session = is_session_stream(stream) and (self._open is None or stream.endswith("/events"))
        for sample in samples:
            if to_session:
                self._session.write(stream, sample)
            if self._open is not None and sample.t_arrival >= self._open.t_start:
                self._write(self._open, stream, sample)
        if samples:
            self._report_losses(samples[-1].t_arrival)

    def start(self, now: int, task: str = "") -> str:
        """Begin an episode; samples that arrive from ``now`` on belong to it.  An open one is kept first.

        :returns: its name.
        """
        if self._open is not None:
            self.keep(now)
        index = self.folder.next_index()
        path = self.folder.episodes / f"{index:06d}{PARTIAL}"
        meta = self._meta() | {"episode": f"{index:06d}", "t_start": now, "task": task}
        self._open = _Open(EpisodeWriter(path, list(self._specs.values()), meta, now), index, now, task)
        self._event(
            now, Level.INFO, "episode.started", f"episode {index:06d} started", {"episode": index, "task": task}
        )
        return f"{index:06d}"

    def label(self, success: bool | None, now: int) -> None:
        """Success, failure or neither: for the open episode, or else for the last one kept."""
        outcome = outcome_of(success)
        if self._open is not None:
            self._open.success = success
            self._note(self._open)
            name = f"{self._open.index:06d}"
        elif self._last_log is not None:
            sidecar = self._last_log.with_suffix(".json")
            write_json(sidecar, read_json(sidecar) | {"outcome": outcome})
            name = self._last_log.stem
        else:
            return
        self._event(now, Level.INFO, "episode.labelled", f"episode {name}: {outcome}", {"outcome": outcome})

    def task(self, text: str) -> None:
        """The instruction of the open episode."""
        if self._open is not None:
            self._open.task = text
            self._note(self._open)

    def keep(self, now: int, success: bool | None = None) -> Path | None:
        """Close the open episode and keep it.  Drain the taps first.

        :param success: overrides an earlier label unless None.
        :returns: the episode's log, or None when none was open.
        :raises DataError: the disk refuses.
        """
        if self._open is None:
            return None
        if success is not None:
            self._open.success = success
        self._last_log = self._finish(now, kept=True)
        self.kept += 1
        self._event(
            now, Level.INFO, "episode.kept", f"episode {self._last_log.stem} kept", {"episode": self._last_log.stem}
        )
        return self._last_log

    def discard(self, now: int) -> Path | None:
        """Close the open episode and move it to the bin.  :returns: its log there, or None when none was open."""
        if self._open is None:
            return None
        log = self._finish(now, kept=False)
        self.discarded += 1
        self._event(now, Level.INFO, "episode.discarded", f"episode {log.stem} discarded", {"episode": log.stem})
        return log

    def clock_pair(self, monotonic_ns: int, realtime_ns: int, now: int) -> None:
        """Note how the two clocks stand; call every 10 s."""
        sample = clock_sample(monotonic_ns, realtime_ns, now)
        self._session.write(CLOCK.name, sample)
        if self._open is not None:
            self._write(self._open, CLOCK.name, sample)

    def sync(self) -> None:
        """Hand everything written so far to the disk.  :raises DataError: it refuses."""
        self._session.flush()
        if self._open is not None:
            self._open.writer.flush()

    def close(self, now: int) -> None:
        """End the session; an open episode is closed and marked interrupted (neither kept nor discarded)."""
        if self._open is not None:
            log = self._finish(now, kept=False, interrupted=True)
            self._event(now, Level.WARNING, "episode.interrupted", f"episode {log.stem} was open at the end", {})
        self._report_losses(now, force=True)
        self._session.close()

    # -- inside -----------------------------------------------------------------------------------------------------

    def _meta(self) -> dict[str, Any]:
        return self._info.to_json() | {"calibration": dict(self._info.calibration)}

    def _write(self, episode: _Open, stream: str, sample: Sample) -> None:
        counted = episode.streams.setdefault(stream, _Counted())
        try:
            episode.writer.write(stream, sample)
        except DataError:
            raise
        except (ValueError, TypeError, KeyError) as error:  # one bad sample must not end the recording
            counted.refused += 1
            if counted.refused == 1:
                text = f"{stream}: a sample does not fit its spec and is not recorded: {error}"
                self._event(sample.t_arrival, Level.ERROR, "recorder.refused", text, {"stream": stream})
            return
        counted.first = sample.t_arrival if counted.first is None else counted.first
        counted.last = sample.t_arrival

    def _note(self, episode: _Open) -> None:
        """Into the log at once, so that repair finds it; the record written at the end supersedes it."""
        facts = episode_facts(episode.index, episode.task, outcome_of(episode.success), kept=False, interrupted=True)
        episode.writer.write_metadata(EPISODE_RECORD, facts)

    def _count_lost(self, stream: str, lost: int) -> None:
        self.lost[stream] = self.lost.get(stream, 0) + lost
        self._unreported[stream] = self._unreported.get(stream, 0) + lost
        if self._open is not None:
            self._open.streams.setdefault(stream, _Counted()).lost += lost

    def _report_losses(self, now: int, force: bool = False) -> None:
        """At most once a second, so that an overload does not feed itself."""
        if not self._unreported or (not force and now - self._t_report < LOSS_REPORT_NS):
            return
        for stream, lost in self._unreported.items():
            text = f"{stream}: {lost} samples lost before they could be recorded"
            self._event(now, Level.WARNING, "recorder.lost", text, {"stream": stream, "lost": lost})
        self._unreported.clear()
        self._t_report = now

    def _event(self, now: int, level: Level, code: str, text: str, data: Mapping[str, Any]) -> None:
        event = Event(now, level, SOURCE, code, text, data)
        sample = events.to_sample(event)
        self._session.write(_OWN_EVENTS.name, sample)
        if self._open is not None:
            self._open.writer.write(_OWN_EVENTS.name, sample)
        self._emit(event)

    def _finish(self, now: int, kept: bool, interrupted: bool = False) -> Path:
        episode = self._open
        assert episode is not None
        self._report_losses(now, force=True)
        self._open = None
        facts = episode_facts(episode.index, episode.task, outcome_of(episode.success), kept, interrupted)
        facts |= {"t_start": episode.t_start, "t_end": now, "duration_s": (now - episode.t_start) / 1e9}
        facts["streams"] = {
            name: {"count": count, "lost": c.lost, "refused": c.refused, "t_first": c.first, "t_last": c.last}
            for name, count in episode.writer.counts.items()
            for c in (episode.streams.get(name, _Counted()),)
        }
        facts["lost"] = sum(c.lost for c in episode.streams.values())
        digest = episode.writer.close(facts)
        folder = self.folder.episodes if kept or interrupted else self.folder.bin
        sidecar = facts | {"sha256": digest, "bytes": episode.writer.bytes_written}
        return publish(episode.writer.path, folder, sidecar)
