"""A terminal that takes nothing any more, suspends or kills its command: the robot holds and is damped, and stays so."""

from __future__ import annotations

import os
import signal
import termios
from pathlib import Path

import pytest

from telerig.hardware.commands import Mode
from telerig.teleop.states import State

from .terminal_rig import Operated, operated

pytestmark = pytest.mark.realtime
STOPPED = [Mode.JOINT_POSITION, Mode.HOLD, Mode.DAMP]
CTRL_Q, CTRL_S, CTRL_Z, CTRL_BACKSLASH = b"\x11", b"\x13", b"\x1a", b"\x1c"


def is_damped(rig: Operated) -> bool:
    """Whether the robot followed, held and is damped; looked at without reading the terminal."""
    return rig.terminal.until(lambda: rig.modes()[-3:] == STOPPED, 10.0, reading=False)


def goes_on(rig: Operated, keys: bytes, number: signal.Signals | None = None) -> None:
    """The terminal goes on, with what was typed meanwhile still to be read: nothing moves until a new press."""
    rig.terminal.type(keys)
    if number is not None:
        os.kill(rig.pid, number)
    told = rig.session.readers["session/operator"]
    seen = told.written + 30
    assert rig.terminal.until(lambda: told.written > seen, 10.0)
    assert rig.modes()[-1] is Mode.DAMP
    assert rig.state() is State.DAMPED


def test_ctrl_z_ctrl_s_and_ctrl_backslash_take_the_robot_with_them_in_order(tmp_path: Path) -> None:
    with operated(tmp_path, "job") as rig:
        rig.terminal.type(CTRL_Z)
        assert is_damped(rig), rig.modes()
        assert Path(f"/proc/{rig.pid}/stat").read_text().rpartition(") ")[2][0] == "T"
        goes_on(rig, b" ", signal.SIGCONT)
        rig.terminal.engage(rig.session)
        rig.terminal.type(CTRL_S)
        assert is_damped(rig), rig.modes()
        goes_on(rig, b"  " + CTRL_Q)
        rig.terminal.engage(rig.session)
        rig.terminal.type(CTRL_BACKSLASH)
        assert rig.process.wait(20) == signal.SIGQUIT
        assert is_damped(rig), rig.modes()
        assert rig.terminal.until(lambda: not rig.alive(), 10.0, reading=False), rig.alive()
        assert (tmp_path / "robot.log").read_text() == ""


def test_a_terminal_that_nobody_reads_releases_enable_and_sigterm_still_ends_all(tmp_path: Path) -> None:
    with operated(tmp_path, "not read") as rig:
        slave = os.open(rig.terminal.path, os.O_RDWR | os.O_NOCTTY)
        rig.terminal.fill()
        assert is_damped(rig), rig.modes()
        assert rig.process.poll() is None
        rig.terminal.fill()  # where there was room again by now
        rig.process.send_signal(signal.SIGTERM)
        assert rig.process.wait(20) == 0
        assert rig.modes()[-3:] == STOPPED
        assert not rig.alive()
        assert (tmp_path / "robot.log").read_text() == ""
        assert termios.tcgetattr(slave)[3] & termios.ICANON  # the terminal is as it was before
        os.close(slave)
