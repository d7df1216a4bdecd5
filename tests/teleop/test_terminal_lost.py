"""The window in which a robot is operated is closed: the robot holds, is damped, and nothing of the session stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from telerig.hardware.commands import Mode

from .terminal_rig import operated

pytestmark = pytest.mark.realtime


@pytest.mark.parametrize("how", ["hung up", "only unreadable"])
def test_a_terminal_that_goes_away_ends_the_session_in_order(tmp_path: Path, how: str) -> None:
    with operated(tmp_path, how) as rig:
        rig.terminal.close()
        if how == "hung up":
            os.killpg(rig.pid, signal.SIGHUP)
        assert rig.process.wait(20) == 0  # a traceback makes it 1, one that finds no terminal 120
        assert rig.modes()[-3:] == [Mode.JOINT_POSITION, Mode.HOLD, Mode.DAMP]
        assert not rig.alive()
        assert (tmp_path / "robot.log").read_text() == ""
