"""A hosted session (:mod:`telerig.teleop.bench.host`) seen from the benchmark: asks it, watches it, stops and kills it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from telerig.hardware.errors import DeviceError
from telerig.hardware.specs import StreamSpec
from telerig.teleop.attach import Attached
from telerig.teleop.bench.watched import WatchedSession, is_alive
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.plan import rig_as_told
from telerig.teleop.rig import Rig
from telerig.teleop.session import ProcessSpec

START_LIMIT_S = 60.0
ANSWER_LIMIT_S = 10.0
END_LIMIT_S = 8.0


class HostedSession(WatchedSession):
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
