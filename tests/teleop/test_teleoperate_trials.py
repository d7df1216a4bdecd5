"""What ``telerig teleop --operator virtual`` makes of a rig: how long, for whom, and what it may reset."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from telerig.hardware.scene import SceneRequest
from telerig.teleop.live import Steward
from telerig.teleop.rig import load_rig
from telerig.teleop.session import Session
from telerig.teleop.teleoperate import TeleopRequest, _trials
from tests.teleop.test_trials_walking import Beside

RIGS = Path(__file__).parents[2] / "rigs"


@pytest.mark.parametrize(("name", "limit", "walks"), [("homie_g1_walk", 60.0, True), ("homie_g1", 8.0, False)])
def test_trials_are_as_the_rig_s_operator_and_robot_need_them(name: str, limit: float, walks: bool) -> None:
    beside, path = Beside(), RIGS / f"{name}.toml"
    request = TeleopRequest(path, record=Path("sessions"), operator="virtual", trials=3, seed=5)
    beside.trials = _trials(request, load_rig(path), cast(Session, beside), cast(Steward, beside))
    assert beside.scene == SceneRequest(1, 5, reset_robot=walks)
    beside.poll(3.0)
    beside.press()
    beside.poll(limit + 1.9)
    assert beside.trials.results == []
    beside.poll(0.4)
    assert [(t.seed, t.reason) for t in beside.trials.results] == [(5, "took too long")]
    beside.poll(3.0)
    press = beside.fall()  # of a robot that may fall; another one's e-stop is a person's affair
    beside.poll(5.0)
    assert beside.control.asked_press == (press if walks else 0)
