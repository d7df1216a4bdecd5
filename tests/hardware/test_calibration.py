"""Calibration values and their file: exact round trip, refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware import calibration
from telerig.hardware.calibration import DeviceCalibration, GloveCalibration, JointCalibration, PedalCalibration
from telerig.hardware.errors import DataError

MADE = "2026-11-22T10:00:00+00:00"
ARM = JointCalibration(("a", "b"), (0.25, -1.5), (1.0, -1.0))
GLOVE = GloveCalibration(("x", "y"), (1000.0, 3000.5), (2900.0, 900.0))
PEDALS = PedalCalibration(("speed", "yaw", "height"), (0.02, 0.0, 0.9), (0.97, 1.0, 0.1))
DEVICES = {
    "exo": DeviceCalibration("exo_arm", "/dev/serial/by-id/x", MADE, ARM),
    "glove": DeviceCalibration("hall_glove", "G-7", MADE, GLOVE),
    "pedals": DeviceCalibration("pedal_box", "emulated", MADE, PEDALS),
}


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rig.calibration.json"
    assert calibration.load(path) == {}
    calibration.save(path, DEVICES)
    assert calibration.load(path) == DEVICES
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-6, 6), st.sampled_from([1.0, -1.0])), min_size=1, max_size=9))
def test_every_number_survives_the_text(rows: list[tuple[float, float]]) -> None:
    names = tuple(f"j{i}" for i in range(len(rows)))
    values = JointCalibration(names, tuple(r[0] for r in rows), tuple(r[1] for r in rows))
    devices = {"a": DeviceCalibration("d", "i", MADE, values)}
    assert calibration.parse(calibration.dump(devices)) == devices


def changed(device: str, **keys: object) -> str:
    raw = json.loads(calibration.dump(DEVICES))
    raw["devices"][device].update(keys)
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a calibration file"),
        ('{"format": "telerig.calibration", "version": 2, "devices": {}}', "version 2"),
        (changed("exo", sign=[1.0, 0.5]), "sign of b"),
        (changed("exo", neutral=[0.0]), "1 values for 2"),
        (changed("exo", neutral=[0.0, 90.0]), "degrees"),
        (changed("exo", neutral=[0.0, float("nan")]), "b is not finite"),
        (changed("exo", neutral=[0.0, "x"]), "could not convert"),
        (changed("exo", neutral=7), "not iterable"),
        (changed("exo", kind="leg"), "kind 'leg'"),
        (changed("exo", more=1), "neutral"),
        (changed("glove", closed=[1100.0, 900.0]), "x 100 counts"),
        (changed("pedals", pressed=[0.97, 0.1, 0.1]), "yaw 0.1"),
    ],
)
def test_nonsense_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        calibration.parse(text, "rig.calibration.json")
    assert str(caught.value).startswith("rig.calibration.json: ")
    assert "\n" not in str(caught.value)


def test_the_default_is_the_identity() -> None:
    arm = calibration.default_calibration("joints", ("a", "b"))
    assert arm == JointCalibration(("a", "b"), (0.0, 0.0), (1.0, 1.0))
    pedals = calibration.default_calibration("pedals", ("s", "y", "h"))
    assert pedals == PedalCalibration(("s", "y", "h"), (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(DataError, match="joints, glove, pedals"):
        calibration.default_calibration("camera", ())
