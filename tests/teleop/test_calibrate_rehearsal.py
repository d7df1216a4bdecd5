"""Calibrating without hardware: the simulated wearer does every step, on the emulator's own bytes, and nothing is saved."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers import table
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.calibration import GloveCalibration, JointCalibration, PedalCalibration
from telerig.hardware.clock import RealClock, VirtualClock
from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop import calibrate_device, cockpit_build
from telerig.teleop.calibrate import Wizard
from telerig.teleop.calibrate_rehearsal import Wearer, rehearsal
from telerig.teleop.rig import load_rig

RIG = Path(__file__).parents[2] / "rigs" / "homie_g1.toml"


class Worn:
    """A driver over its emulator in virtual time, moved by a wearer."""

    def __init__(self, name: str) -> None:
        device, kind, self.spec = calibrate_device.find(load_rig(RIG), name)
        self.field = cockpit_build.FIELD[kind]
        self.clock, self.emulator = VirtualClock(), table.emulator(device.rig.driver)(device.config)
        self.wizard = Wizard(kind, self.spec.array(self.field).axes)
        self.wearer = Wearer(device, self.emulator.controls, self.wizard, self.clock)
        port = LoopbackPort(self.emulator, self.clock)
        self.driver = device.driver(device.config, DeviceContext(name, self.clock, lambda: port))
        self.driver.open()

    def read(self, timeout_s: float) -> Sequence[Sample]:
        self.clock.advance(4_000_000)
        found = self.wearer.latest()
        self.emulator.set_values({a.name: found.array(a.name).tolist() for a in self.wearer.spec.arrays})
        return list(self.driver.read(0.0))

    def calibrate(self) -> tuple[object, list[str]]:
        """A person at the keyboard presses Enter whenever asked, a moment after the wearer took the pose."""
        said: list[str] = []
        asked = 0

        def confirmed() -> bool:
            nonlocal asked
            asked = asked + 1 if self.wizard.waiting else 0
            return asked == 5

        run = calibrate_device.converse
        return run(self.wizard, self, self.spec, self.field, self.clock, confirmed, said.append), said  # type: ignore[arg-type]


def test_an_arm_s_joints_turn_one_by_one_and_the_right_way_round() -> None:
    values, said = Worn("exo_right").calibrate()
    assert isinstance(values, JointCalibration)
    assert values.sign == (1.0,) * 7
    np.testing.assert_allclose(values.neutral, 0.0, atol=0.01)
    assert [s.split(":")[0] for s in said] == [f"step {k} of 8" for k in range(1, 9)]  # none was refused


def test_a_glove_opens_and_closes() -> None:
    worn = Worn("glove_left")
    values, said = worn.calibrate()
    assert isinstance(values, GloveCalibration)
    moves = np.array(["abduction" not in n for n in values.names])
    np.testing.assert_allclose(np.array(values.closed)[moves], worn.emulator.sensors.closed_counts[moves], atol=5)
    assert len(said) == 2


def test_pedals_are_pressed_one_at_a_time() -> None:
    values, said = Worn("pedals").calibrate()
    assert isinstance(values, PedalCalibration)
    assert values.rest == pytest.approx((0.0, 0.0, 0.0), abs=0.05)
    assert values.pressed == pytest.approx((1.0, 1.0, 1.0), abs=0.05)
    assert len(said) == 4


def test_an_emulator_that_cannot_be_worn_is_said() -> None:
    device, kind, spec = calibrate_device.find(load_rig(RIG), "exo_left")
    wizard = Wizard(kind, spec.array("position").axes)
    controls = StreamSpec("controls", (ArraySpec("weather", (1,), "<f8"),), 1.0)
    with pytest.raises(ConfigError, match=r"'exo_left': driver exo_arm's emulator cannot be worn"):
        Wearer(device, controls, wizard, VirtualClock())


@pytest.mark.parametrize("emulated", [True, False])
def test_another_packages_device_is_rehearsed_with_its_emulator_or_not_at_all(
    emulated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one, ``--emulate`` must not open the real device and save what it measured."""
    path = tmp_path / "rig.toml"
    path.write_text('name = "test"\n[devices.hand]\ndriver = "their_glove"\nside = "left"\nport = "/dev/null"\n')
    found = {"telerig.drivers": "telerig.drivers.hall_glove:HallGlove"}
    if emulated:
        found["telerig.emulators"] = "telerig.drivers.hall_glove_emulator:HallGloveEmulator"

    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint("their_glove", found[group], group)] if group in found else []

    monkeypatch.setattr(table, "entry_points", entry_points)
    assert load_rig(path, emulate=True).devices["hand"].rig.emulate is emulated
    expected = "needs a terminal" if emulated else "'hand': driver their_glove has no emulator to rehearse with"
    monkeypatch.setattr("telerig.teleop.keyboard.Keyboard", NoTerminal)
    with pytest.raises(ConfigError, match=expected):
        calibrate_device.calibrate(path, "hand", signs=False, emulate=True)


class NoTerminal:
    """A keyboard where there is none."""

    present = False

    def __enter__(self) -> NoTerminal:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.realtime
def test_the_command_on_a_pseudo_terminal_saves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rig.toml"
    path.write_text('name = "test"\n[devices.box]\ndriver = "exo_arm"\nport = "/dev/serial/by-id/nothing"\n')

    class Enter:
        """A keyboard on which somebody leans."""

        present = True

        def __enter__(self) -> Enter:
            return self

        def __exit__(self, *_: object) -> None: ...

        def keys(self, timeout_s: float) -> str:
            return "\n"

    monkeypatch.setattr("telerig.teleop.keyboard.Keyboard", Enter)
    calibrate_device.calibrate(path, "box", signs=False, emulate=True)
    out = capsys.readouterr().out
    assert "a simulated wearer does what is asked" in out
    assert "A rehearsal, not saved" in out
    assert "neutral: shoulder_pitch 0" in out
    assert [p.name for p in tmp_path.iterdir()] == ["rig.toml"]


def test_a_rehearsal_leaves_nothing_running() -> None:
    device, kind, spec = calibrate_device.find(load_rig(RIG), "pedals")
    wizard = Wizard(kind, spec.array("position").axes)
    with rehearsal(device, wizard, RealClock()) as driver:
        assert isinstance(driver, device.driver)
        assert "emulation" in {t.name for t in threading.enumerate()}
    assert "emulation" not in {t.name for t in threading.enumerate()}
