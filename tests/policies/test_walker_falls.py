"""The humanoid falls, or is taken to: everything is damped at once and latched, until it is reset and level."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.commands import Mode
from telerig.hardware.errors import DataError
from telerig.hardware.legs import Balance, LegMode
from telerig.teleop.states import State

from .walker import Walker, firmware, folded, heard, lost, measured, standing

pytest.importorskip("onnxruntime")


@pytest.fixture
def engaged(tmp_path: Path) -> Iterator[Walker]:
    with standing(tmp_path) as walker:
        yield walker


def tip(walker: Walker, radians: float) -> None:
    """Turn the robot about its left-right axis, as a hand from nowhere would."""
    data = walker.plant.data
    data.qpos[3:7] = (np.cos(radians / 2), 0.0, np.sin(radians / 2), 0.0)
    data.qpos[2] += 0.3


@pytest.mark.parametrize("radians", [0.9, 1.7])  # at 1.6 HOMIE calls a keyword that does not exist, and goes on driving
def test_tilt_damps_everything_at_once_and_latches(engaged: Walker, radians: float) -> None:
    tip(engaged, radians)
    engaged.run(0.03)
    assert engaged.state is Balance.FALLEN
    assert firmware(engaged).leg_mode is LegMode.DAMP
    found = re.search(r"tilted by (\d+) degrees", engaged.happened("body.fall")[0])
    assert found is not None
    assert float(found[1]) == pytest.approx(np.degrees(radians), abs=3.0)  # it swayed a little before
    engaged.run(0.02)
    assert engaged.mode("upper") == Mode.DAMP
    assert engaged.session.control.estop
    assert engaged.session.loop.status.state is State.ESTOP
    engaged.feet.enable = False
    engaged.run(1.5)
    assert engaged.state is Balance.FALLEN
    assert firmware(engaged).leg_mode is LegMode.DAMP


def test_legs_that_did_not_hear_of_the_fall_are_told_again(engaged: Walker, monkeypatch) -> None:
    robot, told = engaged.session.devices["robot"], list[int]()
    damp = robot.damp_legs

    def once_lost() -> None:
        told.append(engaged.session.clock.now())
        if len(told) > 1:
            damp()

    monkeypatch.setattr(robot, "damp_legs", once_lost)
    tip(engaged, 0.9)
    engaged.run(0.03)
    assert engaged.state is Balance.FALLEN
    assert firmware(engaged).leg_mode is LegMode.FOLLOW
    engaged.run(0.1)
    assert engaged.state is Balance.FALLEN
    assert firmware(engaged).leg_mode is LegMode.DAMP
    engaged.run(0.1)
    told.clear()
    engaged.run(0.5)
    assert not told  # only where they are not damped


def test_a_push_that_is_too_much_is_a_fall(engaged: Walker) -> None:
    engaged.plant.data.qvel[0] += 2.5
    engaged.run(2.0, Balance.FALLEN)
    assert engaged.state is Balance.FALLEN
    engaged.run(1.5)
    assert engaged.height < 0.5
    assert np.isfinite(engaged.plant.data.qpos).all()
    assert np.abs(engaged.plant.data.qvel[:6]).max() < 1.0  # it lies


def test_after_a_fall_a_reset_and_a_level_stance_are_needed(engaged: Walker) -> None:
    tip(engaged, 1.2)
    engaged.run(1.0)
    engaged.press()
    engaged.run(0.2)
    assert engaged.session.loop.status.state is State.ESTOP  # a press alone is nothing
    engaged.feet.enable = False
    engaged.run(0.05)
    engaged.session.control.reset_estop()
    assert engaged.run(0.1, State.IDLE) is State.IDLE
    engaged.run(0.1)
    assert engaged.state is Balance.LIMP
    engaged.press()
    engaged.run(1.5)
    assert engaged.state is Balance.LIMP
    assert "not level and still" in engaged.happened("body.not_settled")[0]
    assert engaged.session.loop.status.state is not State.ENGAGED
    engaged.feet.enable = False
    engaged.session.scene(1, 1, reset_robot=True)  # somebody puts it back into the gantry
    engaged.run(1.0)
    engaged.press()
    assert engaged.run(6.0, State.ENGAGED) is State.ENGAGED


def test_a_policy_at_fault_is_a_fall(engaged: Walker, monkeypatch) -> None:
    def broken(*_):
        raise DataError("its output for left_knee_joint is not finite")

    monkeypatch.setattr(engaged.body._drive, "step", broken)
    engaged.run(0.05)
    assert engaged.state is Balance.FALLEN
    assert engaged.session.control.estop
    assert "left_knee_joint" in engaged.happened("body.fall")[0]


@pytest.mark.parametrize(("stream", "words"), [("body", "its legs are not"), ("state", "its arms are not measured")])
def test_legs_or_arms_that_are_not_measured_are_a_fall(engaged: Walker, stream: str, words: str) -> None:
    heard(engaged, lost(f"robot/{stream}"))
    engaged.run(0.08)
    assert engaged.state is Balance.BALANCING
    engaged.run(0.07)
    assert engaged.state is Balance.FALLEN
    assert firmware(engaged).leg_mode is LegMode.DAMP
    assert engaged.session.control.estop
    assert words in engaged.happened("body.fall")[0]


def test_a_pelvis_that_sinks_is_a_fall_though_it_is_level(engaged: Walker) -> None:
    heard(engaged, measured("position", *folded(engaged, -2.2)))  # 0.21 m above the soles
    engaged.run(0.04)
    assert engaged.state is Balance.BALANCING
    heard(engaged, measured("position", *folded(engaged, -2.5)))  # 0.17 m
    engaged.run(0.04)
    assert engaged.state is Balance.FALLEN
    assert "sunk to 0.1" in engaged.happened("body.fall")[0]
    assert engaged.body.poise.tilt < np.radians(12)
