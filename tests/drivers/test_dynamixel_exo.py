"""The exoskeleton arm against its emulator, in virtual time: every trap of a Dynamixel bus, and what the driver makes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from dynamixel_sdk import COMM_SUCCESS, robotis_def
from hypothesis import given
from hypothesis import strategies as st

from telerig.drivers.dynamixel_bus import Bus
from telerig.drivers.dynamixel_chain import PROBE_NS, Pacer, ServoError
from telerig.drivers.dynamixel_port import BusPort
from telerig.drivers.exo_arm import JOINTS, ExoArm, ExoArmConfig
from telerig.drivers.exo_arm_emulator import ExoArmEmulator
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample, round_trip
from telerig.hardware.wire import dynamixel_table as table

MS = 1_000_000
TICK = 5 * MS


class WaitingPort(LoopbackPort):
    """A loopback on which waiting takes (virtual) time, as on a real port; counts reads and what waiting cost."""

    def __init__(self, emulator: ExoArmEmulator, clock: VirtualClock, connected: Callable[[], bool]) -> None:
        super().__init__(emulator, clock, connected)
        self.emulator, self.clock = emulator, clock
        self.reads = self.waited = 0

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
        self.reads += 1
        end = self.clock.now() + round(timeout_s * 1e9)
        while not (data := super().read(0.0, max_bytes)) and self.clock.now() < end:
            due = self.emulator.next_due(self.clock.now())
            before = self.clock.now()
            self.clock.advance(min(end, due or end) - before)
            self.waited += self.clock.now() - before
        return data


class Rig:
    """Driver, emulator, clock, and a plug that can be pulled."""

    def __init__(self, **config: object) -> None:
        self.config = ExoArmConfig(**config)  # type: ignore[arg-type]
        self.clock = VirtualClock()
        self.emulator = ExoArmEmulator(self.config)
        self.events: list[Event] = []
        self.plugged = True
        self.ports: list[WaitingPort] = []
        self.driver = ExoArm(self.config, DeviceContext("exo", self.clock, self._port, emit=self.events.append))

    def _port(self) -> WaitingPort:
        self.ports.append(WaitingPort(self.emulator, self.clock, lambda: self.plugged))
        return self.ports[-1]

    def tick(self, n: int = 1, dt: int = TICK) -> list[Sample]:
        """``n`` control periods; all samples."""
        samples = []
        for _ in range(n):
            self.clock.advance(dt)
            samples += self.driver.read(0)
        return samples

    def codes(self) -> list[tuple[str, int]]:
        return [(e.code, e.data["servo"]) for e in self.events]


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.driver.open()
    return made


def test_angles_come_through(rig: Rig) -> None:
    angles = np.array([0.0, -0.5, 1.0, -3.0, 3.0, 0.001, -0.002])
    rig.emulator.set_values({"angle": angles})
    (sample,) = rig.tick()
    assert sample.stream == "exo/joints"
    np.testing.assert_allclose(sample.array("position"), angles, atol=table.RAD_PER_TICK / 2)
    assert sample.valid is not None
    assert sample.valid.all()
    assert sample.valid.shape == (14,)
    (spec,) = rig.driver.streams
    assert spec.array("position").axes == JOINTS
    np.testing.assert_array_equal(round_trip(sample, spec).array("position"), sample.array("position"))


def test_velocity_has_sign_and_scale(rig: Rig) -> None:
    for k in range(60):
        rig.emulator.set_values({"angle": [0.005 * k, -0.005 * k, 0, 0, 0, 0, 0]})
        samples = rig.tick()
    np.testing.assert_allclose(samples[-1].array("velocity")[:3], [1.0, -1.0, 0.0], atol=0.03)


def test_negative_registers_keep_their_sign(rig: Rig) -> None:
    """Trap: the SDK says 4294967291 for −5."""
    rig.emulator.set_values({"angle": [-2053 * table.RAD_PER_TICK] * 7})
    assert rig.tick()[0].array("position")[0] == pytest.approx(-2053 * table.RAD_PER_TICK)
    assert rig.emulator.servos[1].get(table.PRESENT_POSITION) == -5


def test_stuffed_data_arrive_whole(rig: Rig) -> None:
    """Trap: FF FF FD inside a reply is sent as FF FF FD FD."""
    angle = table.to_angle(0x01FDFFFF)
    rig.emulator.servos[2].move_hand(angle)
    assert rig.tick()[0].array("position")[1] == pytest.approx(angle)


def test_torque_is_off_after_open() -> None:
    rig = Rig()
    for servo in rig.emulator.servos.values():
        servo.put(table.TORQUE_ENABLE, 1)
    rig.driver.open()
    assert not any(s.torque for s in rig.emulator.servos.values())
    assert {s.get(table.RETURN_DELAY) for s in rig.emulator.servos.values()} == {0}
    rig.emulator.set_values({"angle": [0.3] * 7})
    np.testing.assert_allclose(rig.tick()[0].array("position"), 0.3, atol=1e-3)


def test_rate_absolute_deadlines_and_skipped_periods(rig: Rig) -> None:
    rig.tick(1, MS)
    assert len(rig.tick(1000, MS)) == 250  # 1 s in steps of 1 ms
    assert len(rig.tick(1, 400 * MS)) == 1  # a late tick is one sample, not a hundred
    before = rig.clock.now()
    samples = rig.tick(100, MS)
    assert len(samples) == 25
    assert all((s.t_arrival - before) % (4 * MS) == (samples[0].t_arrival - before) % (4 * MS) for s in samples)


def test_pacer_counts_what_it_skips() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock, 250.0)
    start = clock.now()
    assert pacer.wait(0)
    clock.advance(13 * MS)
    assert pacer.wait(0)
    assert (pacer.skipped, pacer.deadline) == (2, start + 16 * MS)
    assert not pacer.wait(0.002)


@given(st.integers(0, 20 * MS), st.sampled_from([0.0, 0.25, 0.5, 2 / 3]))
def test_two_pacers_of_different_phases_never_tick_together(opened: int, phase: float) -> None:
    """Whenever each was opened: otherwise two arms of one rate may ask in the same instant for a whole session."""
    clock = VirtualClock()
    clock.advance(opened)
    pacer = Pacer(clock, 250.0, phase)
    assert 0 <= pacer.deadline - clock.now() < 4 * MS
    assert pacer.deadline % (4 * MS) == round(phase * 4 * MS)


def test_stamps_lie_in_the_middle_of_the_transaction() -> None:
    rig = Rig(wire_time=True, baud=1_000_000, return_delay_us=20)
    rig.driver.open()
    before = rig.clock.now()
    (sample,) = rig.tick()
    wire_ns = (21 + 7 * 19) * 10_000 + 7 * 20_000  # request and seven replies of 8 bytes, return delays
    assert sample.t_arrival - (before + TICK) == wire_ns
    assert sample.sigma_t == wire_ns // 2
    assert sample.t_sample == before + TICK + wire_ns // 2 - 20_000


def test_journal_and_samples_agree(rig: Rig) -> None:
    journal: list[int] = []
    rig.emulator.journal = lambda t, seq: journal.append(seq)
    samples = rig.tick(100)
    rig.emulator.fault("silent", servo=3)
    samples += rig.tick(100)
    rig.emulator.fault("silent", servo=3, on=0)
    samples += rig.tick(100)
    assert journal == list(range(len(samples)))
    assert len(samples) == 300


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
    assert rig.tick(5) == []
    assert len(rig.tick(10)) >= 9
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


def test_unplugged_does_not_leave_the_port_in_use(rig: Rig) -> None:
    """Trap: after a failed write the SDK answers COMM_PORT_BUSY for ever."""
    port = BusPort(rig._port(), rig.clock, 4_000_000, 0.01)
    from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler

    handler = Protocol2PacketHandler()
    rig.plugged = False
    for call in (lambda: handler.ping(port, 1), lambda: handler.syncReadTx(port, 132, 4, [1], 1, False)):
        with pytest.raises(DeviceLost):
            call()
        assert not port.is_using
    rig.plugged = True
    assert handler.ping(port, 1)[1] == COMM_SUCCESS


def test_waits_once_instead_of_spinning() -> None:
    """Trap: the SDK's port polls in a busy loop.  Reads per cycle: one to clear, one or so a reply."""
    rig = Rig(wire_time=True)
    rig.driver.open()
    rig.ports[-1].reads = 0
    rig.tick(10)
    assert rig.ports[-1].reads <= 10 * (2 + 7)


def test_a_babbling_bus_ends() -> None:
    """Trap: the SDK's receive loop only looks at the time when it runs out of bytes."""

    class Babble:
        count = 0

        def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
            self.count += 1
            assert self.count < 1000
            return b"\xff" * 100

        def write(self, data: bytes) -> None:
            pass

        def close(self) -> None:
            pass

    babble = Babble()
    bus = Bus(babble, VirtualClock(), 1_000_000, 0.01)
    assert bus.ping(1, tries=1) is None
    assert bus.group_read([1, 2], 132, 4).errors == {}
    with pytest.raises(ServoError, match=r"servo 1: reading 4 bytes at 132 failed: damaged answer"):
        bus.read(1, table.PRESENT_POSITION, tries=1)


def test_sdk_errors_name_servo_register_and_cause() -> None:
    rig = Rig()
    bus = Bus(rig._port(), rig.clock, 4_000_000, 0.01)
    with pytest.raises(ServoError, match=r"servo 9: writing 1 to LED \(65\) failed: no answer"):
        bus.write(9, table.LED, 1)
    with pytest.raises(ServoError, match=r"servo 1: writing 9 to Torque Enable \(64\) failed: value out of range"):
        bus.write(1, table.TORQUE_ENABLE, 9)
    assert bus.port.openPort()
    assert bus.port.getBytesAvailable() == 0
    assert robotis_def.BROADCAST_ID == 0xFE


def test_wrong_firmware_and_model_are_one_clear_line() -> None:
    rig = Rig()
    rig.emulator.fault("wrong_firmware", servo=4, version=20)
    with pytest.raises(DeviceIdentityError, match=r"exo: servo 4 \(elbow\) has firmware 20; at least 38 is needed"):
        rig.driver.open()
    rig = Rig(model="XL330-M077")
    rig.emulator.servos[2].put(table.MODEL_NUMBER, 1200)
    with pytest.raises(DeviceIdentityError, match=r"servo 2 \(shoulder_roll\) is XL330-M288; expected XL330-M077"):
        rig.driver.open()
    rig = Rig()
    rig.emulator.servos[2].put(table.MODEL_NUMBER, 7)
    with pytest.raises(DeviceIdentityError, match=r"unknown model 7; expected one of XL330-M077"):
        rig.driver.open()


def test_a_servo_missing_at_open_is_reported_and_taken_later() -> None:
    rig = Rig()
    rig.emulator.fault("silent", servo=7)
    rig.driver.open()
    assert rig.codes() == [("device.servo_missing", 7)]
    rig.emulator.fault("silent", servo=7, on=0)
    samples = rig.tick(60)
    assert np.isnan(samples[0].array("position")[6])
    assert not np.isnan(samples[-1].array("position")).any()


def test_reading_a_closed_arm() -> None:
    rig = Rig()
    with pytest.raises(DeviceOpenError, match="not open"):
        rig.driver.read(0)
    rig.driver.close()
    driver = ExoArm(rig.config, DeviceContext("exo", rig.clock))
    with pytest.raises(DeviceOpenError, match="needs a port"):
        driver.open()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"ids": (1, 2)}, "2 servos for 7 joints"),
        ({"ids": (1, 1, 2, 3, 4, 5, 6)}, "different numbers"),
        ({"ids": (1, 2, 3, 4, 5, 6, 253)}, "0 to 252"),
        ({"rate_hz": 0.0}, "must be positive"),
        ({"baud": 12345}, "12345 is none of"),
        ({"model": "AX-12"}, "'AX-12' is none of"),
    ],
)
def test_configuration_mistakes(wrong: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ExoArmConfig(**wrong)  # type: ignore[arg-type]


def test_two_runs_are_the_same_bit_for_bit() -> None:
    def run() -> bytes:
        rig = Rig()
        rig.driver.open()
        out = b""
        for k in range(100):
            rig.emulator.set_values({"angle": np.sin(0.05 * k + np.arange(7))})
            for sample in rig.tick():
                out += sample.array("position").tobytes() + sample.array("velocity").tobytes()
        return out

    assert run() == run()
