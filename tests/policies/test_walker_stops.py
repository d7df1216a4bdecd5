"""What stops the humanoid on its own feet: it comes to rest within its time and goes on standing, or is damped where asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.commands import Mode
from telerig.hardware.errors import CommandRefused
from telerig.hardware.legs import Balance, LegMode
from telerig.teleop.states import Reason, State

from .walker import Walker, at_speed, firmware, rest_within, standing

pytest.importorskip("onnxruntime")


@pytest.fixture
def engaged(tmp_path: Path) -> Iterator[Walker]:
    with standing(tmp_path) as walker:
        yield walker


def test_a_loop_that_dies_stops_the_robot_within_300_ms_and_it_stands_on(engaged: Walker, monkeypatch) -> None:
    at_speed(engaged)
    height = engaged.body._wish[3]
    status = engaged.session.loop.status
    monkeypatch.setattr(engaged.session.loop, "tick", lambda *_: status)
    rest_within(engaged, 0.3)
    engaged.run(2.0)
    assert engaged.mode("upper") == Mode.DAMP
    assert engaged.state is Balance.BALANCING
    assert engaged.body._wish[3] == pytest.approx(height, abs=0.02)
    assert firmware(engaged).leg_mode is LegMode.FOLLOW


@pytest.mark.parametrize("how", ["unplugged", "silent"])
def test_a_pedal_box_that_is_gone_or_silent_stops_the_robot_within_300_ms(engaged: Walker, how: str) -> None:
    at_speed(engaged)
    if how == "silent":
        engaged.session.emulator("pedals").fault("silent")
    else:
        engaged.session.unplugged.add("pedals")
    rest_within(engaged, 0.3)
    assert engaged.happened("state.hold")
    assert engaged.state is Balance.BALANCING


def test_a_robot_without_a_pedal_box_stands_until_it_is_back_and_enable_is_pressed(engaged: Walker) -> None:
    at_speed(engaged)
    engaged.session.unplugged.add("pedals")
    seen = []
    for _ in range(200 * 5):
        seen.append(engaged.session.step().state)
        assert engaged.state is Balance.BALANCING
    assert list(dict.fromkeys(seen)) == [State.HOLD, State.DAMPED]  # that it is gone is known at once
    assert engaged.session.loop.status.reason is Reason.HELD
    assert engaged.mode("base") == Mode.BASE_VELOCITY_HEIGHT
    assert firmware(engaged).leg_mode is LegMode.FOLLOW
    assert engaged.height > 0.65
    assert len(engaged.happened("pedals.gone")) == 1
    engaged.feet.position = [0.0, 0.0, 0.0]
    engaged.session.unplugged.discard("pedals")  # the foot is on the pedal all the time
    assert engaged.run(1.0) is State.DAMPED
    engaged.press()
    assert engaged.run(6.0, State.ENGAGED) is State.ENGAGED
    assert engaged.state is Balance.BALANCING
    assert engaged.height > 0.70
    engaged.feet.stop = True
    assert engaged.run(0.1, State.ESTOP) is State.ESTOP


def test_an_estop_counts_without_a_pedal_box(engaged: Walker) -> None:
    engaged.session.unplugged.add("pedals")
    engaged.run(2.0)
    assert engaged.state is Balance.BALANCING
    engaged.session.control.press_estop()
    engaged.run(1.1)
    assert engaged.session.loop.status.state is State.ESTOP
    assert engaged.state is Balance.LIMP


def test_a_stop_switch_that_opens_while_its_box_was_away_is_an_estop(engaged: Walker) -> None:
    engaged.session.unplugged.add("pedals")
    engaged.run(2.0)
    engaged.feet.stop = True
    engaged.session.unplugged.discard("pedals")
    assert engaged.run(0.1, State.ESTOP) is State.ESTOP
    assert engaged.session.loop.status.reason is Reason.STOP_SWITCH


def test_releasing_enable_stops_the_robot_within_300_ms(engaged: Walker) -> None:
    at_speed(engaged)
    engaged.feet.enable = False
    rest_within(engaged, 0.3)
    assert engaged.state is Balance.BALANCING


def test_an_estop_stops_it_stands_for_the_rest_of_its_time_and_damps(engaged: Walker) -> None:
    at_speed(engaged)
    engaged.session.control.press_estop()
    rest_within(engaged, 0.25)
    assert engaged.state is Balance.BALANCING
    engaged.run(0.7, Balance.LIMP)
    assert engaged.state is Balance.LIMP
    assert firmware(engaged).leg_mode is LegMode.DAMP


def test_an_open_stop_switch_does_the_same(engaged: Walker) -> None:
    engaged.feet.stop = True
    engaged.run(0.5)
    assert engaged.state is Balance.BALANCING
    engaged.run(0.6)
    assert engaged.state is Balance.LIMP
    assert engaged.session.loop.status.state is State.ESTOP


def test_drives_that_let_go_hold_the_session_and_need_a_new_press(engaged: Walker) -> None:
    engaged.session.scene(1, 1, reset_robot=True)
    engaged.run(0.5)
    assert engaged.state is Balance.LIMP
    status = engaged.session.loop.status
    assert (status.state, status.reason) == (State.HOLD, Reason.TRIPPED)
    assert "limp" in status.detail
    engaged.run(1.5)
    assert engaged.state is Balance.LIMP
    engaged.press()
    assert engaged.run(6.0, State.ENGAGED) is State.ENGAGED


def test_a_worker_that_dies_leaves_legs_stiff_for_a_second_then_damped(engaged: Walker, monkeypatch) -> None:
    actuator = engaged.session._actuators["robot"]
    monkeypatch.setattr(actuator, "command", lambda estop: None)
    monkeypatch.setattr(actuator, "read", lambda: None)
    engaged.run(0.9)
    assert firmware(engaged).leg_mode is LegMode.FOLLOW
    assert engaged.height > 0.65
    engaged.run(0.3)
    assert firmware(engaged).leg_mode is LegMode.DAMP


def test_a_hand_that_is_silent_holds_the_session_and_the_robot_stands(engaged: Walker, monkeypatch) -> None:
    """As the driver of a G1 has it: its joints are unknown, goals are refused."""
    robot = engaged.session.devices["robot"]
    fingers = ["_hand_" in name for name in robot.targets[0].names]
    read = robot.read

    def deaf(timeout_s: float):
        found = read(timeout_s)
        for sample in found:
            if sample.stream == "robot/state":
                sample.data.update({k: np.where(fingers, np.nan, v) for k, v in sample.data.items()})
        return found

    def refuse(command):
        raise CommandRefused("its left hand is silent")

    monkeypatch.setattr(robot, "read", deaf)
    monkeypatch.setattr(robot, "send", refuse)
    seen = []
    for _ in range(200 * 3):
        seen.append(engaged.session.step().state)
        assert engaged.state is Balance.BALANCING
    assert list(dict.fromkeys(seen)) == [State.ENGAGED, State.HOLD, State.DAMPED]
    assert engaged.height > 0.70
    assert "left hand is silent" in engaged.happened("actuator.refused")[0]
    engaged.press()
    engaged.run(1.0)
    assert engaged.session.loop.status.state is State.MATCHING  # its fingers cannot match
    assert engaged.state is Balance.BALANCING
