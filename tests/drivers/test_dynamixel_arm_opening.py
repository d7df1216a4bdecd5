"""The follower arm at the beginning and the end: found holding, opened, unplugged, closed; it is dropped by none of them."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.drivers.dynamixel_arm import DynamixelArmConfig
from telerig.drivers.dynamixel_chain import ServoError
from telerig.hardware.commands import Mode
from telerig.hardware.errors import ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.wire import dynamixel_table as table

from .dynamixel_arm_rig import HOME, MS, Rig


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.driver.open()
    return made


def test_open_configures_and_moves_nothing(rig: Rig) -> None:
    sample = rig.idle(50)
    assert rig.registers(table.TORQUE_ENABLE) == [0] * 7
    assert rig.registers(table.OPERATING_MODE) == [3] * 7
    assert rig.registers(table.RETURN_DELAY) == [0] * 7
    speeds = np.array(rig.registers(table.PROFILE_VELOCITY)) * table.RAD_S_PER_UNIT
    np.testing.assert_allclose(speeds, rig.driver.targets[0].velocity, rtol=0.01)
    assert sample.stream == "robot/state"
    assert [a.name for a in rig.driver.streams[0].arrays] == ["position", "velocity", "effort"]
    assert sample.valid is not None
    assert sample.valid.shape == (21,)
    assert np.all(rig.angles() == 0)


def test_closing_tells_of_a_servo_that_may_still_hold(rig: Rig) -> None:
    rig.drive(HOME, 300)
    rig.emulator.fault("silent", servo=5)
    rig.idle(10)
    rig.driver.close()
    assert rig.codes()[-1] == "device.close"
    assert "torque may still be on: servo 5 (wrist_pitch)" in rig.events[-1].text


def held_by_another(rig: Rig) -> Rig:
    """A second program on the arm that a first one left holding, with a load that would let it fall."""
    rig.drive(HOME, 300)
    rig.driver.hold()
    rig.driver = rig.make()  # the first died; its bus watchdogs hold the arm
    rig.emulator.set_values({"load": [0.0, 2.0, 0, 0, 0, 0, 0]})
    rig.clock.advance(2_000 * MS)
    rig.idle_without_driver(20)
    rig.driver.open()
    return rig


def test_an_arm_that_was_told_nothing_is_left_as_it_was_found(rig: Rig) -> None:
    """``--dry-run``: what an earlier program holds must not fall because this one ends."""
    held_by_another(rig)
    before = rig.angles()
    assert rig.codes() == ["device.held"]
    assert "servo 2 (shoulder)" in rig.events[0].text
    rig.idle(100)
    rig.driver.close()
    rig.idle_without_driver(200)
    np.testing.assert_allclose(rig.angles(), before, atol=1e-3)
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    assert rig.registers(table.POSITION_P_GAIN) == [800] * 7
    assert rig.codes() == ["device.held", "device.held"]
    assert rig.events[1].text.startswith("robot still holds, as it was found")


@pytest.mark.parametrize("mode", [Mode.HOLD, Mode.DAMP])
def test_an_arm_that_was_told_anything_is_let_go(rig: Rig, mode: Mode) -> None:
    held_by_another(rig)
    rig.driver.send(rig.command([], mode))
    rig.driver.close()
    assert rig.registers(table.TORQUE_ENABLE) == [0] * 7
    assert rig.codes() == ["device.held"]


def test_an_arm_that_was_unplugged_is_still_this_sessions_to_let_go(rig: Rig) -> None:
    rig.drive(HOME, 100)
    rig.plugged = False
    with pytest.raises(DeviceLost):
        rig.idle(1)
    rig.driver.close()
    rig.plugged = True
    rig.driver.open()
    rig.driver.close()
    assert rig.registers(table.TORQUE_ENABLE) == [0] * 7
    assert "device.held" not in rig.codes()


def test_opening_drops_nothing_even_where_settings_are_another_programs(rig: Rig) -> None:
    rig.drive(HOME, 100)
    rig.emulator.servos[3].put(table.RETURN_DELAY, 250)
    rig.driver = rig.make()
    with pytest.raises(ServoError, match=r"servo 3 \(elbow\) holds its torque with settings of another program"):
        rig.driver.open()
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    rig.emulator.fault("power_cycle", servo=3)
    rig.driver.open()
    assert rig.registers(table.RETURN_DELAY) == [0] * 7


def test_close_damps_then_torque_off(rig: Rig) -> None:
    rig.drive(HOME, 300)
    gains: list[int] = []
    servo = rig.emulator.servos[1]
    real = servo.write

    def spy(address: int, data: bytes) -> int:
        if address == table.TORQUE_ENABLE.address and data == b"\0":
            gains.append(servo.get(table.POSITION_P_GAIN))
        return real(address, data)

    servo.write = spy  # type: ignore[method-assign]
    rig.driver.close()
    assert gains == [0]  # it was damped when torque went off
    assert rig.registers(table.TORQUE_ENABLE) == [0] * 7
    rig.driver.close()


def test_unplugged_while_moving(rig: Rig) -> None:
    rig.drive(HOME, 20)
    rig.plugged = False
    for call in (lambda: rig.driver.send(rig.command(HOME)), rig.driver.hold, lambda: rig.idle(1)):
        with pytest.raises(DeviceLost):
            call()
    rig.driver.close()  # says so, does not raise
    assert rig.codes() == ["device.close"]
    rig.clock.advance(2_000 * MS)
    rig.plugged = True
    rig.driver.open()
    at = rig.angles()
    rig.idle(20)
    np.testing.assert_allclose(rig.angles(), at, atol=1e-3)  # still held by its own firmware, not dropped
    assert rig.registers(table.TORQUE_ENABLE) == [1] * 7
    rig.driver.hold()
    sample = rig.drive(HOME, 300)
    np.testing.assert_allclose(sample.array("position"), HOME, atol=3e-3)


def test_a_hardware_error_at_open_is_cleared_by_a_reboot(rig: Rig) -> None:
    rig.driver.close()
    rig.emulator.fault("alert", servo=6, code=0x04)
    rig.driver.open()
    assert rig.registers(table.HARDWARE_ERROR) == [0] * 7
    rig.driver.close()
    rig.emulator.fault("alert", servo=6, code=0x04)
    rig.emulator.servos[6].reboot = lambda: None  # type: ignore[method-assign]
    with pytest.raises(DeviceOpenError, match=r"servo 6 \(wrist_roll\): overheating even after a reboot"):
        rig.driver.open()


def test_every_servo_must_be_there_to_open() -> None:
    rig = Rig()
    rig.emulator.fault("silent", servo=5)
    with pytest.raises(DeviceOpenError, match=r"no answer from servo 5 \(wrist_pitch\); the others answer"):
        rig.driver.open()
    rig.emulator.fault("clear")
    rig.emulator.fault("wrong_firmware", servo=5)
    with pytest.raises(DeviceIdentityError, match="firmware 20"):
        rig.driver.open()
    with pytest.raises(DeviceOpenError, match="not open"):
        rig.driver.hold()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"ids": (1, 2, 3)}, "3 servos for 7 joints"),
        ({"signs": (1, 1)}, "signs: 2 values"),
        ({"signs": (1, 1, 1, 1, 1, 1, 2)}, "must all be 1 or -1"),
        ({"offsets": (0.0,)}, "offsets: 1 values"),
        ({"bus_watchdog_ms": 50}, "multiple of 20"),
        ({"damping_gain": 20000}, "0 to 16383"),
        ({"position_gains": (800,)}, "three values"),
        ({"settle_s": 2.0}, "settle_s: 2.0 is not from 0 to 1.5"),
        ({"embodiment": "nobody"}, "'nobody' is unknown"),
    ],
)
def test_configuration_mistakes(wrong: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        DynamixelArmConfig(**wrong)  # type: ignore[arg-type]
