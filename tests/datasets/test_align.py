"""Alignment as algebra: no row sees the future, ages are never negative, latency shifts behave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from telerig.datasets.align import NEVER, interpolate, newest, row_times, take

TIMES = arrays(np.int64, st.integers(0, 20), elements=st.integers(0, 10**9))
ROWS = st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(1, 30)).map(
    lambda v: row_times(min(v[:2]), max(v[:2]), v[2])
)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**61), st.integers(0, 3 * 10**9), st.sampled_from([1.0, 29.97, 30.0, 50.0, 333.0]))
def test_rows_keep_their_rate_and_stay_inside(start, length, rate):
    rows = row_times(start, start + length, rate)
    assert rows[0] == start
    assert rows[-1] <= start + length
    assert start + length - rows[-1] <= 1e9 / rate + 1
    k = np.arange(len(rows))
    assert np.all(np.abs((rows - start) - k * 1e9 / rate) <= 1.0)


def test_no_rows_where_nothing_overlaps():
    assert len(row_times(10, 9, 30.0)) == 0
    with pytest.raises(ValueError, match="positive"):
        row_times(0, 1, 0.0)


@settings(max_examples=60, deadline=None)
@given(ROWS, TIMES)
def test_each_row_shows_the_newest_sample_measured_by_then(rows, times):
    aligned = newest(rows, times)
    for row, index, shown, age in zip(rows, aligned.index, aligned.t_ns, aligned.age_ns, strict=True):
        past = times[times <= row]
        if not len(past):
            assert (index, age) == (-1, NEVER)
        else:
            assert shown == times[index] == past.max()
            assert age == row - shown >= 0


@settings(max_examples=60, deadline=None)
@given(ROWS, TIMES, st.data())
def test_live_rows_never_show_what_had_not_arrived(rows, times, data):
    latency = data.draw(arrays(np.int64, len(times), elements=st.integers(0, 10**8)))
    aligned = newest(rows, times, times + latency)
    for row, index in zip(rows, aligned.index, strict=True):
        here = np.flatnonzero(times + latency <= row)
        if len(here):
            assert times[index] == times[here].max()
            assert times[index] + latency[index] <= row
        else:
            assert index == -1


@settings(max_examples=40, deadline=None)
@given(ROWS, TIMES, st.integers(0, 10**8))
def test_a_constant_latency_is_a_shift(rows, times, latency):
    """Arriving late by L is the same as looking L earlier."""
    late, earlier = newest(rows, times, times + latency), newest(rows - latency, times)
    assert np.array_equal(times[late.index[late.seen]], times[earlier.index[earlier.seen]])
    assert np.array_equal(late.seen, earlier.seen)
    assert np.array_equal(late.age_ns[late.seen], earlier.age_ns[late.seen] + latency)


@settings(max_examples=30, deadline=None)
@given(ROWS, TIMES)
def test_repeated_rows_are_flagged(rows, times):
    aligned = newest(rows, times)
    for i in range(1, len(rows)):
        same = aligned.index[i] == aligned.index[i - 1] and aligned.index[i] >= 0
        assert aligned.repeated[i] == same
    assert not aligned.repeated[:1].any()


def test_what_is_missing_is_never_zero():
    aligned = newest(np.array([5, 15]), np.array([10]))
    assert np.array_equal(take(np.array([[3.0]]), aligned), [[np.nan], [3.0]], equal_nan=True)
    empty = newest(np.array([5]), np.zeros(0, np.int64))
    assert np.isnan(take(np.zeros((0, 2)), empty)).all()
    assert np.isnan(interpolate(np.array([5]), np.zeros(0, np.int64), np.zeros((0, 2)))).all()


@settings(max_examples=40, deadline=None)
@given(ROWS, st.lists(st.integers(0, 10**9), min_size=2, max_size=20, unique=True), st.floats(-5, 5), st.floats(-5, 5))
def test_interpolation_is_exact_for_straight_lines(rows, times, a, b):
    t = np.array(times, np.int64)
    got = interpolate(rows, t, (a + b * t[:, None] / 1e9))
    inside = (rows >= t.min()) & (rows <= t.max())
    assert np.allclose(got[inside, 0], a + b * rows[inside] / 1e9, atol=1e-6)
    assert np.isnan(got[rows < t.min()]).all()
    assert np.allclose(got[rows > t.max(), 0], a + b * t.max() / 1e9)
