"""Gamepad and keyboard to a base's command: limits, slew, rest; and a rig whose robot is driven by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.hardware.calibration import PedalCalibration
from telerig.hardware.commands import Mode, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.teleop.keyboard_drive import DRIVE, KEYS, KeyDrive
from telerig.teleop.retarget.pedals import PedalMap, PedalShape
from telerig.teleop.retarget.sticks import StickMap, StickShape, WishMap

BASE = load_embodiment("g1_like").target("robot", "base")
LOW, HIGH, RATE, HOME = (np.array(v) for v in (BASE.low, BASE.high, BASE.velocity, BASE.home))
TICK = 5_000_000
axis = st.floats(-1.0, 1.0)
plans = st.lists(st.tuples(axis, axis, axis, axis, st.integers(1, 60)), max_size=8)


def held(stick: StickMap, axes: tuple[float, ...], ticks: int, start: int = 0) -> list[np.ndarray]:
    return [stick(start + (k + 1) * TICK, np.array(axes)) for k in range(ticks)]


@given(plans)
def test_sticks_stay_within_limits_and_slew(plan: list[tuple[float, float, float, float, int]]) -> None:
    stick, now, last = StickMap(BASE, StickShape()), 0, HOME
    for *axes, ticks in plan:
        for _ in range(ticks):
            now += TICK
            out = stick(now, np.array(axes))
            assert ((out >= LOW) & (out <= HIGH)).all()
            assert (np.abs(out - last) <= RATE * 0.005 + 1e-12).all()
            last = out


@given(axis, axis)
def test_a_centred_stick_is_rest_and_more_is_more(a: float, b: float) -> None:
    shape = StickShape()
    pa, pb = (float(shape.part(shape.travel(np.array([v])))[0]) for v in (a, b))
    assert (pa == 0.0) == (abs(a) <= shape.dead_band)
    if 0 <= a <= b:
        assert pa <= pb <= 1.0
    assert float(shape.part(shape.travel(np.array([-a])))[0]) == -pa


def test_the_whole_range_and_the_height_that_stays() -> None:
    stick = StickMap(BASE, StickShape())
    out = held(stick, (1.0, -1.0, 1.0, 0.0), 400)[-1]
    np.testing.assert_allclose(out, (HIGH[0], LOW[1], HIGH[2], HOME[3]))
    down = held(stick, (0.0, 0.0, 0.0, -1.0), 200, 400 * TICK)[-1]
    assert down[3] == pytest.approx(HOME[3] - RATE[3], abs=0.01)  # a second of it
    still = held(stick, (0.0, 0.0, 0.0, 0.0), 200, 600 * TICK)[-1]
    np.testing.assert_allclose(still[:3], 0.0)
    assert still[3] == pytest.approx(down[3])
    lowest = held(stick, (0.0, 0.0, 0.0, -1.0), 800, 800 * TICK)[-1]
    assert lowest[3] == LOW[3]
    held(stick, (1.0, 0.0, 0.0, 0.0), 10, 1600 * TICK)
    stick.reset()
    np.testing.assert_allclose(stick(0, np.zeros(4)), (0.0, 0.0, 0.0, LOW[3]))
    stick.stand_at(0.5)
    np.testing.assert_allclose(stick(TICK, np.zeros(4)), (0.0, 0.0, 0.0, 0.5))


def test_a_gap_is_no_jump() -> None:
    stick = StickMap(BASE, StickShape())
    held(stick, (0.0,) * 4, 2)
    out = stick(60_000_000_000, np.array([1.0, 0.0, 0.0, 0.0]))
    assert out[0] <= RATE[0] * 0.1 + 1e-9


keys = st.lists(st.sampled_from([*KEYS, "0", "?"]), max_size=60)


@given(keys)
def test_keys_stay_within_limits_and_pass_through_rest(typed: list[str]) -> None:
    drive = KeyDrive(BASE)
    for key in typed:
        before = drive.wish
        taken = drive.press(key)
        assert taken == (key != "?")
        assert ((drive.wish >= LOW) & (drive.wish <= HIGH)).all()
        assert (before[:3] * drive.wish[:3] >= 0.0).all()  # never from one direction into the other
    drive.still()
    assert not drive.wish[:3].any()


def test_five_presses_are_full_speed_and_zero_is_rest_at_the_same_height() -> None:
    drive, wish = KeyDrive(BASE), WishMap(BASE)
    for key in "uuuuub":
        drive.press(key)
    assert drive.wish[0] == pytest.approx(HIGH[0])
    out = [wish(k * TICK, drive.wish) for k in range(400)]
    assert np.diff([o[0] for o in out]).max() <= RATE[0] * 0.005 + 1e-12
    assert out[-1][0] == pytest.approx(HIGH[0])
    drive.press("0")
    np.testing.assert_allclose(drive.wish, (0, 0, 0, HOME[3] - 0.1 * (HIGH[3] - LOW[3])))
    sample = drive.sample(7)
    assert sample.stream == DRIVE.name
    np.testing.assert_array_equal(sample.array("wish"), drive.wish)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(1, 80)), min_size=1, max_size=12)
)
def test_pedals_change_direction_only_at_rest(plan: list[tuple[float, float, float, int]]) -> None:
    calibration = PedalCalibration(("speed", "yaw", "height"), (0.1, 0.1, 0.1), (0.9, 0.9, 0.9))
    pedals, now, last, before = PedalMap(calibration, BASE, PedalShape()), 0, HOME, (1.0, 1.0)
    for speed, yaw, height, ticks in plan:
        for _ in range(ticks):
            now += TICK
            out = pedals(now, np.array([speed, yaw, height]))
            assert (out[:3] * last[:3] >= 0.0).all()
            for k, element in ((0, 0), (1, 2)):
                if pedals.directions[k] != before[k]:
                    assert last[element] == 0.0
            last, before = out, pedals.directions


def test_they_need_a_base() -> None:
    arm = TargetSpec("robot/arm", Mode.JOINT_POSITION, ("a",), (-1.0,), (1.0,), (1.0,), (1.0,), (0.0,))
    with pytest.raises(ConfigError, match="a base is right"):
        StickMap(arm, StickShape())
    with pytest.raises(ConfigError, match="dead_band"):
        StickShape(dead_band=0.0)
    with pytest.raises(ConfigError, match="curve"):
        StickShape(curve=9.0)
    with pytest.raises(ConfigError, match="floor"):
        StickShape(floor=1.0)
