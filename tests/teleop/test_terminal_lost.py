"""The window in which a robot is operated is closed: the robot holds, is damped, and nothing of the session stays."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from time import monotonic

import pytest

from telerig.hardware.commands import Mode
from telerig.hardware.errors import ConfigError
from telerig.teleop.attach import Attached
from telerig.teleop.states import State

from .live_rig import HAND, RIG

pytestmark = pytest.mark.realtime
COMMAND = """
import fcntl, json, sys, termios, threading
from pathlib import Path
from telerig.teleop.bench.loop_bench import hand_process
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import operate, running
from telerig.teleop.rig import load_rig

rig, folder, hand, how = sys.argv[1:]
if how == "hung up":  # as with a window: the kernel tells this process, and a shell would tell all of its group
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
rig = load_rig(Path(rig), emulate=True)
options = LiveOptions(extra=(hand_process(json.loads(hand)),), home=False)
with running(rig, options, Path(folder)) as (session, steward):
    operate(rig, session, steward, "", lambda: False, threading.Event())
    print("what is said at the end", flush=True)
"""


@pytest.mark.parametrize("how", ["hung up", "only unreadable"])
def test_a_terminal_that_goes_away_ends_the_session_in_order(tmp_path: Path, how: str) -> None:
    master, slave = pty.openpty()
    terminal = Terminal(master)
    command = [sys.executable, "-c", COMMAND, str(RIG), str(tmp_path), json.dumps(HAND), how]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as parent:
        os.close(slave)
        try:
            session = terminal.attached(tmp_path)
            terminal.engage(session)
            applied = session.readers["robot/joints/applied"].tap()
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            assert len(children) > 3
            terminal.close()
            if how == "hung up":
                os.killpg(parent.pid, signal.SIGHUP)
            assert parent.wait(20) == 0  # a traceback makes it 1, one that finds no terminal 120
        finally:
            parent.kill()
    actions = [Mode(int(s.array("action"))) for s in applied.read()[0]]
    assert [mode for mode, _ in groupby(actions)][-3:] == [Mode.JOINT_POSITION, Mode.HOLD, Mode.DAMP]
    assert not any(Path(f"/proc/{p}").exists() for p in children)
    robot = tmp_path / "robot.log"
    assert robot.read_text() == ""


def state_of(session: Attached) -> State | None:
    """The loop's newest state."""
    sample = session.readers["session/state"].latest()
    return None if sample is None else State(int(sample.array("state")))


class Terminal:
    """The other end of a pseudo-terminal: what the person at it sees and types."""

    def __init__(self, master: int) -> None:
        self._master, self._pause, self._shown = master, threading.Event(), b""

    def close(self) -> None:
        """Close the window."""
        os.close(self._master)

    def attached(self, folder: Path) -> Attached:
        """The session, once it runs."""
        found: list[Attached] = []

        def attach() -> bool:
            try:
                found.append(Attached(folder))
            except ConfigError:
                return False
            return True

        assert self._until(attach, 40.0), self._shown.decode(errors="replace")
        assert self._until(lambda: found[0].control.going, 40.0), self._shown.decode(errors="replace")
        return found[0]

    def engage(self, session: Attached) -> None:
        """Press enable until the robot follows; a press that is not granted, or came too early, is made again."""
        for _ in range(4):
            if self._pressed(session, True) and self._until(lambda: state_of(session) is State.ENGAGED, 10.0):
                return
            self._pressed(session, False)
        raise AssertionError(f"{state_of(session)}: {self._shown.decode(errors='replace')}")

    def _pressed(self, session: Attached, wanted: bool) -> bool:
        def seen() -> bool:
            sample = session.readers["session/operator"].latest()
            return sample is not None and bool(sample.array("enable")) == wanted

        if not seen():
            os.write(self._master, b" ")
        return self._until(seen, 3.0)

    def _until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        end = monotonic() + limit_s
        while not condition():
            if monotonic() > end:
                return False
            if select.select([self._master], [], [], 0.02)[0]:  # a terminal that nobody reads stops who writes
                self._shown = (self._shown + os.read(self._master, 65536))[-4000:]
        return True
