"""Wilson's interval and McNemar's exact test against published values and scipy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from telerig.policies.statistics import mcnemar, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(45, 50, 0.786, 0.957), (180, 200, 0.851, 0.934), (319, 500, 0.595, 0.679)]
)
def test_wilson_gives_published_values(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=6e-4)


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilson_agrees_with_scipy(k, n):
    k = min(k, n)
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_at_the_ends():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    with pytest.raises(ValueError, match="3 successes in 2"):
        wilson(3, 2)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_mcnemar_is_a_binomial_test_on_the_seeds_that_differ(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_mcnemar_wants_pairs():
    with pytest.raises(ValueError, match="not 2 and 1"):
        mcnemar([True, False], [True])
