"""Statistics add up: the sum of the parts is the whole, in any order and grouping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from telerig.datasets.statistics import Statistics
from telerig.hardware.errors import DataError

LOW, HIGH = np.array([-1.0, -2.0, np.nan]), np.array([1.0, 3.0, np.nan])
VALUE = st.floats(-4, 4, allow_subnormal=False) | st.just(float("nan"))
PARTS = st.lists(
    st.integers(0, 12).flatmap(lambda n: arrays(np.float64, (n, 3), elements=VALUE)), min_size=1, max_size=5
)


def same(a: Statistics, b: Statistics) -> None:
    for name in ("count", "minimum", "maximum", "histogram"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert np.allclose(a.mean, b.mean, atol=1e-9)
    assert np.allclose(a.m2, b.m2, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(PARTS)
def test_the_sum_of_the_parts_is_the_whole(parts):
    whole = Statistics.of(np.vstack(parts), LOW, HIGH)
    forth = Statistics.of(parts[0], LOW, HIGH)
    for part in parts[1:]:
        forth = forth + Statistics.of(part, LOW, HIGH)
    back = Statistics.of(parts[-1], LOW, HIGH)
    for part in parts[-2::-1]:
        back = Statistics.of(part, LOW, HIGH) + back
    same(forth, whole)
    same(back, whole)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(-4, 4, allow_subnormal=False)),
    st.floats(0, 1),
)
def test_figures_agree_with_numpy(values, q):
    s = Statistics.of(values, LOW, HIGH)
    assert s.count.tolist() == [len(values)] * 3
    assert s.histogram[:2].sum(axis=1).tolist() == [len(values)] * 2
    assert s.histogram[2].sum() == 0
    assert np.allclose(s.mean, values.mean(axis=0))
    assert np.allclose(s.std, values.std(axis=0), atol=1e-7)
    quantile = s.quantile(q)
    assert np.isnan(quantile[2])
    for j in range(2):
        inside = np.sort(values[:, j])
        width = (HIGH[j] - LOW[j]) / 2048
        k = int(np.ceil(q * len(values))) - 1
        around = inside[max(k, 0)]
        if LOW[j] <= around < HIGH[j]:
            assert abs(quantile[j] - around) <= width + 1e-9
        assert values[:, j].min() <= quantile[j] <= values[:, j].max()


def test_quantiles_of_many_values_are_close():
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(0.2, 0.3, (20000, 3)), -0.99, 0.99)
    parts = [Statistics.of(p, LOW, HIGH) for p in np.array_split(values, [50, 900, 15000])]
    total = parts[0] + parts[1] + parts[2] + parts[3]
    assert np.allclose(total.quantile(0.99)[:2], np.quantile(values, 0.99, axis=0)[:2], atol=2e-3)


def test_arrays_come_back_and_strangers_do_not_add():
    s = Statistics.of(np.ones((4, 3)), LOW, HIGH)
    same(Statistics.from_arrays(s.to_arrays()), s)
    with pytest.raises(DataError, match="other joints or ranges"):
        s + Statistics.of(np.ones((4, 3)), LOW - 1, HIGH)
    with pytest.raises(DataError, match="other joints or ranges"):
        s + Statistics.of(np.ones((4, 2)))
