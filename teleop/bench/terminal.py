"""A session under its real command line, on a terminal of its own: keys go in, the screen comes out.

Nothing of the session is in the benchmark's process but the hand that moves the emulated sensors, as a person would.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Sequence
from pathlib import Path

from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DeviceError
from telerig.teleop import realtime
from telerig.teleop.attach import Attached
from telerig.teleop.bench.screen_log import Chunk
from telerig.teleop.bench.watched import WatchedSession
from telerig.teleop.hand_process import RATE_HZ, Hand, controls_sample

ROWS, COLUMNS = 24, 80  # what is told has to be seen on the smallest screen that people use
START_LIMIT_S = 60.0
END_LIMIT_S = 8.0
PRESSES = 3
KEPT = 4000  # chunks of the screen: far more than the judge looks back


class TerminalSession(WatchedSession):
    """Runs from construction to :meth:`close`.

    :param command: what to run, e.g. ``telerig teleop RIG --record FOLDER`` as a list.
    :param folder: new; gets the session's run folder and what else it keeps in a temporary place.
    :param hand: moves the emulated sensors.
    :raises DeviceError: it did not start; its last words.
    """

    def __init__(self, command: Sequence[str], folder: Path, hand: Hand) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._chunks: list[Chunk] = []
        self._end = threading.Event()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {**os.environ, "TMPDIR": str(folder), "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
        environment["LINES"] = str(ROWS)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._threads = [threading.Thread(target=self._watch, name="terminal", daemon=True)]
        self._threads[0].start()
        try:
            self.run = self._attach(folder)
        except BaseException:
            self.close()
            raise
        self.clock = self.attached.clock
        self._threads.append(threading.Thread(target=self._wear, args=(hand,), name="hand", daemon=True))
        self._threads[1].start()

    def _attach(self, folder: Path) -> Path:
        pause, clock = threading.Event(), RealClock(0)
        deadline = clock.now() + int(START_LIMIT_S * 1e9)
        while self.process.poll() is None and clock.now() < deadline:
            for socket in folder.glob("telerig-*/session.sock"):
                with contextlib.suppress(ConfigError):
                    self.attached = Attached(socket.parent)
                    return socket.parent
            pause.wait(0.05)
        raise DeviceError(f"the session did not start: {self.last_words()}")

    def _watch(self) -> None:
        """Note what comes out of the terminal, until its other end is closed."""
        realtime.fifo(realtime.SUPERVISOR)
        clock = RealClock(0)
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return  # the command line is gone
            self._chunks.append((clock.now(), data))
            del self._chunks[:-KEPT]

    def _wear(self, hand: Hand) -> None:
        """Move the emulated sensors until :meth:`close`."""
        realtime.fifo(realtime.SUPERVISOR)
        writers = {n.removesuffix("/controls"): self.attached.writer(n) for n in self.attached.readers if _moved(n)}
        due = self.clock.now()
        while not self._end.is_set():
            due = max(due + round(1e9 / RATE_HZ), self.clock.now() - 100_000_000)
            self.clock.sleep_until(due)
            for device, values in hand.step(self.clock.now(), self.attached.readers).items():
                writers[device].write(controls_sample(writers[device].spec, values, self.clock.now()))

    # --- its command line ----------------------------------------------------------------------------------------

    def screen(self) -> list[Chunk]:
        """What came out of the terminal, by the session's clock."""
        offset = self.clock.offset_ns
        return [(t + offset, data) for t, data in self._chunks]

    def last_words(self) -> str:
        """The last line on the screen."""
        text = b"".join(data for _, data in self._chunks[-50:]).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"it said nothing, code {self.process.poll()}"

    def press(self, key: str) -> None:
        """One key.  :raises DeviceError: nobody reads keys any more."""
        try:
            os.write(self._master, key.encode())
        except OSError as error:
            raise DeviceError(f"the command line is gone: {self.last_words()}") from error

    def _enabled(self) -> bool:
        newest = self.attached.readers["session/operator"].latest()
        return newest is not None and bool(newest.array("enable"))

    def enable(self, on: bool) -> None:
        """Hold or release enable: the space bar changes it; enable that has lapsed has to be released first.

        :raises DeviceError: it does not change.
        """
        for _ in range(PRESSES):
            if self._enabled() is on:
                return
            self.press(" ")
            self.holds(lambda: self._enabled() is on, 1.0)
        self.wait(lambda: self._enabled() is on, 2.0, "the space bar")

    def reset(self) -> None:
        """Reset the e-stop."""
        self.press("r")

    def pids(self) -> dict[str, int]:
        """Process ids of the session by name (a process logs to NAME.log), the command line's own as ``cli``."""
        found = {}
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(folder.name)
                parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
                log = Path(os.readlink(folder / "fd" / "1"))
                if parent == self.process.pid and log.suffix == ".log":
                    found[log.stem] = pid
        return {**found, "cli": self.process.pid}

    @property
    def usable(self) -> bool:
        """Whether the session still runs, its loop too."""
        return self.process.poll() is None and "loop" in self.pids() and not self.attached.control.stopping

    # --- ends ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End in order; whoever does not is killed."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            with contextlib.suppress(DeviceError):
                self.press("q")
        try:
            self.process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._end.set()
        for thread in self._threads:
            thread.join(END_LIMIT_S)
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


def _moved(stream: str) -> bool:
    return stream.endswith("/controls")
