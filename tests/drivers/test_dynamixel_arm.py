"""The follower arm against its emulator, in virtual time: what moves, what holds, what sinks, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.drivers.dynamixel_servo import LIMP_FRICTION
from telerig.hardware.commands import Mode
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import CommandRefused
from telerig.hardware.wire import dynamixel_table as table

from .dynamixel_arm_rig import HOME, TICK, Rig


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.driver.open()
    return made


def test_embodiment() -> None:
    body = load_embodiment("follower_arm")
    target = body.target("robot", "joints")
    assert target.size == 7
    assert target.names[-1] == "gripper"
    assert target.state == ("robot/state", "position")
    assert body.group("arm").slots == (0, 1, 2, 3, 4, 5)
    assert body.group("gripper").slots == (32,)
    np.testing.assert_array_equal(target.home, HOME)


def test_follows_and_reports(rig: Rig) -> None:
    sample = rig.drive(HOME, 20)
    moving = sample.array("velocity")
    assert moving[1] < -0.5
    assert moving[6] > 0.5
    assert sample.array("effort")[6] > 0.1
    sample = rig.drive(HOME, 300)
    np.testing.assert_allclose(sample.array("position"), HOME, atol=2 * table.RAD_PER_TICK)
    np.testing.assert_allclose(sample.array("velocity"), 0, atol=0.03)
    assert rig.registers(table.BUS_WATCHDOG) == [10] * 7
    assert rig.events == []


def test_profile_velocity_limits_speed_whatever_is_commanded(rig: Rig) -> None:
    fastest = max(abs(rig.drive(np.full(7, 1.4), 1).array("velocity")).max() for _ in range(100))
    assert fastest <= 4.0 + 0.03


def test_goals_are_clamped_to_the_hard_limits(rig: Rig) -> None:
    sample = rig.drive(np.full(7, 50.0), 800)
    np.testing.assert_allclose(sample.array("position"), rig.driver.targets[0].high, atol=2e-3)


def test_signs_and_offsets() -> None:
    signs, offsets = (1, -1, 1, -1, 1, 1, -1), (0.0, 0.2, -0.3, 0.0, 0.5, 0.0, 0.1)
    rig = Rig(signs=signs, offsets=offsets)
    rig.driver.open()
    sample = rig.drive(HOME, 400)
    np.testing.assert_allclose(sample.array("position"), HOME, atol=2e-3)
    np.testing.assert_allclose(rig.angles(), np.array(signs) * HOME + offsets, atol=2e-3)


def test_engaging_does_not_jerk(rig: Rig) -> None:
    """Torque comes on with the goal where the arm is, not where the goal register was."""
    for servo in rig.emulator.servos.values():
        servo.angle = 0.7
    assert rig.registers(table.GOAL_POSITION)[0] != table.to_ticks(0.7)
    rig.clock.advance(TICK)
    rig.driver.hold()
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    rig.idle(200)
    np.testing.assert_allclose(rig.angles(), 0.7, atol=1e-3)


def test_hold_stops_and_repeated_hold_does_not_sag(rig: Rig) -> None:
    rig.drive(HOME, 30)
    rig.driver.hold()
    at = rig.angles()
    rig.emulator.set_values({"load": [0.0, 2.0, 0, 0, 0, 0, 0]})
    sags = []
    for _ in range(5):
        for _ in range(20):
            rig.driver.hold()
            rig.idle(1)
        sags.append(rig.angles()[1] - at[1])
    assert sags[1] == pytest.approx(0.05, abs=1e-2)  # load over stiffness
    assert sags[-1] == pytest.approx(sags[1], abs=1e-3)


def test_damp_sinks_slowly_and_torque_stays_on(rig: Rig) -> None:
    rig.drive(HOME, 300)
    rig.emulator.set_values({"load": [0.0, 1.0, 0, 0, 0, 0, 0]})
    rig.driver.damp()
    before = rig.angles()
    rig.idle(100)
    speed = (rig.angles() - before)[1] / 0.5
    assert 0.1 < speed < 0.6
    assert speed < 0.1 * (1.0 / LIMP_FRICTION)  # limp it would fall
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    assert rig.registers(table.POSITION_P_GAIN) == [0] * 7
    assert rig.registers(table.POSITION_D_GAIN) == [4000] * 7
    rig.driver.damp()
    rig.driver.hold()
    before = rig.angles()
    rig.emulator.set_values({"load": [0.0] * 7})
    rig.idle(100)
    np.testing.assert_allclose(rig.angles(), before, atol=3e-3)
    assert rig.registers(table.POSITION_P_GAIN) == [800] * 7


def test_damp_leaves_a_limp_arm_limp(rig: Rig) -> None:
    rig.driver.damp()
    assert rig.registers(table.TORQUE_ENABLE) == [0] * 7


def test_modes_hold_and_damp_as_commands(rig: Rig) -> None:
    rig.driver.send(rig.command([], Mode.HOLD))
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    rig.driver.send(rig.command([], Mode.DAMP))
    assert rig.registers(table.POSITION_P_GAIN) == [0] * 7


@pytest.mark.parametrize(
    ("goal", "mode", "target", "text"),
    [
        (HOME, Mode.JOINT_POSITION, "robot/base", "command is for 'robot/base'"),
        (HOME, Mode.JOINT_TORQUE, "robot/joints", "not joint_torque"),
        (HOME[:6], Mode.JOINT_POSITION, "robot/joints", "needs 7 finite values"),
        ([np.nan] * 7, Mode.JOINT_POSITION, "robot/joints", "needs 7 finite values"),
    ],
)
def test_commands_that_make_no_sense(rig: Rig, goal: object, mode: Mode, target: str, text: str) -> None:
    with pytest.raises(CommandRefused, match=text):
        rig.driver.send(rig.command(goal, mode, target))
    assert rig.registers(table.TORQUE_ENABLE) == [0] * 7
