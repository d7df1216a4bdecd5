"""``telerig bench crash``: kill -9 at the worst moments, and what was recorded is there.

A live session records the leader and follower arms, a glove and a camera.  The recorder, or all processes at once, or
only the command line, are killed right after an episode was started, in the middle of it and while it is being kept;
builds are killed halfway.  The emulators' journals say what must be in the logs.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telerig.datasets.files import read_json
from telerig.datasets.repair import repair_session
from telerig.datasets.session_folder import SessionFolder
from telerig.hardware.errors import DataError, DeviceError
from telerig.teleop.bench.crash_build import BuildKiller, repair_cut_files
from telerig.teleop.bench.crash_oracle import episode_missing, is_readable, messages, open_lost_s, sha256
from telerig.teleop.bench.hosted import HostedSession
from telerig.teleop.bench.loop_bench import hand_process
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin
from telerig.teleop.bench.rigs import crash_rig
from telerig.teleop.bench.watched import is_alive
from telerig.teleop.episodes import EpisodeCommand

PHASES = ("mid", "open", "keep")
SCOPES = ("recorder", "recorder", "recorder", "all", "recorder", "recorder", "recorder", "cli")
STREAMS = {"leader/joints": "leader", "robot/state": "robot", "glove/joints": "glove", "camera/color": "camera"}
CUT_FILES = 5


@dataclass
class Counts:
    """What all kills together cost."""

    kills: dict[str, int] = field(default_factory=dict)
    closed: int = 0
    closed_lost: int = 0
    open_lost_s: list[float] = field(default_factory=list)
    open_gaps: int = 0
    unreadable: int = 0
    builds_broken: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        """Keep a line for whoever has to find out."""
        self.faults.append(text)


@dataclass(frozen=True)
class Closed:
    """An episode that the recorder said it kept."""

    log: Path
    digest: str
    t0: int
    t1: int


class Round:
    """One live session, killed several times; the last kill ends it."""

    def __init__(self, folder: Path, rng: random.Random, counts: Counts) -> None:
        self._rng, self._counts = rng, counts
        rig, hand = crash_rig(folder.with_suffix(".camera"))
        self.hosted = HostedSession(rig, folder, [hand_process(hand)])
        self.journals = {s: self.hosted.run / "journals" / f"{d}.journal" for s, d in STREAMS.items()}
        self.journals["camera/color"] = folder.with_suffix(".camera")
        self.folder = SessionFolder(self.hosted.record)
        self.closed: list[Closed] = []
        self._seen: set[Path] = set()

    # --- recording -----------------------------------------------------------------------------------------------

    def keep_one(self) -> None:
        """Record an episode and see it kept: from now on nothing may touch it."""
        self.hosted.engage()  # a robot that nobody steers makes no episode that could be built
        t0 = self._start()
        self._recording()
        self.hosted.pass_time(self._rng.uniform(0.7, 1.0))
        before = self.hosted.recorder().kept
        t1 = self.hosted.episode(EpisodeCommand.KEEP)
        self.hosted.wait(lambda: self.hosted.recorder().kept > before, 20.0, "keeping an episode")
        (log,) = set(self.folder.logs()) - self._seen
        self._note_closed(log, t0, t1)

    def _note_closed(self, log: Path, t0: int, t1: int) -> None:
        self._seen.add(log)
        self.closed.append(Closed(log, sha256(log), t0, t1))

    def _start(self) -> int:
        self.hosted.wait(lambda: not self.hosted.recorder().recording, 20.0, "an idle recorder")
        return self.hosted.episode(EpisodeCommand.START)

    def _recording(self) -> None:
        self.hosted.wait(lambda: self.hosted.recorder().recording, 10.0, "recording")

    # --- killing -------------------------------------------------------------------------------------------------

    def strike(self, phase: str, scope: str) -> None:
        """Start an episode, kill in that phase of it, recover, judge."""
        t0, before = self._start(), self.hosted.recorder().kept
        t1 = None
        if phase != "open":
            self._recording()
            self.hosted.pass_time(self._rng.uniform(0.5, 1.5))
        if phase == "keep":
            t1 = self.hosted.episode(EpisodeCommand.KEEP)
        if phase != "mid":
            self.hosted.pass_time(self._rng.uniform(0.0, 0.08))
        acknowledged = t1 is not None and self.hosted.recorder().kept > before
        killed = self._kill(scope)
        self._counts.kills[phase] = self._counts.kills.get(phase, 0) + 1
        self._judge(t0, t1, killed, acknowledged)

    def _kill(self, scope: str) -> int:
        hosted = self.hosted
        if scope == "all":
            at = hosted.kill_all()
            self._counts.unreadable += sum(messages(p) is None for p in self.folder.partials())
        elif scope == "cli":
            pids = hosted.pids()
            at = hosted.clock.now()
            hosted.process.kill()
            hosted.process.wait()
            hosted.wait(lambda: not any(is_alive(p) for p in pids.values()), 10.0, "the session's processes end")
        else:
            pid = hosted.pids()["recorder"]
            at = hosted.clock.now()
            os.kill(pid, signal.SIGKILL)
            state = hosted.attached.readers["recorder/state"]
            late = at + 100_000_000
            hosted.wait(lambda: (s := state.latest()) is not None and s.t_arrival > late, 40.0, "a new recorder")
            return at
        repair_session(self.folder)
        return at

    def _judge(self, t0: int, t1: int | None, killed: int, acknowledged: bool) -> None:
        counts = self._counts
        found = set(self.folder.logs()) - self._seen
        kept = [log for log in found if read_json(self.folder.sidecar(log)).get("kept")]
        if kept and t1 is not None:
            self._note_closed(kept[0], t0, t1)
        elif acknowledged:
            counts.closed_lost += 1
            counts.fault(f"kept and then gone: {sorted(p.name for p in found)}")
        elif not found:
            counts.open_lost_s.append((killed - t0) / 1e9)
        for log in found - set(kept):
            lost, gaps = open_lost_s(log, self.journals, t0, killed if t1 is None else min(t1, killed))
            counts.open_lost_s.append(lost)
            counts.open_gaps += gaps
        self._seen |= found

    # --- the end -------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """End the session and look at everything in it once more."""
        self.hosted.close()
        counts = self._counts
        repair_session(self.folder)
        for log in (*self.folder.logs(), *self.folder.bin.glob("*.mcap"), *self.folder.session_logs()):
            if not is_readable(log):
                counts.unreadable += 1
                counts.fault(f"unreadable: {log.name}")
        for closed in self.closed:
            counts.closed += 1
            if why := self._wrong(closed):
                counts.closed_lost += 1
                counts.fault(f"{closed.log.name}: {why}")

    def _wrong(self, closed: Closed) -> str | None:
        if not closed.log.exists():
            return "gone"
        if sha256(closed.log) != closed.digest:
            return "was changed after it was kept"
        try:
            lost = episode_missing(closed.log, self.journals, closed.t0, closed.t1)
        except DataError as error:
            return str(error)
        return f"{lost} samples missing" if lost else None


def measure(
    kills: int = 20, seed: int = 0, progress: Callable[[float], None] = lambda fraction: None
) -> dict[str, Any]:
    """Kill so many times, one in five of them a build (docs/benchmarks.md says what the figures mean).

    :raises DeviceError: the session does not run on this machine at all.
    """
    origin()  # before it moves on
    rng, counts = random.Random(seed), Counts()
    builds = max(1, kills // 5)
    live = max(1, kills - builds)
    with tempfile.TemporaryDirectory(prefix="telerig-crash-") as scratch:
        folder = Path(scratch)
        session = _live_kills(folder, live, rng, counts, lambda n: progress(n / (kills + 1)))
        logs = SessionFolder(session).logs()
        killer = BuildKiller(session, _new(folder / "builds"))
        for k in range(builds):
            counts.kills["build"] = k + 1
            counts.builds_broken += not killer.kill(rng)
            progress((live + k + 1) / (kills + 1))
        repaired, failed = repair_cut_files(logs, CUT_FILES, _new(folder / "cuts"), rng)
    return _figures(counts, repaired, failed)


def _live_kills(folder: Path, n: int, rng: random.Random, counts: Counts, done: Callable[[int], None]) -> Path:
    """The kills of live sessions; returns the folder of the first session."""
    first: Path | None = None
    current: Round | None = None
    try:
        for k in range(n):
            scope = "all" if k == n - 1 else SCOPES[k % len(SCOPES)]
            current = current or Round(folder / f"{k:03d}", rng, counts)
            first = first or current.folder.path
            current.keep_one()
            current.strike(PHASES[k % len(PHASES)], scope)
            if scope != "recorder":
                current.finish()
                current = None
            done(k + 1)
    finally:
        if current is not None:
            current.hosted.close()
    if first is None:
        raise DeviceError("no session was killed")
    return first


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _figures(counts: Counts, repaired: int, failed: int) -> dict[str, Any]:
    return {
        "kills": sum(counts.kills.values()),
        "kills_by_phase": counts.kills,
        "closed": counts.closed,
        "closed_lost": counts.closed_lost,
        "open_lost_s_max": round(max(counts.open_lost_s, default=0.0), 3),
        "open_gaps": counts.open_gaps,
        "unreadable": counts.unreadable,
        "builds_broken": counts.builds_broken,
        "repaired": repaired,
        "repair_failed": failed,
        "faults": counts.faults,
        **origin(),
        "machine": machine(),
    }


def run_crash_bench(kills: int, seed: int, as_json: bool) -> None:
    """``telerig bench crash``."""
    from telerig.teleop.bench.report import progress, show

    with progress("bench crash") as advance:
        result = measure(kills, seed, advance)
    show("telerig bench crash", result, as_json)
