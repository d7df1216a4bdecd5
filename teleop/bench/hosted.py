"""A hosted session (:mod:`telerig.teleop.bench.host`) seen from the benchmark: asks it, watches it, stops and kills it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from telerig.hardware import events
from telerig.hardware.errors import DeviceError
from telerig.hardware.specs import StreamSpec
from telerig.teleop.attach import Attached
from telerig.teleop.episodes import EpisodeCommand, RecorderState
from telerig.teleop.plan import rig_as_told
from telerig.teleop.rig import Rig
from telerig.teleop.session import ProcessSpec
from telerig.teleop.states import State

START_LIMIT_S = 60.0
ANSWER_LIMIT_S = 10.0
TRIES = 4
END_LIMIT_S = 8.0


class HostedSession:
    """Runs from construction to :meth:`close`; use as a context manager.

    :param folder: new; gets ``run`` (sockets, journals, logs of all processes) and ``session`` (the recording).
    :param needs, agent: as in :class:`~telerig.teleop.live.LiveOptions`.
    :raises DeviceError: it did not start; its last words.
    """

    def __init__(
        self,
        rig: Rig,
        folder: Path,
        extra: Sequence[ProcessSpec] = (),
        streams: Sequence[StreamSpec] = (),
        **options: Any,
    ) -> None:
        folder.mkdir(parents=True)
        self.run, self.record, self._log = folder / "run", folder / "session", folder / "host.log"
        told: dict[str, Any] = {"rig": rig_as_told(rig), "folder": str(self.run), "record": str(self.record)}
        told["options"] = options
        told["extra"], told["streams"] = [asdict(p) for p in extra], [s.to_json() for s in streams]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "telerig.teleop.bench.host"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._buffer = b""
        try:
            self._tell(told)
            self._answer(START_LIMIT_S)
            self.attached = Attached(self.run)
        except BaseException:
            self.close()
            raise
        self.clock = self.attached.clock

    def __enter__(self) -> HostedSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the host ------------------------------------------------------------------------------------------------

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """One request.  :raises DeviceError: the host is gone or does not answer within 10 s."""
        self._tell({"do": do, **what})
        return self._answer(ANSWER_LIMIT_S)

    def _tell(self, request: dict[str, Any]) -> None:
        pipe = self._pipe(self.process.stdin)
        try:
            pipe.write(json.dumps(request).encode() + b"\n")
            pipe.flush()
        except OSError as error:
            raise DeviceError(f"the session's host is gone: {self.last_words()}") from error

    def _answer(self, limit_s: float) -> dict[str, Any]:
        fd = self._pipe(self.process.stdout).fileno()
        while b"\n" not in self._buffer:
            if not select.select([fd], [], [], limit_s)[0]:
                raise DeviceError(f"the session's host did not answer within {limit_s:.0f} s: {self.last_words()}")
            part = os.read(fd, 65536)
            if not part:
                raise DeviceError(f"the session's host ended: {self.last_words()}")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DeviceError(str(answer["error"]))
        return answer

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe

    def last_words(self) -> str:
        """The last line that the host wrote to its log."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else f"it said nothing, code {self.process.poll()}"

    def pids(self) -> dict[str, int]:
        """Process ids by name, the host's own as ``cli``."""
        return {**self.ask("pids")["pids"], "cli": self.process.pid}

    @property
    def usable(self) -> bool:
        """Whether the session still runs and nothing in it has failed for good."""
        if self.process.poll() is not None:
            return False
        try:
            return self.ask("pids")["failed"] is None
        except DeviceError:
            return False

    def episode(self, command: EpisodeCommand) -> int:
        """Ask something of the recorder; the instant at which it was asked."""
        return int(self.ask("episode", command=int(command))["t"])

    def enable(self, on: bool) -> None:
        """Hold or release enable."""
        self.ask("enable", on=on)

    def engage(self) -> None:
        """Release enable, reset what is latched, press, match.  :raises DeviceError: it does not engage in 4 tries."""
        moving = (State.MATCHING, State.ENGAGED)
        for _ in range(TRIES):
            if self.state() is State.ENGAGED:
                return
            self.enable(False)
            self.wait(lambda: self.state() not in moving, 10.0, "letting go")
            self.pass_time(0.3)
            for _ in range(20):
                if self.state() is not State.ESTOP:
                    break
                self.attached.control.reset_estop()
                self.pass_time(0.3)
            self.enable(True)
            if self.holds(lambda: self.state() in moving, 1.5):
                self.holds(lambda: self.state() is not State.MATCHING, 30.0)
        if self.state() is not State.ENGAGED:
            raise DeviceError(f"the robot did not engage ({self.reason()}; {self.last_words()})")

    # --- what is seen --------------------------------------------------------------------------------------------

    def state(self) -> State:
        """The loop's newest state."""
        sample = self.attached.readers["session/state"].latest()
        return State.IDLE if sample is None else State(int(sample.array("state")))

    def reason(self) -> str:
        """The loop's newest event, for error messages."""
        sample = self.attached.readers["loop/events"].latest()
        return "no event" if sample is None else events.from_sample(sample).text

    def recorder(self) -> RecorderState:
        """The recorder's newest report."""
        sample = self.attached.readers["recorder/state"].latest()
        return RecorderState() if sample is None else RecorderState.from_sample(sample)

    def holds(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Look every 5 ms until a condition holds; False after ``limit_s``."""
        pause, deadline = threading.Event(), self.clock.now() + int(limit_s * 1e9)
        while not condition():
            if self.clock.now() > deadline:
                return False
            pause.wait(0.005)
        return True

    def wait(self, condition: Callable[[], bool], limit_s: float, what: str) -> None:
        """:meth:`holds`, or :raises DeviceError: it does not in time."""
        if not self.holds(condition, limit_s):
            raise DeviceError(f"{what}: not within {limit_s:.0f} s ({self.reason()}; {self.last_words()})")

    def pass_time(self, seconds: float) -> None:
        """Let so much time go by."""
        self.clock.sleep_until(self.clock.now() + int(seconds * 1e9))

    # --- ends ----------------------------------------------------------------------------------------------------

    def kill_all(self) -> int:
        """SIGKILL to every process of the session at once; the instant just before."""
        pids = self.pids()
        at = self.clock.now()
        for pid in sorted(pids.values(), key=lambda p: p == self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.holds(lambda: not any(is_alive(p) for p in pids.values()), END_LIMIT_S)
        return at

    def close(self) -> None:
        """End in order; whoever does not is killed."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            with contextlib.suppress(DeviceError):
                self._tell({"do": "quit"})
            try:
                self.process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def is_alive(pid: int) -> bool:
    """Whether any thread of a process runs (a process that only waits to be reaped has none)."""
    try:
        stats = [p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False
    return any(stat.rsplit(")", 1)[1].split()[0] not in "ZX" for stat in stats)
