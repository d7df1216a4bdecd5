"""The exoskeleton arm against its emulator, in virtual time: what it measures, when, and how it is opened."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.drivers.exo_arm import JOINTS, ExoArm, ExoArmConfig
from telerig.hardware.errors import ConfigError, DeviceIdentityError, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import round_trip
from telerig.hardware.wire import dynamixel_table as table

from .dynamixel_exo_rig import MS, TICK, Rig


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
