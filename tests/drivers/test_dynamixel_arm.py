"""The follower arm against its emulator, in virtual time: what moves, what holds, what sinks, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from telerig.drivers.dynamixel_arm import DynamixelArm, DynamixelArmConfig
from telerig.drivers.dynamixel_arm_emulator import DynamixelArmEmulator
from telerig.drivers.dynamixel_chain import ServoError
from telerig.drivers.dynamixel_servo import LIMP_FRICTION
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import CommandRefused, ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.wire import dynamixel_table as table

MS = 1_000_000
TICK = 5 * MS
HOME = np.array([0.0, -0.6, 0.6, 0.0, 0.6, 0.0, 1.2])


class Rig:
    """Driver, emulator, clock, and a plug that can be pulled."""

    def __init__(self, emulator: DynamixelArmEmulator | None = None, **config: object) -> None:
        self.config = DynamixelArmConfig(**config)  # type: ignore[arg-type]
        self.clock = VirtualClock()
        self.emulator = emulator or DynamixelArmEmulator(self.config)
        self.events: list[Event] = []
        self.plugged = True
        self.seq = itertools.count()
        self.driver = self.make()

    def make(self) -> DynamixelArm:
        def port() -> LoopbackPort:
            return LoopbackPort(self.emulator, self.clock, lambda: self.plugged)

        return DynamixelArm(self.config, DeviceContext("robot", self.clock, port, emit=self.events.append))

    def command(self, goal: object, mode: Mode = Mode.JOINT_POSITION, target: str = "robot/joints") -> Command:
        now = self.clock.now()
        return Command(next(self.seq), target, mode, np.asarray(goal, np.float64), Source.OPERATOR, now, (now, now))

    def drive(self, goal: object, n: int) -> Sample:
        """``n`` control periods: send, then read; the last sample."""
        for _ in range(n):
            self.clock.advance(TICK)
            self.driver.send(self.command(goal))
            (sample,) = self.driver.read(0)
        return sample

    def idle(self, n: int) -> Sample:
        """``n`` control periods in which the state is read and nobody commands."""
        for _ in range(n):
            self.clock.advance(TICK)
            (sample,) = self.driver.read(0)
        return sample

    def idle_without_driver(self, n: int) -> None:
        """``n`` control periods in which nobody talks to the arm."""
        for _ in range(n):
            self.emulator.step(self.clock.advance(TICK), b"")

    def angles(self) -> np.ndarray:
        return np.array([s.angle for s in self.emulator.servos.values()])

    def registers(self, register: table.Register) -> list[int]:
        return [s.get(register) for s in self.emulator.servos.values()]

    def codes(self) -> list[str]:
        return [e.code for e in self.events]


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
