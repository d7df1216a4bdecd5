"""The cockpit: one command a target from several devices, and what happens when a joint is not measured."""

from __future__ import annotations

import copy
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.hardware import calibration
from telerig.hardware.calibration import DeviceCalibration, JointCalibration
from telerig.hardware.commands import Command, Source, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import CommandRefused, ConfigError
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire.messages import GLOVE_JOINTS
from telerig.teleop.cockpit import Cockpit
from telerig.teleop.cockpit_build import build, device_streams
from telerig.teleop.rig import Rig, parse_rig

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
RIG = """
name = "test"
[devices.exo_left]
driver = "exo_arm"
emulate = true
[devices.glove_left]
driver = "hall_glove"
emulate = true
side = "left"
[devices.pedals]
driver = "pedal_box"
emulate = true
[devices.robot]
driver = "dynamixel_arm"
embodiment = "g1_like"
emulate = true
[[cockpit.arms]]
device = "exo_left"
target = "robot/upper"
groups = ["left_arm"]
[[cockpit.hands]]
device = "glove_left"
target = "robot/upper"
groups = ["left_hand"]
table = "three_finger"
side = "left"
[cockpit.pedals]
device = "pedals"
target = "robot/base"
"""


class FakeReader:
    """The newest sample of a stream."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.sample: Sample | None = None

    def latest(self) -> Sample | None:
        return self.sample

    def window(self, t0: int, t1: int) -> list[Sample]:
        raise AssertionError("the cockpit looks at the newest sample only")


def robot_targets() -> tuple[TargetSpec, ...]:
    g1 = load_embodiment("g1_like")
    return g1.target("robot", "upper"), g1.target("robot", "base")


def raw_rig() -> dict[str, Any]:
    raw = tomllib.loads(RIG)
    raw["devices"]["robot"] = {"driver": "mujoco_robot", "embodiment": "g1_like"}
    return raw


class Operator:
    """A cockpit with its streams."""

    def __init__(self, path: Path, raw: dict[str, Any] | None = None) -> None:
        self.rig: Rig = parse_rig(raw or raw_rig(), path / "rig.toml", "")
        self.cockpit: Cockpit = build(self.rig, robot_targets(), {})
        specs = [s for d in self.rig.devices.values() if d.name != "robot" for s in device_streams(d)]
        self.readers = {s.name: FakeReader(s) for s in specs}
        self.now = T0
        self.arm(T0)
        self.glove(T0)
        self.feet(T0)

    def put(self, stream: str, t: int, valid: np.ndarray | None = None, **data: object) -> None:
        values = {k: np.asarray(v, float) for k, v in data.items()}
        self.readers[stream].sample = Sample(stream, t, t, values, valid=valid)

    def arm(self, t: int, angle: object = (0.1,) * 7, valid: np.ndarray | None = None) -> None:
        self.put("exo_left/joints", t, valid, position=angle, velocity=(0.0,) * 7)

    def glove(self, t: int, counts: object = (1100.0,) * 16) -> None:
        self.put("glove_left/joints", t, counts=counts)

    def feet(self, t: int, position: object = (0.0, 0.0, 0.0)) -> None:
        self.put("pedals/pedals", t, position=position, switches=(1, 0, 1))

    def act(self, now: int) -> dict[str, Command]:
        return {c.target: c for c in self.cockpit.act(self.readers, now)}


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_one_command_a_target_from_arm_glove_and_pedals(operator: Operator) -> None:
    assert operator.cockpit.requires == ("exo_left/joints", "glove_left/joints", "pedals/pedals")
    assert operator.cockpit.drives == ("robot/upper", "robot/base")
    upper, base = robot_targets()
    operator.arm(T0 - 3 * MS, np.linspace(-0.3, 0.3, 7))
    counts = np.full(16, 1100.0)
    counts[GLOVE_JOINTS.index("index_flexion")] = 2000.0
    operator.glove(T0 - 1 * MS, counts)
    out = operator.act(T0)
    command = out[upper.name]
    np.testing.assert_allclose(command.data[:7], np.linspace(-0.3, 0.3, 7))
    hand = dict(zip(upper.names[7:14], command.data[7:14], strict=True))
    assert hand["left_hand_index_0_joint"] == pytest.approx(-0.75)
    assert hand["left_hand_thumb_1_joint"] == pytest.approx(-0.4)
    np.testing.assert_array_equal(command.data[14:], upper.home[14:])  # the right arm is not worn
    assert command.t_inputs == (T0 - 3 * MS, T0 - 1 * MS)
    assert (command.source, command.t_issued, command.ttl_ns, command.seq) == (Source.OPERATOR, T0, 100 * MS, 1)
    np.testing.assert_array_equal(out[base.name].data, base.home)
    assert operator.act(T0 + 5 * MS)[upper.name].seq == 2


def test_a_sample_is_in_the_very_next_command_unfiltered_and_clamped(operator: Operator) -> None:
    operator.act(T0)
    operator.arm(T0 + 4 * MS, (1.0, 3.0, -3.0, 0.5, 0.0, 0.0, 0.0))
    upper = robot_targets()[0]
    data = operator.act(T0 + 5 * MS)[upper.name].data
    np.testing.assert_allclose(data[:4], (1.0, upper.high[1], upper.low[2], 0.5))


def test_no_command_before_every_device_has_spoken(operator: Operator) -> None:
    operator.readers["glove_left/joints"].sample = None
    assert list(operator.act(T0)) == ["robot/base"]


@pytest.mark.parametrize("how", ["nan", "valid bit"])
def test_an_unmeasured_joint_keeps_its_value_for_50_ms_then_there_is_no_command(operator: Operator, how: str) -> None:
    operator.arm(T0, (0.4,) * 7)
    operator.act(T0)
    for ms in (5, 25, 50, 51, 200):
        angle, valid = np.full(7, 0.2), None
        if how == "nan":
            angle[3] = math.nan
        else:
            angle[3], valid = 9.0, np.arange(14) != 3
        operator.arm(T0 + ms * MS, angle, valid)
        if ms <= 50:
            data = operator.act(T0 + ms * MS)["robot/upper"].data
            np.testing.assert_allclose(data[:7], [0.2, 0.2, 0.2, 0.4, 0.2, 0.2, 0.2])
        else:
            with pytest.raises(CommandRefused, match="exo_left/joints: elbow not measured"):
                operator.act(T0 + ms * MS)
    operator.arm(T0 + 205 * MS, (0.3,) * 7)
    assert operator.act(T0 + 205 * MS)["robot/upper"].data[3] == pytest.approx(0.3)


def test_a_dead_sensor_that_matters_to_nobody_does_not_stop_the_operator(operator: Operator) -> None:
    counts = np.full(16, 1100.0)
    counts[GLOVE_JOINTS.index("pinky_dip")] = math.nan
    operator.glove(T0, counts)
    assert "robot/upper" in operator.act(T0 + 100 * MS)
    counts[GLOVE_JOINTS.index("thumb_cmc")] = math.nan
    operator.cockpit.reset()
    operator.glove(T0, counts)
    with pytest.raises(CommandRefused, match="thumb_cmc"):
        operator.act(T0)


def test_reset_forgets_the_last_values_and_the_pedals_direction(operator: Operator) -> None:
    operator.act(T0)
    operator.cockpit.reset()
    operator.arm(T0 + 5 * MS, (math.nan,) * 7)
    with pytest.raises(CommandRefused, match="shoulder_pitch, shoulder_roll"):
        operator.act(T0 + 5 * MS)


def calibrated(path: Path, identity: str, names: tuple[str, ...], driver: str = "exo_arm") -> None:
    values = JointCalibration(names, (0.5,) * len(names), (1.0,) * len(names))
    made = DeviceCalibration(driver, identity, "2026-11-22T10:00:00+00:00", values)
    calibration.save(path / "rig.calibration.json", {"exo_left": made})


def real_rig() -> dict[str, Any]:
    raw = raw_rig()
    raw["devices"]["exo_left"] = {"driver": "exo_arm", "port": "/dev/serial/by-id/A"}
    return raw


def test_a_real_device_needs_its_own_calibration(tmp_path: Path) -> None:
    how = f"run: telerig calibrate {tmp_path / 'rig.toml'} exo_left"
    with pytest.raises(ConfigError, match="not calibrated") as caught:
        Operator(tmp_path, real_rig())
    assert how in str(caught.value)
    names = device_streams(parse_rig(raw_rig(), tmp_path / "rig.toml", "").devices["exo_left"])[0].arrays[0].axes
    calibrated(tmp_path, "/dev/serial/by-id/B", names)
    with pytest.raises(ConfigError, match="calibrated as /dev/serial/by-id/B"):
        Operator(tmp_path, real_rig())
    calibrated(tmp_path, "/dev/serial/by-id/A", names[:6])
    with pytest.raises(ConfigError, match="other joints"):
        Operator(tmp_path, real_rig())
    calibrated(tmp_path, "/dev/serial/by-id/A", names)
    operator = Operator(tmp_path, real_rig())
    assert operator.act(T0)["robot/upper"].data[0] == pytest.approx(-0.4)  # 0.1 - 0.5
    emulated = Operator(tmp_path)  # a real arm's calibration says nothing about an emulated one
    assert emulated.act(T0)["robot/upper"].data[0] == pytest.approx(0.1)
    raw = real_rig()
    raw["devices"]["exo_left"]["calibrate"] = False
    (tmp_path / "rig.calibration.json").unlink()
    assert Operator(tmp_path, raw).act(T0)["robot/upper"].data[0] == pytest.approx(0.1)


MISTAKES: list[tuple[str, str, object]] = [
    ("cockpit.arms.0: embodiment g1_like has no group 'tail'", "arms.0.groups", ["tail"]),
    ("cockpit.arms.0: device 'exo_top' is not in this rig", "arms.0.device", "exo_top"),
    ("cockpit.arms.0: device 'pedals' (driver pedal_box) has no position of joints", "arms.0.device", "pedals"),
    ("cockpit.arms.0: target 'robot/tail' is unknown", "arms.0.target", "robot/tail"),
    ("cockpit.arms.0: take: [9]", "arms.0.take", [9]),
    ("cockpit.arms.0: give either groups", "arms.0.joints", ["left_elbow_joint"]),
    ("cockpit.hands.0: speed: unknown key", "hands.0.speed", 1),
    ("cockpit.hands.0: hand table 'mitten' is unknown", "hands.0.table", "mitten"),
    ("cockpit.pedals: dead_band: 3.0", "pedals.dead_band", 3),
    ("cockpit.legs: unknown key", "legs", []),
    ("cockpit.arms: must be [[cockpit.arms]]", "arms", 3),
    ("cockpit.ttl_ms: 1", "ttl_ms", 1),
    ("cockpit: robot/upper: left_elbow_joint, ", "hands.0.groups", ["left_arm"]),
]


@pytest.mark.parametrize(("said", "where", "value"), MISTAKES)
def test_mistakes_in_the_rig_file_are_one_line_each(tmp_path: Path, said: str, where: str, value: object) -> None:
    raw = copy.deepcopy(raw_rig())
    place: Any = raw["cockpit"]
    *way, last = where.split(".")
    for key in way:
        place = place[int(key)] if key.isdigit() else place[key]
    place[last] = value
    with pytest.raises(ConfigError) as caught:
        Operator(tmp_path, raw)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / 'rig.toml'}: {said}")


def test_all_mistakes_are_told_at_once_and_an_empty_cockpit_is_one(tmp_path: Path) -> None:
    raw = raw_rig()
    raw["cockpit"]["arms"][0]["groups"], raw["cockpit"]["hands"][0]["side"] = ["tail"], "top"
    with pytest.raises(ConfigError) as caught:
        Operator(tmp_path, raw)
    assert len(str(caught.value).splitlines()) == 2
    raw["cockpit"] = {}
    with pytest.raises(ConfigError, match="drives nothing"):
        Operator(tmp_path, raw)
