"""The follower arm when its firmware stops it, a servo reports trouble, falls out, or comes back."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.drivers.dynamixel_chain import ServoError
from telerig.hardware.errors import CommandRefused
from telerig.hardware.wire import dynamixel_table as table

from .dynamixel_arm_rig import HOME, MS, Rig


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.driver.open()
    return made


def test_firmware_stops_when_the_host_dies(rig: Rig) -> None:
    rig.drive(HOME, 20)
    assert np.abs([s.velocity for s in rig.emulator.servos.values()]).max() > 0.5
    at = rig.clock.now()
    rig.emulator.step(at + 201 * MS, b"")  # 200 ms without a word
    stopped = rig.angles()
    rig.emulator.step(at + 5_000 * MS, b"")
    np.testing.assert_allclose(rig.angles(), stopped, atol=1e-3)


def test_watchdog_is_told_refused_and_cleared_by_hold_only(rig: Rig) -> None:
    rig.drive(HOME, 20)
    rig.clock.advance(400 * MS)
    with pytest.raises(CommandRefused, match="bus watchdog"):
        rig.driver.send(rig.command(HOME))
    assert rig.codes() == ["device.watchdog"] * 7
    with pytest.raises(CommandRefused, match="bus watchdog"):
        rig.drive(HOME, 3)
    rig.driver.hold()
    sample = rig.drive(HOME, 300)
    np.testing.assert_allclose(sample.array("position"), HOME, atol=3e-3)
    assert rig.registers(table.BUS_WATCHDOG) == [10] * 7
    assert len(rig.events) == 7


def test_watchdog_tripped_is_also_seen_while_only_reading(rig: Rig) -> None:
    rig.drive(HOME, 20)
    rig.clock.advance(400 * MS)
    rig.driver.read(0)
    assert rig.codes() == ["device.watchdog"] * 7


def test_watchdog_can_be_switched_off() -> None:
    rig = Rig(bus_watchdog_ms=0)
    rig.driver.open()
    rig.drive(HOME, 20)
    rig.clock.advance(3_000 * MS)
    rig.drive(HOME, 2)
    assert rig.registers(table.BUS_WATCHDOG) == [0] * 7


def test_hardware_alert_is_told_and_refused(rig: Rig) -> None:
    rig.drive(HOME, 100)
    rig.emulator.fault("alert", servo=2, code=0x20)  # overload: its firmware switches its torque off
    rig.idle(1)
    assert rig.codes()[0] == "device.servo_alert"
    assert rig.events[0].text == "servo 2 (shoulder): overload"
    with pytest.raises(CommandRefused, match=r"servo 2 \(shoulder\) reports overload"):
        rig.driver.send(rig.command(HOME))
    rig.driver.hold()
    rig.idle(100)
    assert rig.registers(table.TORQUE_ENABLE) == [1, 0, 1, 1, 1, 1, 1]
    assert rig.codes().count("device.servo_alert") == 1


def test_a_servo_that_lost_its_torque_is_found_and_held_again(rig: Rig) -> None:
    rig.drive(HOME, 300)
    rig.emulator.fault("power_cycle", servo=3)
    rig.idle(5 * 7 + 1)
    assert rig.codes() == ["device.torque_lost"]
    with pytest.raises(CommandRefused, match=r"servo 3 \(elbow\) has lost its torque: hold first"):
        rig.driver.send(rig.command(HOME))
    rig.driver.hold()
    sample = rig.drive(HOME, 50)
    np.testing.assert_allclose(sample.array("position"), HOME, atol=3e-3)


def test_while_holding_a_servo_that_fell_out_holds_again_by_itself(rig: Rig) -> None:
    """Nothing calls ``hold`` twice, and holding where it is moves nothing."""
    rig.drive(HOME, 300)
    rig.driver.hold()
    rig.emulator.fault("power_cycle", servo=3)
    rig.idle(40)
    rig.emulator.fault("silent", servo=5)
    rig.idle(10)
    rig.emulator.fault("power_cycle", servo=5)
    rig.emulator.fault("silent", servo=5, on=0)
    rig.idle(60)
    rig.clock.advance(400 * MS)  # the bus watchdog trips
    rig.idle(2)
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    assert rig.registers(table.BUS_WATCHDOG) == [10] * 7
    assert all(rig.registers(table.PROFILE_VELOCITY))
    assert set(rig.codes()) == {"device.torque_lost", "device.servo_missing", "device.servo_back", "device.watchdog"}
    rig.drive(HOME, 3)


def test_a_damped_arm_stays_damped_whoever_returns(rig: Rig) -> None:
    rig.drive(HOME, 300)
    rig.driver.damp()
    rig.emulator.fault("silent", servo=5)
    rig.idle(10)
    rig.emulator.fault("power_cycle", servo=5)
    rig.emulator.fault("silent", servo=5, on=0)
    rig.idle(100)
    assert rig.registers(table.TORQUE_ENABLE) == [1, 1, 1, 1, 0, 1, 1]
    assert rig.registers(table.POSITION_P_GAIN) == [0, 0, 0, 0, 800, 0, 0]
    rig.driver.hold()
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7


def test_a_servo_that_was_away_when_the_arm_was_damped_is_damped_when_it_is_back(rig: Rig) -> None:
    rig.drive(HOME, 300)
    rig.driver.hold()
    rig.emulator.fault("silent", servo=5)
    rig.idle(10)
    assert rig.codes() == ["device.servo_missing"]
    rig.driver.damp()
    rig.clock.advance(400 * MS)  # the others', and its own bus watchdog trip
    rig.emulator.fault("silent", servo=5, on=0)
    assert rig.registers(table.POSITION_P_GAIN) == [0, 0, 0, 0, 800, 0, 0]
    rig.idle(100)
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    assert rig.registers(table.POSITION_P_GAIN) == [0] * 7
    assert rig.registers(table.POSITION_D_GAIN) == [4000] * 7
    assert rig.registers(table.BUS_WATCHDOG) == [10] * 7
    assert rig.codes().count("device.watchdog") <= 7  # once each
    rig.driver.hold()
    sample = rig.drive(HOME, 50)
    np.testing.assert_allclose(sample.array("position"), HOME, atol=3e-3)


def test_a_servo_that_hears_but_does_not_answer_is_damped_like_the_others(rig: Rig) -> None:
    """Else it would stay stiff, and be dropped from there when torque goes off."""
    rig.drive(HOME, 300)
    rig.emulator.fault("mute", servo=5)
    rig.idle(10)
    assert rig.codes() == ["device.servo_missing"]
    rig.driver.damp()
    assert rig.registers(table.POSITION_P_GAIN) == [0] * 7
    assert rig.registers(table.POSITION_D_GAIN) == [4000] * 7
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    assert rig.codes() == ["device.servo_missing"]  # nobody waits for its answer


def test_a_servo_that_did_not_hear_damp_is_told_again(rig: Rig) -> None:
    """Away for too short a time to be left out."""
    rig.drive(HOME, 300)
    rig.emulator.fault("silent", servo=7)
    real, rig.emulator.servos[7].write = rig.emulator.servos[7].write, lambda address, data: 0  # nor does it hear
    rig.driver.damp()
    assert rig.codes() == ["device.damp_failed"]
    rig.emulator.servos[7].write = real  # type: ignore[method-assign]
    assert rig.registers(table.POSITION_P_GAIN) == [0] * 6 + [800]
    rig.emulator.fault("silent", servo=7, on=0)
    rig.idle(6)
    assert rig.registers(table.POSITION_P_GAIN) == [0] * 7
    assert "device.servo_missing" not in rig.codes()


def test_a_servo_that_was_away_when_torque_went_off_is_told_and_made_limp_when_it_is_back(rig: Rig) -> None:
    rig.drive(HOME, 300)
    rig.emulator.fault("silent", servo=5)
    rig.idle(10)
    torque = rig.driver._opened()
    real, rig.emulator.servos[5].write = rig.emulator.servos[5].write, lambda address, data: 0  # nor does it hear
    with pytest.raises(ServoError, match=r"servo 5 \(wrist_pitch\): torque off is not confirmed"):
        torque.off()
    rig.idle(1)  # the last broadcast lay in the pipe
    rig.emulator.servos[5].write = real  # type: ignore[method-assign]
    assert rig.registers(table.TORQUE_ENABLE) == [0, 0, 0, 0, 1, 0, 0]
    rig.emulator.fault("silent", servo=5, on=0)
    rig.idle(100)
    assert rig.registers(table.TORQUE_ENABLE) == [0] * 7


def test_a_silent_servo_refuses_until_it_is_back_and_held(rig: Rig) -> None:
    rig.drive(HOME, 100)
    rig.emulator.fault("silent", servo=4)
    rig.idle(5)
    with pytest.raises(CommandRefused, match=r"servo 4 \(forearm_roll\) does not answer"):
        rig.driver.send(rig.command(HOME))
    rig.emulator.fault("silent", servo=4, on=0)
    rig.emulator.fault("power_cycle", servo=4)
    rig.idle(60)
    assert rig.codes() == ["device.servo_missing", "device.servo_back"]
    assert rig.registers(table.PROFILE_VELOCITY)[3] > 0  # set up again after its power cut
    with pytest.raises(CommandRefused, match="was away"):
        rig.driver.send(rig.command(HOME))
    rig.driver.hold()
    rig.drive(HOME, 10)
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7


def test_a_damaged_confirmation_does_not_prevent_holding(rig: Rig) -> None:
    rig.emulator.fault("corrupt_crc", servo=2, times=2)
    rig.driver.hold()
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    assert rig.events == []
