"""The calibration wizard: what it makes of good movements, what it refuses, and the real drivers under it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers import table
from telerig.drivers.ports import LoopbackPort
from telerig.hardware import calibration
from telerig.hardware.calibration import GloveCalibration, JointCalibration, PedalCalibration
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DataError, DeviceLost
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.wire.messages import GLOVE_JOINTS
from telerig.teleop import calibrate_device, cockpit_build
from telerig.teleop.calibrate import Wizard
from telerig.teleop.rig import load_rig

T0 = 1_700_000_000_000_000_000
PERIOD = 4_000_000
ARM = ("a", "b", "c")
Motion = Callable[[float], object]


def run(wizard: Wizard, motion: Motion, seconds: float = 1.1) -> None:
    """Confirm, then feed ``motion(seconds since)``."""
    wizard.confirm()
    for k in range(round(seconds * 1e9 / PERIOD)):
        if wizard.waiting or wizard.result is not None:
            return
        wizard.feed(T0 + k * PERIOD, np.asarray(motion(k * PERIOD / 1e9), float))


def still(*values: float) -> Motion:
    random = np.random.default_rng(0)
    return lambda _: np.array(values) + random.normal(0, 1e-3, len(values))


def turn(joint: int, by: float, start: tuple[float, ...] = (0.1, -0.2, 3.1), others: float = 0.0) -> Motion:
    def motion(t: float) -> np.ndarray:
        change = np.full(3, others * min(1.0, t))
        change[joint] = by * min(1.0, t)
        return (np.array(start) + change + np.pi) % (2 * np.pi) - np.pi

    return motion


def test_an_arm_gets_its_neutral_pose_and_its_signs() -> None:
    wizard = Wizard("joints", ARM)
    assert wizard.prompt.startswith("step 1 of 4: take the neutral pose")
    wizard.feed(T0, np.zeros(3))  # not confirmed: ignored
    run(wizard, still(0.1, -0.2, 3.1))
    for joint, by in enumerate((0.5, -0.5, 0.5)):  # the third crosses the servo's seam
        assert ARM[joint] in wizard.prompt
        run(wizard, turn(joint, by))
        assert wizard.refusal == ""
    assert isinstance(wizard.result, JointCalibration)
    assert wizard.result.neutral == pytest.approx((0.1, -0.2, 3.1), abs=1e-3)
    assert wizard.result.sign == (1.0, -1.0, 1.0)


def test_moving_during_the_neutral_pose_is_refused_with_figures_and_asked_again() -> None:
    wizard = Wizard("joints", ARM, signs=False)
    run(wizard, lambda t: (0.1, 0.3 * t, 0.0))
    assert wizard.refusal == "hold still: b ±0.0869 rad (at most ±0.03)"
    assert wizard.waiting
    assert wizard.prompt.startswith("step 1 of 1")
    run(wizard, still(0.1, 0.0, 0.0))
    assert wizard.result is not None
    assert (wizard.result.sign, wizard.refusal) == ((1.0,) * 3, "")  # type: ignore[union-attr]


def test_the_wrong_joint_is_refused_a_small_movement_waits_and_a_neighbour_may_move_along() -> None:
    wizard = Wizard("joints", ARM)
    run(wizard, still(0.1, -0.2, 3.1))
    run(wizard, turn(1, 0.5))
    assert wizard.refusal.startswith("b moved +0.35 rad, a only +0.00")
    assert wizard.at == 1
    run(wizard, turn(0, 0.3))
    assert (wizard.at, wizard.refusal) == (1, "")
    run(wizard, turn(0, 0.5))
    wizard = Wizard("joints", ARM)
    run(wizard, still(0.1, -0.2, 3.1))
    run(wizard, turn(0, -0.45, others=0.5), 2.0)
    assert wizard.at == 2


def test_a_neutral_pose_at_a_servo_s_seam_is_still() -> None:
    wizard = Wizard("joints", ARM, signs=False)
    run(wizard, lambda t: (math.pi if round(t * 250) % 2 else -math.pi + 0.0015, 0.0, 0.0))
    assert isinstance(wizard.result, JointCalibration)
    assert abs(wizard.result.neutral[0]) == pytest.approx(math.pi, abs=2e-3)


def test_an_unmeasured_joint_is_named() -> None:
    wizard = Wizard("joints", ARM)
    run(wizard, lambda _: (0.0, math.nan, 0.0))
    assert wizard.refusal == "b: not measured; check the cable"


def test_too_few_samples_are_refused() -> None:
    wizard = Wizard("joints", ARM)
    wizard.confirm()
    for k in range(5):
        wizard.feed(T0 + k * 300_000_000, np.zeros(3))
    assert "only 5 samples" in wizard.refusal


def test_a_glove_needs_a_range_in_every_joint_but_abduction() -> None:
    spread = np.array(["abduction" in n for n in GLOVE_JOINTS])
    flat = np.where(spread, 2000.0, 1000.0)
    wizard = Wizard("glove", GLOVE_JOINTS)
    run(wizard, still(*flat))
    lazy = flat + np.where(spread, 0.0, 1800.0)
    lazy[1] = flat[1] + 150.0
    run(wizard, still(*lazy))
    assert wizard.refusal.startswith("too small a range: thumb_mcp 150 counts (at least 200)")
    lazy[1] = flat[1] - 900.0  # a magnet mounted the other way round is no mistake
    run(wizard, still(*lazy))
    assert isinstance(wizard.result, GloveCalibration)
    np.testing.assert_allclose(wizard.result.closed[1], 100.0, atol=1)
    i = GLOVE_JOINTS.index("index_abduction")
    assert (wizard.result.open[i], wizard.result.closed[i]) == pytest.approx((1100.0, 2900.0), abs=1)


def test_pedals_one_at_a_time() -> None:
    wizard = Wizard("pedals", ("speed", "yaw", "height"))
    run(wizard, still(0.05, 0.0, 0.9))
    run(wizard, still(0.15, 0.0, 0.9))
    assert wizard.refusal.startswith("too small a range: speed 0.10")
    run(wizard, still(0.4, 0.9, 0.9))
    assert wizard.refusal == "yaw is pressed further than speed; one pedal at a time"
    for pressed in ((0.95, 0.0, 0.9), (0.05, 1.0, 0.9), (0.05, 0.0, 0.1)):
        run(wizard, still(*pressed))
    assert isinstance(wizard.result, PedalCalibration)
    assert wizard.result.rest == pytest.approx((0.05, 0.0, 0.9), abs=1e-3)
    assert wizard.result.pressed == pytest.approx((0.95, 1.0, 0.1), abs=1e-3)


def test_what_cannot_be_calibrated_is_said() -> None:
    with pytest.raises(ConfigError, match="kind 'camera'"):
        Wizard("camera", ())


RIG = """
name = "test"
[devices.glove]
driver = "hall_glove"
side = "right"
port = "/dev/serial/by-id/GLOVE"
[devices.other]
driver = "pedal_box"
emulate = true
[devices.robot]
driver = "dynamixel_arm"
port = "/dev/x"
"""


def test_a_real_driver_on_emulated_bytes_end_to_end(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(RIG)
    rig = load_rig(path)
    device, kind, spec = calibrate_device.find(rig, "glove")
    assert kind == "glove"
    clock, emulator = VirtualClock(), table.emulator("hall_glove")(device.config)
    driver = device.driver(device.config, DeviceContext("glove", clock, lambda: LoopbackPort(emulator, clock)))

    class Hurried:
        """The driver, with a clock that moves on when it waits."""

        def read(self, timeout_s: float) -> object:
            clock.advance(round(timeout_s * 1e9))
            return driver.read(0.0)

    said: list[str] = []

    def confirmed() -> bool:
        if not wizard.waiting:
            return False
        flexion = float(wizard.at)
        emulator.set_values({"flexion": [0.5 if "abduction" in n else flexion for n in GLOVE_JOINTS]})
        return True

    clock.advance(PERIOD)
    driver.open()
    clock.advance(100_000_000)
    driver.read(0.0)
    wizard = Wizard(kind, spec.array("counts").axes)
    values = calibrate_device.converse(wizard, Hurried(), spec, "counts", clock, confirmed, said.append)  # type: ignore[arg-type]
    assert isinstance(values, GloveCalibration)
    moves = np.array(["abduction" not in n for n in GLOVE_JOINTS])
    np.testing.assert_allclose(np.array(values.open)[moves], emulator.sensors.open_counts[moves], atol=2)
    np.testing.assert_allclose(np.array(values.closed)[moves], emulator.sensors.closed_counts[moves], atol=2)
    assert [s.split(":")[0] for s in said] == ["step 1 of 2", "step 2 of 2"]
    saved = calibrate_device.save(rig, device, values)
    found = cockpit_build.device_calibration(rig, device, kind, values.names, calibration.load(saved))
    assert found == values


def test_a_silent_device_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(RIG)
    _, kind, spec = calibrate_device.find(load_rig(path), "glove")
    clock = VirtualClock()

    class Silent:
        def read(self, timeout_s: float) -> list[object]:
            clock.advance(round(timeout_s * 1e9))
            return []

    wizard = Wizard(kind, spec.array("counts").axes)
    with pytest.raises(DeviceLost, match="no samples for 2 s"):
        calibrate_device.converse(wizard, Silent(), spec, "counts", clock, lambda: False, lambda _: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "said"), [("x", "no device 'x'"), ("robot", "nothing to calibrate")])
def test_devices_that_are_not_calibrated(tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(RIG)
    with pytest.raises(ConfigError, match=said):
        calibrate_device.find(load_rig(path), name)


def test_the_command_needs_a_terminal_and_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(RIG)
    with pytest.raises(ConfigError, match="needs a terminal"):
        calibrate_device.calibrate(path, "glove", True)
    (tmp_path / "rig.calibration.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        calibrate_device.calibrate(path, "glove", True)
