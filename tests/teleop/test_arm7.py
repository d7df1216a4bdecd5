"""The seven-joint arm with a gripper in a simulated world, driven by a leader arm: another robot, and nothing new but a rig."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from telerig.teleop.live import COCKPIT
from telerig.teleop.rig import load_rig
from telerig.teleop.states import State
from telerig.teleop.virtual import VirtualSession

pytest.importorskip("mujoco")
RIG = Path(__file__).parents[2] / "rigs" / "arm7.toml"


def run(session: VirtualSession, seconds: float, until: State | None = None) -> State:
    for _ in range(round(200 * seconds)):
        state = session.step().state
        if state is until:
            break
    return state


def test_the_arm_follows_its_leader_and_the_trigger_closes_the_gripper() -> None:
    angle = np.zeros(8)
    session = VirtualSession(load_rig(RIG), COCKPIT, lambda now, readers: {"leader": {"angle": angle.copy()}})
    with session:
        assert run(session, 10.0, State.HOMING) is State.HOMING
        assert run(session, 20.0, State.IDLE) is State.IDLE
        session.enable = True
        assert run(session, 10.0, State.ENGAGED) is State.ENGAGED
        home = session.readers["robot/state"].latest().array("position").copy()  # type: ignore[union-attr]
        for _ in range(200):
            angle += np.array([0.3, -0.2, 0.2, 0.2, 0.3, -0.2, 0.3, 0.8]) / 200
            session.step()
        run(session, 1.0)
        moved = session.readers["robot/state"].latest().array("position") - home  # type: ignore[union-attr]
        assert run(session, 0.1) is State.ENGAGED
    assert moved[:7] == pytest.approx(angle[:7], abs=0.05)
    assert moved[7] == pytest.approx(-0.04, abs=0.004)
