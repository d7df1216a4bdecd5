"""A running session, seen from its parent: streams, processes, supervision, an orderly end.

The session makes every stream's memory, starts one process per device plus loop, recorder and emulators, restarts what
crashes, and hands descriptors to late readers (a viewer, a benchmark) over a Unix socket in its run folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telerig.hardware import events
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError
from telerig.hardware.events import Event, Level
from telerig.hardware.specs import StreamSpec
from telerig.teleop.control import ControlBlock
from telerig.teleop.stream import SharedReader, StreamMemory, StreamWriter

HEARTBEAT_LIMIT_S = 1.0
START_LIMIT_S = 20.0  # a first start imports libraries on a busy machine
BACK_OFF_S = (0.2, 5.0)
END_S = 3.0  # who has not ended so long after it was asked to is killed, but for those that say they need longer
LAST_WORDS = (
    4096  # bytes at a log's end: reading a whole one would silence the supervising thread, which holds the robot
)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process of a session.

    :param role: ``module:function`` that takes a :class:`~telerig.teleop.child.Child`.
    :param fifo: real-time priority, 0 for none; ``nice``: how much it gives way otherwise.
    :param restart: whether a crash is mended by starting it again (workers), or ends the session (the loop).
    :param order: processes with a lower number start first and end last.
    :param end_s: how long it may take to end in order; who is killed before may leave a robot with its torque on.
    """

    name: str
    role: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    fifo: int = 0
    nice: int = 0
    restart: bool = True
    order: int = 5
    end_s: float = END_S


class _Running:
    """One process and its history of restarts."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.popen: subprocess.Popen[bytes] | None = None
        self.started_at = 0
        self.back_off_s = BACK_OFF_S[0]
        self.start_again_at = 0
        self.restarts = 0
        self.stat = -1  # /proc/PID/stat, kept open: read 30 times a second
        self._lock = threading.Lock()  # one thread supervises, another closes: a descriptor's number is soon another's

    def is_gone(self) -> bool:
        """Whether it is suspended or dead, though perhaps not yet to be waited for: a thread of it may be in fsync."""
        with self._lock:
            try:
                return os.pread(self.stat, 512, 0).rpartition(b") ")[2][:1] in (b"T", b"t", b"Z", b"X")
            except OSError:
                return True

    def watch(self, pid: int | None) -> None:
        """From now on look at this process, or at none."""
        fd = -1 if pid is None else os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        with self._lock:
            old, self.stat = self.stat, fd
        if old >= 0:
            os.close(old)


class Session:
    """Everything that runs.  Use as a context manager; :meth:`supervise` must be called at least every 100 ms.

    :param facts: what every process and every late reader is told besides (JSON values).
    """

    def __init__(
        self, folder: Path, streams: Sequence[StreamSpec], processes: Sequence[ProcessSpec],
        facts: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.facts = folder, dict(facts or {})
        self.clock = RealClock()
        self.control = ControlBlock()
        names = [p.name for p in processes]
        if len(set(names)) != len(names):
            raise ConfigError(f"two processes share a name: {sorted(n for n in names if names.count(n) > 1)[0]}")
        self.beats = {name: i for i, name in enumerate(["session", *names])}
        own = [events.event_stream(n) for n in self.beats]
        self.memories = {spec.name: StreamMemory(spec) for spec in [*streams, *own]}
        self._running = [_Running(p) for p in sorted(processes, key=lambda p: p.order)]
        self._writers: dict[str, StreamWriter] = {}
        self._socket: Any = None
        self._lock = threading.Lock()
        self._starting = threading.Lock()  # held to start a process, or to learn that none will be started any more
        self.failed: str | None = None

    # --- streams -------------------------------------------------------------------------------------------------

    def reader(self, stream: str) -> SharedReader:
        """The reading end of a stream.  :raises KeyError: there is none of that name."""
        return SharedReader(self.memories[stream])

    def writer(self, stream: str) -> StreamWriter:
        """The writing end of a stream that the parent itself writes."""
        if stream not in self._writers:
            self._writers[stream] = StreamWriter(self.memories[stream])
        return self._writers[stream]

    def say(self, level: Level, code: str, text: str, **data: Any) -> None:
        """Report an event of the session itself."""
        event = Event(self.clock.now(), level, "session", code, text, data)
        with self._lock:
            self.writer("session/events").write(events.to_sample(event))

    # --- processes -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Session:
        from telerig.teleop.attach import StreamServer

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            told = {"offset_ns": self.clock.offset_ns, "facts": self.facts}
            self._socket = StreamServer(self.folder / "session.sock", self.memories, self.control, told)
            for running in self._running:
                self._start(running)
        except BaseException:  # interrupted too: nobody leaves what was never entered
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _told(self, spec: ProcessSpec) -> dict[str, Any]:
        streams = {name: {"spec": m.spec.to_json(), "fd": m.fd} for name, m in self.memories.items()}
        return {
            "name": spec.name, "role": spec.role, "settings": dict(spec.settings), "parent": os.getpid(),
            "offset_ns": self.clock.offset_ns, "control_fd": self.control.fd, "beats": self.beats,
            "fifo": spec.fifo, "nice": spec.nice, "streams": streams, "facts": self.facts,
        }  # fmt: skip

    def _start(self, running: _Running) -> None:
        told = json.dumps(self._told(running.spec)).encode()
        fd = os.memfd_create("telerig:told", 0)
        os.write(fd, told)
        fds = [fd, self.control.fd, *(m.fd for m in self.memories.values())]
        self.control.beat(self.beats[running.spec.name], 0)
        self.control.note_gone(self.beats[running.spec.name], False)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LP_NUM_THREADS": "1"}
        log = open(self.folder / f"{running.spec.name}.log", "ab")  # noqa: SIM115
        with log:
            running.popen = subprocess.Popen(
                [sys.executable, "-m", "telerig.teleop.child", str(fd)],
                pass_fds=fds, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )  # fmt: skip
        os.close(fd)
        running.watch(running.popen.pid)
        running.started_at = self.clock.now()

    def supervise(self) -> None:
        """Beat, look at every process, restart what died or hangs.  A dead loop ends the session (``failed``).

        One thread may call this while another is in :meth:`close`, which alone puts away what ended by then.
        """
        now = self.clock.now()
        self.control.beat(self.beats["session"], now)
        for running in self._running:
            popen = running.popen  # read once: close() may take it away at any moment
            if popen is None:
                if now >= running.start_again_at:
                    self._start_again(running)
                continue
            code = popen.poll()
            index = self.beats[running.spec.name]
            self.control.note_gone(index, code is not None or running.is_gone())
            if code is None and self._hangs(running, now):
                self.say(Level.ERROR, "process.hangs", f"{running.spec.name} gave no sign of life for 1 s: killed")
                popen.kill()
                self.control.beat(self.beats[running.spec.name], now)  # it is reaped, and started again, next time
            if code is not None and not self.control.stopping:
                self._ended(running, code, now)

    def _start_again(self, running: _Running) -> None:
        with self._starting:
            if not self.control.stopping:
                self._start(running)

    def _hangs(self, running: _Running, now: int) -> bool:
        last = self.control.last_beat(self.beats[running.spec.name])
        if last == 0:
            return now - running.started_at > START_LIMIT_S * 1e9
        return now - last > HEARTBEAT_LIMIT_S * 1e9

    def _ended(self, running: _Running, code: int, now: int) -> None:
        name = running.spec.name
        running.popen = None
        running.watch(None)
        reason = f"{name} ended with code {code}; {self.last_words(name)}"
        if not running.spec.restart:
            self.failed = reason
            self.say(Level.ERROR, "process.ended", reason)
            running.start_again_at = 2**62
            self.control.ask_to_stop()
            return
        if now - running.started_at > 10e9:
            running.back_off_s = BACK_OFF_S[0]
        self.say(Level.ERROR, "process.crashed", f"{reason}; again in {running.back_off_s:.1f} s")
        running.start_again_at = now + int(running.back_off_s * 1e9)
        running.back_off_s = min(2 * running.back_off_s, BACK_OFF_S[1])
        running.restarts += 1

    def last_words(self, name: str) -> str:
        """The last line a process wrote to its log, for error messages; no more than the log's end is read."""
        path = self.folder / f"{name}.log"
        end = b""
        with suppress(FileNotFoundError), path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_WORDS))
            end = log.read(LAST_WORDS)
        lines = end.decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else f"it said nothing (see {path})"

    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run now."""
        return {r.spec.name: popen.pid for r in self._running if (popen := r.popen) is not None}

    def started(self) -> bool:
        """Whether every process has given its first sign of life."""
        return all(self.control.last_beat(self.beats[r.spec.name]) for r in self._running)

    def close(self) -> None:
        """End in order: the loop holds, actuators damp and let go, the rest follows.

        Nobody survives 3 s, or the longest ``end_s`` of all processes (plan.py: a robot on its own feet, which goes down
        first, and rests before its torque goes off).

        Another thread should go on calling :meth:`supervise`: the robot's watchdog wants the session's beat until the end.
        """
        self.control.ask_to_stop()
        with self._starting:
            pass  # what supervise() was starting has started; from here on it starts nothing
        deadline = self.clock.now() + round(1e9 * max([END_S, *(r.spec.end_s for r in self._running)]))
        for running in sorted(self._running, key=lambda r: -r.spec.order):
            popen = running.popen
            if popen is None:
                continue
            left = max(0.05, (deadline - self.clock.now()) / 1e9)
            try:
                popen.wait(left)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()
            running.popen = None
            running.watch(None)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
