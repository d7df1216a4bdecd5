"""Joint normalisation: invertible, about [−1, 1], and quiet joints stay quiet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.policies.normalise import FLOOR, fit


@given(st.integers(0, 10_000), st.floats(0.1, 3.0), st.floats(-2, 2))
def test_moving_joint_fills_the_range_and_comes_back(seed, width, centre):
    x = np.random.default_rng(seed).uniform(centre - width, centre + width, (500, 1))
    n = fit(x, np.array([6.0]))
    y = n.encode(x)
    assert np.quantile(y, 0.01) == pytest.approx(-1, abs=1e-6)
    assert np.quantile(y, 0.99) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(n.decode(y), x, atol=1e-12)
    assert n.active.all()


def test_nearly_constant_joint_takes_the_joint_range():
    x = np.column_stack([np.full(100, 0.3) + 1e-5 * np.arange(100) / 100, np.linspace(-1, 1, 100)])
    n = fit(x, np.array([4.0, 4.0]))
    assert n.active.tolist() == [False, True]
    assert n.half[0] == 2.0
    assert np.abs(n.encode(x)[:, 0]).max() < 1e-4


def test_small_motion_is_not_blown_up():
    x = np.linspace(-0.01, 0.01, 200)[:, None]
    n = fit(x, np.array([4.0]))
    assert n.active.all()
    assert n.half[0] == pytest.approx(FLOOR * 4.0)


def test_unknown_values_are_left_out():
    x = np.linspace(-1, 1, 201)[:, None]
    gaps = np.repeat(x, 2, axis=0)
    gaps[1::2] = np.nan
    np.testing.assert_allclose(fit(gaps, np.array([4.0])).half, fit(x, np.array([4.0])).half)
    with pytest.raises(ValueError, match="element 0"):
        fit(np.full((5, 1), np.nan), np.array([4.0]))
