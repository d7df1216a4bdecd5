"""The exoskeleton arm when servos or the whole bus fall silent, answer damaged bytes, report trouble, or are unplugged."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.drivers.dynamixel_chain import PROBE_NS
from telerig.hardware.errors import DeviceLost, DeviceOpenError
from telerig.hardware.wire import dynamixel_table as table
from telerig.teleop.cockpit import KEEP_NS

from .dynamixel_exo_rig import MS, Rig


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.driver.open()
    return made


def test_silent_servo_is_nan_then_left_out_then_taken_back(rig: Rig) -> None:
    rig.emulator.set_values({"angle": [0.1] * 7})
    rig.tick(3)
    rig.emulator.fault("silent", servo=3)
    first = rig.tick()[0]
    # behind a silent servo nobody answers: unknown, hence not valid; before it, all is well
    assert np.isnan(first.array("position")).tolist() == [False, False] + [True] * 5
    samples = rig.tick(50)
    assert rig.codes() == [("device.servo_missing", 3)]
    assert rig.events[0].text == "servo 3 (shoulder_yaw) does not answer"
    last = samples[-1]
    assert last.valid is not None
    assert np.flatnonzero(~last.valid).tolist() == [2, 9]
    assert np.isnan(last.array("velocity")[2])
    np.testing.assert_allclose(np.delete(last.array("position"), 2), 0.1, atol=1e-3)
    rig.emulator.fault("silent", servo=3, on=0)
    rig.emulator.servos[3].put(table.TORQUE_ENABLE, 1)  # it must come back limp
    samples = rig.tick(100)
    assert rig.codes() == [("device.servo_missing", 3), ("device.servo_back", 3)]
    assert samples[-1].valid is not None
    assert samples[-1].valid.all()
    assert not rig.emulator.servos[3].torque


def test_silence_costs_no_cycle(rig: Rig) -> None:
    """Trap: with the SDK alone a silent servo costs 34 ms *every* cycle and all others' data."""
    rig.emulator.fault("silent", servo=3)
    port = rig.ports[-1]
    rig.tick(3)
    assert port.waited == pytest.approx(3 * 20 * MS, rel=0.1)  # three time-outs, then it is left out
    port.waited = 0
    start = rig.clock.now()
    rig.tick(400)
    probes = (rig.clock.now() - start) / PROBE_NS
    assert port.waited <= (probes + 1) * 3.2 * MS  # one short ping each
    assert len(rig.events) == 1


def test_a_stall_of_the_whole_bus_is_no_missing_servo(rig: Rig) -> None:
    rig.emulator.fault("silent", seconds=0.12)
    assert rig.tick(2) == []
    assert len(rig.tick(12)) >= 10
    assert rig.events == []


def test_several_silent_servos(rig: Rig) -> None:
    for ident in (1, 4, 7):
        rig.emulator.fault("silent", servo=ident)
    samples = rig.tick(40)
    assert {i for _, i in rig.codes()} == {1, 4, 7}
    assert np.isnan(samples[-1].array("position")).tolist() == [True, False, False, True, False, False, True]


def test_bus_without_power_is_lost_and_comes_back(rig: Rig) -> None:
    rig.emulator.fault("silent")
    with pytest.raises(DeviceLost, match="no servo has answered for 500 ms"):
        rig.tick(200)
    rig.driver.close()
    with pytest.raises(DeviceOpenError, match="no servo answers at 4000000 baud"):
        rig.driver.open()
    rig.emulator.fault("silent", on=0)
    rig.driver.open()
    assert len(rig.tick(3)) == 3


def test_damaged_reply_costs_one_value_of_one_servo(rig: Rig) -> None:
    rig.emulator.fault("corrupt_crc", servo=4, times=1)
    (sample,) = rig.tick()
    assert np.flatnonzero(np.isnan(sample.array("position"))).tolist() == [3]
    (sample,) = rig.tick()
    assert not np.isnan(sample.array("position")).any()
    assert rig.events == []


def test_on_a_slow_bus_the_last_servo_is_waited_for() -> None:
    rig = Rig(baud=9_600, rate_hz=5.0, wire_time=True)  # one reply takes 20 ms, seven 140
    rig.driver.open()
    samples = rig.tick(5, 200 * MS)
    assert len(samples) >= 4
    assert not any(np.isnan(s.array("position")).any() for s in samples)


@pytest.mark.parametrize("servo", [1, 4, 7])
def test_two_damaged_replies_in_a_row_are_no_longer_than_a_joint_keeps_its_value(rig: Rig, servo: int) -> None:
    (before,) = rig.tick()
    rig.emulator.fault("corrupt_crc", servo=servo, times=2)
    damaged = rig.tick(2, 4 * MS)
    (after,) = rig.tick(1, 4 * MS)
    assert [np.isnan(s.array("position")[servo - 1]) for s in (*damaged, after)] == [True, True, False]
    assert after.t_arrival - before.t_arrival < KEEP_NS + 5 * MS


def test_garbage_before_replies_is_skipped(rig: Rig) -> None:
    rig.emulator.fault("garbage", count=13, times=3)
    for sample in rig.tick(3):
        assert not np.isnan(sample.array("position")).any()


def test_alert_is_seen_in_group_reads_and_told_once(rig: Rig) -> None:
    """Trap: the SDK's group reads throw the error byte away."""
    rig.emulator.fault("alert", servo=5, code=0x24)
    rig.tick(20)
    assert rig.codes() == [("device.servo_alert", 5)]
    assert rig.events[0].text == "servo 5 (wrist_roll): overheating and overload"
    assert rig.events[0].data["bits"] == 0x24
    rig.emulator.fault("clear", servo=5)
    samples = rig.tick(20)
    assert rig.codes()[1:] == [("device.servo_alert_over", 5)]
    assert not np.isnan(samples[-1].array("position")).any()


def test_status_error_is_told_and_not_taken_for_data(rig: Rig) -> None:
    rig.emulator.fault("status_error", servo=2, code=4, times=3)
    samples = rig.tick(5)
    assert [np.isnan(s.array("position")).tolist().index(True) for s in samples[:3]] == [1, 1, 1]
    assert not np.isnan(samples[4].array("position")).any()
    assert rig.codes() == [("device.servo_error", 2)]


def test_freeze_stands_still(rig: Rig) -> None:
    rig.emulator.fault("freeze", servo=1)
    rig.emulator.set_values({"angle": [1.0] * 7})
    assert rig.tick()[0].array("position")[0] == 0
    rig.emulator.fault("freeze", servo=1, on=0)
    assert rig.tick()[0].array("position")[0] == pytest.approx(1.0, abs=1e-3)


def test_unplugged_and_plugged_in_again(rig: Rig) -> None:
    rig.tick()
    rig.plugged = False
    with pytest.raises(DeviceLost):
        rig.tick()
    rig.driver.close()
    with pytest.raises(DeviceOpenError):
        rig.driver.open()
    rig.plugged = True
    rig.driver.open()
    assert len(rig.tick(4)) == 4


def test_a_servo_missing_at_open_is_reported_and_taken_later() -> None:
    rig = Rig()
    rig.emulator.fault("silent", servo=7)
    rig.driver.open()
    assert rig.codes() == [("device.servo_missing", 7)]
    rig.emulator.fault("silent", servo=7, on=0)
    samples = rig.tick(60)
    assert np.isnan(samples[0].array("position")[6])
    assert not np.isnan(samples[-1].array("position")).any()
