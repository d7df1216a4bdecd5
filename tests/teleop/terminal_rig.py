"""A session operated on a pseudo-terminal, for tests: the command in it, and the person at its other end."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from time import monotonic

from telerig.hardware.commands import Mode
from telerig.hardware.errors import ConfigError
from telerig.teleop.attach import Attached
from telerig.teleop.states import State
from telerig.teleop.stream import Tap

from .live_rig import HAND, RIG

COMMAND = """
import fcntl, json, os, resource, signal, sys, termios, threading
from pathlib import Path

rig, folder, hand, how = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if how in ("hung up", "job"):  # as with a window: the kernel tells this process, and a shell would tell all of its group
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if how == "job":  # of a shell: only then can it be suspended
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    if job := os.fork():
        while os.WIFSTOPPED(status := os.waitpid(job, os.WUNTRACED)[1]):
            pass
        sys.exit(abs(os.waitstatus_to_exitcode(status)))
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)

from telerig.teleop.bench.loop_bench import hand_process
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import operate, running
from telerig.teleop.rig import load_rig

rig = load_rig(Path(rig), emulate=True)
options = LiveOptions(extra=(hand_process(json.loads(hand)),), home=False)
with running(rig, options, Path(folder)) as (session, steward):
    operate(rig, session, steward, "", lambda: False, threading.Event())
    print("what is said at the end", flush=True)
"""


class Operated:
    """An engaged session under its command line, and the person at its terminal.

    :ivar process: the command line, or with ``how`` "job" the shell it is a job of.
    """

    def __init__(self, process: subprocess.Popen[bytes], terminal: Terminal, folder: Path, job: bool) -> None:
        self.process, self.terminal = process, terminal
        self.session = terminal.attached(folder)
        terminal.engage(self.session)
        self.pid = children(process.pid)[0] if job else process.pid
        self.children = children(self.pid)
        assert len(self.children) > 3
        self.applied: Tap = self.session.readers["robot/joints/applied"].tap()
        self._modes: list[Mode] = []
        assert terminal.until(lambda: Mode.JOINT_POSITION in self.modes(), 10.0)

    def modes(self) -> list[Mode]:
        """What the robot has done since it was engaged, without repetitions."""
        self._modes += [Mode(int(s.array("action"))) for s in self.applied.read()[0]]
        return [mode for mode, _ in groupby(self._modes)]

    def state(self) -> State | None:
        """The loop's newest state."""
        return state_of(self.session)

    def alive(self) -> list[int]:
        """Those of the session's processes that still run."""
        return [p for p in self.children if Path(f"/proc/{p}").exists()]


@contextmanager
def operated(folder: Path, how: str) -> Iterator[Operated]:
    """``how``: "hung up" and "job" have a controlling terminal, anything else has none."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", COMMAND, str(RIG), str(folder), json.dumps(HAND), how]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        terminal = Terminal(master, os.ttyname(slave))
        os.close(slave)
        try:
            yield Operated(process, terminal, folder, how == "job")
        finally:
            process.kill()
            terminal.close()


def children(pid: int) -> list[int]:
    """Ids of a process's children."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(session: Attached) -> State | None:
    """The loop's newest state."""
    sample = session.readers["session/state"].latest()
    return None if sample is None else State(int(sample.array("state")))


class Terminal:
    """The other end of a pseudo-terminal: what the person at it sees and types."""

    def __init__(self, master: int, path: str) -> None:
        self._master, self.path, self._shown, self._open = master, path, b"", True

    def close(self) -> None:
        """Close the window."""
        if self._open:
            os.close(self._master)
        self._open = False

    def type(self, keys: bytes) -> None:
        """Keys, control characters too."""
        os.write(self._master, keys)

    def fill(self) -> None:
        """More than a terminal takes that nobody reads: who writes next has to wait."""
        fd = os.open(self.path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            while os.write(fd, b"." * 4096):
                pass
        except BlockingIOError:
            os.close(fd)

    def attached(self, folder: Path) -> Attached:
        """The session, once it runs."""
        found: list[Attached] = []

        def attach() -> bool:
            try:
                found.append(Attached(folder))
            except ConfigError:
                return False
            return True

        assert self.until(attach, 40.0), self._shown.decode(errors="replace")
        assert self.until(lambda: found[0].control.going, 40.0), self._shown.decode(errors="replace")
        return found[0]

    def engage(self, session: Attached) -> None:
        """Press enable until the robot follows; a press that is not granted, or came too early, is made again."""
        for _ in range(4):
            if self._pressed(session, True) and self.until(lambda: state_of(session) is State.ENGAGED, 10.0):
                return
            self._pressed(session, False)
        raise AssertionError(f"{state_of(session)}: {self._shown.decode(errors='replace')}")

    def _pressed(self, session: Attached, wanted: bool) -> bool:
        def seen() -> bool:
            sample = session.readers["session/operator"].latest()
            return sample is not None and bool(sample.array("enable")) == wanted

        if not seen():
            os.write(self._master, b" ")
        return self.until(seen, 3.0)

    def until(self, condition: Callable[[], bool], limit_s: float, reading: bool = True) -> bool:
        """Whether a condition comes true; ``reading``: what is shown meanwhile."""
        end = monotonic() + limit_s
        while not condition():
            if monotonic() > end:
                return False
            if select.select([self._master] if reading else [], [], [], 0.02)[0]:  # a terminal that nobody reads blocks
                self._shown = (self._shown + os.read(self._master, 65536))[-4000:]
        return True
