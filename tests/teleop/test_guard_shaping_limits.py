"""The guard's shaping half: whatever is intended, the limits hold at every tick, and what lies within them is followed."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.commands import Mode, TargetSpec
from telerig.teleop.guard_shaping import Shaper
from telerig.teleop.profile import goal_velocity
from telerig.teleop.states import State

from .guard_shaper import ARM, BASE, DT, T0, TICK, Rig, command


def test_a_moving_goal_within_the_limits_is_followed_without_lag() -> None:
    rig = Rig()
    rig.tick(State.MATCHING, {ARM: (0.0, 0.2, 0.1)}, 5)
    for k in range(400):
        goal = 0.5 * (1 - math.cos(2 * math.pi * 0.5 * k * DT))
        out = rig.tick(State.ENGAGED, {ARM: (goal, 0.2, 0.1)})
        if k > 20:
            assert abs(out[ARM.name].data[0] - goal) < 1e-4


def test_a_swing_near_the_acceleration_limit_does_not_build_up() -> None:
    """Quantised to a servo's 4096 steps, sampled at 250 Hz: 2 Hz, 0.12 rad needs 18.9 of 20 rad/s²."""
    rig, worst = Rig(), 0.0
    for k in range(800):
        t = math.floor(k * DT * 250) / 250
        goal = round(0.12 * math.sin(2 * math.pi * 2 * t) / 0.001534) * 0.001534
        out = rig.tick(State.ENGAGED if k else State.MATCHING, {ARM: (goal, 0.2, 0.1)})
        worst = max(worst, abs(out[ARM.name].data[0] - goal)) if k > 200 else 0.0
    assert worst < 0.06  # with nothing in reserve it is 0.21


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_a_goal_that_runs_into_a_limit_is_not_followed_into_it_at_speed(way: float) -> None:
    rig = Rig(start=(0.0, 0.0, 0.1))
    for k in range(400):
        rig.tick(State.ENGAGED if k else State.MATCHING, {ARM: (0.0, way * 0.01 * k, 0.1)})  # 2 rad/s to ±1 and on
    path = rig.path()[:, 1]
    assert path[-1] == pytest.approx(way)
    assert np.abs(np.diff(path, 2)).max() / DT**2 <= 30.0 * (1 + 1e-6)


def test_the_goal_s_velocity_is_what_its_last_two_steps_agree_on() -> None:
    goals = (np.array((0.03, 0.05, 0.01, 0.0)), np.array((0.02, 0.0, 0.0, 0.01)), np.array((0.0, 0.0, 0.01, 0.03)))
    np.testing.assert_allclose(goal_velocity(goals, DT), (2.0, 0.0, 0.0, -2.0))


VALUES = st.one_of(st.floats(-3, 3), st.sampled_from([math.nan, math.inf, -math.inf, 1e300]))
GOALS = st.one_of(
    st.tuples(st.floats(-2.5, 2.5), st.floats(-1.2, 1.2), st.floats(-0.2, 2.0)), st.lists(VALUES, max_size=4), st.none()
)
STATES = st.sampled_from([State.ENGAGED] * 6 + list(State))
PLAN = st.lists(st.tuples(STATES, GOALS, st.integers(1, 60), st.sampled_from([0, 0, 0, 2])), min_size=1, max_size=12)


@settings(max_examples=80, deadline=None)
@given(PLAN, st.tuples(st.floats(-2, 2), st.floats(-1, 1), st.floats(0, 1.5)))
def test_whatever_is_intended_the_limits_hold_at_every_tick(
    plan: list[tuple[State, object, int, int]], start: tuple[float, float, float]
) -> None:
    rig = Rig(start=start)
    low, high = np.array(ARM.low), np.array(ARM.high)
    v_max, a_max = np.array(ARM.velocity), np.array(ARM.acceleration)
    p, v = np.asarray(start), np.zeros(3)
    for state, goal, repeat, move in plan:
        for k in range(repeat):
            at = None if goal is None else np.asarray(goal) + (move * 0.02 * k)
            out = rig.tick(state, {} if at is None else {ARM: at})[ARM.name]
            assert (out.data >= low).all()
            assert (out.data <= high).all()
            if out.mode is not Mode.JOINT_POSITION:
                p, v = np.asarray(rig.measured[ARM.name]), np.zeros(3)
                continue
            v_new = (out.data - p) / DT
            assert (np.abs(v_new) <= v_max * (1 + 1e-9)).all()
            assert (np.abs(v_new - v) <= a_max * DT * (1 + 1e-6) + 1e-9).all()
            p, v = out.data, v_new


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_goal_that_stands_still_is_reached_without_overshoot(seed: int) -> None:
    random, n = np.random.default_rng(seed), 64
    start, goal = random.uniform(-2, 2, (2, n))
    v, a = random.uniform(0.2, 10, n), random.uniform(2, 200, n)
    limits = tuple(map(tuple, (np.full(n, -2.0), np.full(n, 2.0), v, a, np.zeros(n))))
    spec = TargetSpec("r/x", Mode.JOINT_POSITION, tuple(map(str, range(n))), *limits, "rad", ("r/state", "position"))
    shaper, now, path = Shaper((spec,), 200.0), T0, [start]
    for _ in range(int(np.max(np.abs(goal - start) / v + 4 * v / a + 4 * np.sqrt(4 / a)) / DT) + 50):
        now += TICK
        shaper.judge(now, {spec.name: command(spec, goal, now)}, {spec.name: start})
        path.append(shaper.move(now, State.ENGAGED)[0].data)
        if np.abs(path[-1] - goal).max() < 1e-12:
            break
    np.testing.assert_allclose(path[-1], goal, atol=1e-9)
    assert (np.diff(path, axis=0) * np.sign(goal - start) >= -1e-12).all()


def test_speed_scales_the_velocity_limits() -> None:
    rig = Rig(speed=0.5)
    rig.tick(State.MATCHING, {ARM: (0.0, 0.2, 0.1)}, 3)
    rig.tick(State.ENGAGED, {ARM: (0.7, 0.2, 0.1)}, 60)
    rig.tick(State.ENGAGED, {ARM: (1.4, 0.2, 0.1)}, 60)
    assert np.abs(np.diff(rig.path()[:, 0]) / DT).max() == pytest.approx(1.5)


def test_a_humanoid_s_upper_body_costs_little() -> None:
    n = 28
    spec = TargetSpec(
        "robot/upper", Mode.JOINT_POSITION, tuple(f"j{i}" for i in range(n)), (-2.0,) * n, (2.0,) * n, (6.0,) * n,
        (40.0,) * n, (0.0,) * n,
    )  # fmt: skip
    shaper, now, best = Shaper((spec, BASE), 200.0), T0, math.inf
    measured = {spec.name: np.zeros(n)}
    for k in range(300):
        now += TICK
        goal = {spec.name: command(spec, np.full(n, 0.002 * k), now), BASE.name: command(BASE, BASE.home, now)}
        begin = time.perf_counter()
        shaper.judge(now, goal, measured)
        shaper.move(now, State.ENGAGED)
        best = min(best, time.perf_counter() - begin)
    assert best < 2e-3  # a cause, not a bar: nothing is looped over joints in Python (measured: see docs/safety.md)


@given(st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(-2, 2), st.integers(1, 40)), min_size=1, max_size=8))
def test_calm_slows_joints_within_their_acceleration_and_leaves_the_base_alone(
    plan: list[tuple[float, float, int]],
) -> None:
    calmed, plain = Rig(ARM, BASE), Rig(ARM, BASE)
    v_max, a_max = np.array(ARM.velocity), np.array(ARM.acceleration)
    for calm, goal, ticks in plan:
        calmed.shaper.calm = calm
        for _ in range(ticks):
            want = {ARM: np.clip([goal, goal / 2, goal], ARM.low, ARM.high), BASE: (goal / 2, 0.0, 0.3, 0.6)}
            for rig in (calmed, plain):
                rig.shaper._newest.clear()  # jumps are not what is tested here
                rig.tick(State.ENGAGED, want)
        if ticks > 35:  # long enough to slow down from anything
            speed = np.abs(np.diff(calmed.path()[-2:], axis=0)[0]) / DT
            assert (speed <= v_max * calm + 1e-6).all()
    path = calmed.path()
    start = np.array([ARM.home] * 2)
    velocity = np.diff(np.vstack((start, path)), axis=0) / DT
    assert (np.abs(np.diff(velocity, axis=0)) / DT <= a_max * 1.001).all()
    np.testing.assert_array_equal(calmed.path(BASE.name), plain.path(BASE.name))
