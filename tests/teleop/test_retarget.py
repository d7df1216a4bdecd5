"""Retargeting: inside the robot's limits always, invertible where it should be, and what pedals mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.calibration import GloveCalibration, JointCalibration, PedalCalibration, default_calibration
from telerig.hardware.commands import Mode, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.wire.messages import GLOVE_JOINTS
from telerig.teleop.retarget.hand import HandMap, load_synergies
from telerig.teleop.retarget.joints import JointMap
from telerig.teleop.retarget.pedals import PedalMap, PedalShape

T0 = 1_700_000_000_000_000_000
TICK = 5_000_000
N = 7
LOW, HIGH = [-2.0] * N, [2.5] * N
BASE = TargetSpec(
    "robot/base", Mode.BASE_VELOCITY_HEIGHT, ("vx", "vy", "yaw", "height"), (-0.6, -0.4, -0.8, 0.24),
    (1.0, 0.4, 0.8, 0.76), (1.0, 1.0, 2.0, 0.3), (10.0, 10.0, 20.0, 3.0), (0.0, 0.0, 0.0, 0.74), "m/s, m/s, rad/s, m",
)  # fmt: skip

angles = st.lists(st.floats(-3.1, 3.1), min_size=N, max_size=N)
signs = st.lists(st.sampled_from([1.0, -1.0]), min_size=N, max_size=N)


@settings(deadline=None)
@given(angles, signs, signs, angles, st.lists(st.floats(-1.9, 2.4), min_size=N, max_size=N))
def test_the_inverse_gives_the_robot_s_joints_back(
    neutral: list, mounted: list, sign: list, raw: list, joints: list
) -> None:
    names = tuple(f"j{i}" for i in range(N))
    convert = JointMap(JointCalibration(names, tuple(neutral), tuple(mounted)), LOW, HIGH, sign=sign)
    np.testing.assert_allclose(convert(convert.inverse(np.array(joints))), joints, atol=1e-9)
    out = convert(np.array(raw))
    assert (out >= LOW).all()
    assert (out <= HIGH).all()


def test_sign_offset_scale_clamp_and_a_neutral_near_the_servo_s_seam() -> None:
    servos = JointCalibration(("a", "b", "c"), (3.1, 0.0, 0.5), (1.0, -1.0, 1.0))
    convert = JointMap(
        servos, [-1.0, -1.0], [1.0, 1.0], take=(0, 1), sign=(-1.0, 1.0), offset=(0.1, 0.0), scale=(2.0, 0.5)
    )
    # servo a went on from 3.1 over the seam to -3.1: 0.083 rad, not -6.2
    turned = 2 * math.pi - 6.2
    np.testing.assert_allclose(convert(np.array((-3.1, 0.4, 9.0))), (0.1 - 2 * turned, -0.2))
    np.testing.assert_allclose(convert(np.array((0.0, 3.0, 0.0))), (1.0, -1.0))
    assert np.isnan(convert(np.array((math.nan, 0.0, 0.0)))[0])
    assert convert.take.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"take": (0, 5)}, "take"),
        ({"sign": (1.0, 2.0)}, "sign"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"offset": (1.0,)}, "offset"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(how: dict, said: str) -> None:
    servos = JointCalibration(("a", "b"), (0.0, 0.0), (1.0, 1.0))
    with pytest.raises(ConfigError, match=said):
        JointMap(servos, [-1.0, -1.0], [1.0, 1.0], **how)


def hand(side: str) -> tuple[HandMap, np.ndarray, np.ndarray, np.ndarray]:
    group = load_embodiment("g1_like").group(f"{side}_hand")
    calibrated = default_calibration("glove", GLOVE_JOINTS)
    assert isinstance(calibrated, GloveCalibration)
    table = load_synergies("three_finger", side)
    assert [j.removeprefix(f"{side}_hand_").removesuffix("_joint") for j in group.joints] == list(table.joints)
    return HandMap(calibrated, table, group.low, group.high), *map(np.array, (group.low, group.high, group.home))


HANDS = [hand(side) for side in ("left", "right")]


def counts(**flexion: float) -> np.ndarray:
    return np.array(
        [1100.0 + 1800.0 * next((v for k, v in flexion.items() if n.startswith(k)), 0.0) for n in GLOVE_JOINTS]
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_open_hand_is_home_a_fist_closes_and_a_pinch_spares_the_middle_finger(side: str) -> None:
    convert, low, high, home = hand(side)
    np.testing.assert_allclose(convert(counts()), home, atol=1e-9)
    fist = convert(counts(thumb=1.0, index=1.0, middle=1.0))
    toward = np.where(np.abs(high) > np.abs(low), high, low)  # the end to which a finger closes
    assert (np.abs(fist[3:]) > 0.85 * np.abs(toward[3:])).all()
    assert (np.sign(fist[3:]) == np.sign(toward[3:])).all()
    assert abs(fist[1] - home[1]) > 1.2
    assert np.sign(fist[1] - home[1]) == np.sign(toward[2])  # the thumb's base closes the way its tip does
    np.testing.assert_array_equal(convert(counts(thumb=1.6, index=1.6, middle=1.6)), fist)  # past its calibration
    pinch = convert(counts(thumb=0.6, index=0.6))
    np.testing.assert_allclose(pinch[3:5], 0.0, atol=1e-9)
    assert (np.abs(pinch[5:]) > 0.5).all()


def test_left_and_right_are_mirror_images() -> None:
    left, right = hand("left")[0], hand("right")[0]
    random = np.random.default_rng(0)
    for _ in range(20):
        raw = random.uniform(0, 4095, len(GLOVE_JOINTS))
        np.testing.assert_allclose(left(raw), -right(raw), atol=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(-1e4, 1e4), min_size=16, max_size=16))
def test_a_hand_stays_inside_its_limits_whatever_the_glove_says(raw: list[float]) -> None:
    for convert, low, high, _ in HANDS:
        out = convert(np.array(raw))
        assert (out >= low).all()
        assert (out <= high).all()


def test_a_dead_sensor_in_the_ring_finger_disturbs_nobody() -> None:
    convert, *_ = hand("left")
    raw = counts(index=0.5)
    raw[[GLOVE_JOINTS.index(n) for n in GLOVE_JOINTS if n.startswith(("ring", "pinky"))]] = np.nan
    assert np.isfinite(convert(raw)).all()
    assert all(not GLOVE_JOINTS[i].startswith(("ring", "pinky")) for i in convert.take)


def test_hand_tables_that_do_not_fit_are_refused() -> None:
    glove = default_calibration("glove", GLOVE_JOINTS)
    assert isinstance(glove, GloveCalibration)
    table = load_synergies("three_finger", "left")
    with pytest.raises(ConfigError, match="three_finger"):
        load_synergies("nine_finger", "left")
    with pytest.raises(ConfigError, match="no side 'top'"):
        load_synergies("three_finger", "top")
    with pytest.raises(ConfigError, match="7 joints"):
        HandMap(glove, table, [0.0] * 6, [1.0] * 6)
    few = GloveCalibration(("thumb_cmc",), (0.0,), (1000.0,))
    with pytest.raises(ConfigError, match="index_flexion"):
        HandMap(few, table, [0.0] * 7, [1.0] * 7)


class Feet:
    """Pedals with a clock; ``after`` holds a position for some seconds and returns the last command."""

    def __init__(self, target: TargetSpec = BASE, **shape: float) -> None:
        names = ("speed", "yaw", "height")
        self.map = PedalMap(PedalCalibration(names, (0.0,) * 3, (1.0,) * 3), target, PedalShape(**shape))
        self.now, self.log = T0, []

    def after(self, seconds: float, speed: float = 0.0, yaw: float = 0.0, height: float = 0.0) -> np.ndarray:
        for _ in range(round(seconds / 0.005)):
            self.now += TICK
            self.log.append(self.map(self.now, np.array((speed, yaw, height))))
        return self.log[-1]


def test_pedals_walk_turn_and_squat_over_the_whole_range() -> None:
    feet = Feet()
    np.testing.assert_array_equal(feet.after(0.1), BASE.home)
    np.testing.assert_allclose(feet.after(3.0, 1.0, 1.0, 1.0), (1.0, 0.0, 0.8, 0.24))
    np.testing.assert_allclose(feet.after(3.0), BASE.home)


def test_pedals_count_from_where_they_rest_to_where_they_were_pressed() -> None:
    feet = Feet()
    rest, pressed = np.array((0.2, 0.9, 0.1)), np.array((0.7, 0.3, 0.6))  # the second is mounted the other way round
    feet.map = PedalMap(PedalCalibration(("speed", "yaw", "height"), tuple(rest), tuple(pressed)), BASE, PedalShape())
    np.testing.assert_array_equal(feet.after(0.5, *rest), BASE.home)
    np.testing.assert_allclose(feet.after(3.0, *pressed), (1.0, 0.0, 0.8, 0.24))
    beyond = rest + 1.1 * (pressed - rest)
    np.testing.assert_allclose(feet.after(1.0, *beyond), (1.0, 0.0, 0.8, 0.24))
    np.testing.assert_allclose(feet.after(3.0, *(rest - 0.1 * (pressed - rest))), BASE.home)


def test_a_tap_at_rest_reverses_and_moves_nothing() -> None:
    feet = Feet()
    feet.after(0.1)
    feet.after(0.2, speed=1.0)
    feet.after(0.5)
    assert {tuple(x) for x in feet.log} == {BASE.home}
    assert feet.map.directions == (-1.0, 1.0)
    assert feet.after(3.0, speed=1.0)[0] == pytest.approx(-0.6)
    feet.after(0.05)
    feet.after(0.2, speed=1.0)  # still slowing down: no tap
    feet.after(2.0)
    assert feet.map.directions == (-1.0, 1.0)
    feet.after(0.2, yaw=0.5)
    feet.after(0.1)
    assert feet.map.directions == (-1.0, -1.0)
    feet.map.reset()
    assert feet.map.directions == (1.0, 1.0)


def test_dead_band_curve_and_floor() -> None:
    assert Feet().after(1.0, speed=0.08, yaw=0.079)[:3].tolist() == [0.0, 0.0, 0.0]
    half = Feet(dead_band=0.1, curve=2.0, tap_s=0.0).after(3.0, speed=0.55)[0]
    assert half == pytest.approx(0.25)
    assert Feet(floor=0.3, dead_band=0.1, tap_s=0.0).after(3.0, speed=0.101)[0] == pytest.approx(0.3, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.005, 0.5), st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)), max_size=12
    )
)
def test_pedals_stay_within_limits_and_slew(plan: list[tuple[float, float, float, float]]) -> None:
    feet = Feet()
    for seconds, *position in plan:
        feet.after(seconds, *position)
    log = np.array([BASE.home, *feet.log])
    assert (log >= np.array(BASE.low) - 1e-12).all()
    assert (log <= np.array(BASE.high) + 1e-12).all()
    assert (np.abs(np.diff(log, axis=0)) <= np.array(BASE.velocity) * 0.005 + 1e-12).all()
    assert (log[:, 1] == 0.0).all()


def test_more_pedal_is_more_speed() -> None:
    speeds = [Feet().after(2.0, speed=p)[0] for p in np.linspace(0, 1, 12)]
    assert speeds == sorted(speeds)


def test_pedals_need_a_base() -> None:
    arm = TargetSpec("r/a", Mode.JOINT_POSITION, ("a",), (0.0,), (1.0,), (1.0,), (1.0,), (0.0,))
    with pytest.raises(ConfigError, match="base"):
        Feet(arm)
    for bad in ({"dead_band": 0.6}, {"curve": 0.0}, {"floor": 1.0}, {"tap_s": 2.0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            PedalShape(**bad)
