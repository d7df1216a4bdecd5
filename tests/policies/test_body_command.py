"""A body policy's command and gait clock: range and slew, dead bands, the walk's end, the phases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.policies.body.command import CommandShaper, GaitClock
from telerig.policies.body.manifest import CommandTable

from .body_fake import FORWARD, STAND, Fake, build


@given(st.floats(-2, 2), st.floats(-2, 2), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_the_wish_follows_within_range_and_slew(body_toy, vx, height, periods):
    made = body_toy.manifest()
    shaper = CommandShaper(made.command, made.rate_hz)
    before = np.array([0, 0, 0, 0.74])
    for _ in range(120):
        now = shaper.step(np.array([vx, 0, 0, height]), periods).wish
        left = np.array([np.clip(vx, -0.5, 0.9), 0, 0, np.clip(height, 0.34, 0.78)]) - before
        reach = np.array([1, 1, 2, 0.3]) * periods / 50
        np.testing.assert_allclose(now - before, np.clip(left, -reach, reach), atol=1e-9)
        before = now.copy()
    np.testing.assert_allclose(before, [np.clip(vx, -0.5, 0.9), 0, 0, np.clip(height, 0.34, 0.78)], atol=1e-9)


RESPONSE = [[0.1, 0.0], [0.2, 0.09], [0.3, 0.31], [0.5, 0.487]]


@given(st.floats(-0.8, 0.8))
@settings(max_examples=60, deadline=None)
def test_dead_bands_are_compensated(wish):
    """Given back through what was measured, the wish comes out; rest stays rest; left is as right."""
    table = CommandTable.model_validate({"vx": {"range": [-1.0, 1.0], "response": RESPONSE}})

    def sent(value):
        return float(CommandShaper(table, 50).step(np.array([value, 0, 0, 0])).sent[0])

    given_to_it = sent(wish)
    assert sent(-wish) == -given_to_it
    if abs(wish) <= 0.01:
        assert given_to_it == 0.0
    elif abs(wish) <= 0.487:
        achieved = np.interp(abs(given_to_it), *np.array(RESPONSE).T)
        assert achieved * np.sign(given_to_it) == pytest.approx(wish, abs=1e-9)
        assert abs(given_to_it) > 0.1
    else:
        assert abs(given_to_it) == pytest.approx(min(1.0, 0.5 + abs(wish) - 0.487))


def test_what_is_shown_to_the_policy_is_compensated_and_told_apart(body_toy):
    tables = body_toy.recipe()
    tables["command"]["vx"] = {"range": [-0.5, 0.9], "response": RESPONSE}
    fake = Fake()
    done = build(body_toy.manifest(tables), fake).step(body_toy.state(), [0.09, 0, 0, 0.74])
    assert fake.seen[0][0] == pytest.approx(0.2)
    assert (done.wish[0], done.sent[0]) == (pytest.approx(0.09), pytest.approx(0.2))


def test_a_walk_that_is_to_end_slows_down_first(body_toy):
    policy = build(body_toy.manifest(), Fake())
    state = body_toy.state()
    for _ in range(40):
        walking = policy.step(state, FORWARD)
    assert walking.walking
    assert walking.wish[0] == pytest.approx(0.5)
    speeds = []
    while (done := policy.step(state, STAND)).walking:
        speeds.append(done.wish[0])
    assert min(speeds) > 0.08 >= done.wish[0]


def phases(body_toy, clock, walking, periods=1):
    tables = body_toy.recipe()
    tables["clock"] = {"period_s": 0.8, "offsets": [0.0, float(np.pi)], **clock}
    made = GaitClock(body_toy.manifest(tables))
    return [(float(made.step(w, periods)[0]), made.shown) for w in walking]


def test_clock(body_toy):
    delta = 2 * np.pi / 40
    walk = [True] * 3 + [False] * 2 + [True] * 2
    zero = phases(body_toy, {"at_rest": "zero"}, walk)
    assert [shown for _, shown in zero] == walk
    np.testing.assert_allclose([p for p, s in zero if s], [0, delta, 2 * delta, 0, delta], atol=1e-12)
    fixed = phases(body_toy, {"at_rest": "fixed", "rest_phase": float(np.pi)}, walk)
    np.testing.assert_allclose([p for p, _ in fixed], [0, delta, 2 * delta, np.pi, np.pi, 0, delta], atol=1e-12)
    assert all(shown for _, shown in fixed)
    runs = phases(body_toy, {"at_rest": "run"}, walk)
    np.testing.assert_allclose([p for p, _ in runs], delta * np.arange(7), atol=1e-12)
    goes_on = phases(body_toy, {"at_rest": "zero", "restart": False}, walk)
    np.testing.assert_allclose([p for p, s in goes_on if s], [0, delta, 2 * delta, 2 * delta, 3 * delta], atol=1e-12)
    np.testing.assert_allclose(phases(body_toy, {}, [True] * 3, periods=2)[2][0], 4 * delta)


def test_the_gaits_phases_are_half_a_period_apart(body_toy):
    clock = GaitClock(body_toy.manifest())
    for _ in range(100):
        left, right = clock.step(True)
        assert np.cos(left) == pytest.approx(-np.cos(right))
        assert -np.pi <= left <= np.pi
