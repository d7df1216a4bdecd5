"""Deadlines of the loop: on their grid for ever, and only periods that passed as a whole are skipped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telerig.teleop.loop_process import next_due

PERIOD = 5_000_000


def test_a_fraction_too_late_costs_no_period() -> None:
    assert next_due(0, 1_000_000, PERIOD) == (PERIOD, 0)
    assert next_due(0, PERIOD + 300_000, PERIOD) == (PERIOD, 0)  # the tick due 0.3 ms ago comes at once
    assert next_due(0, 2 * PERIOD - 1, PERIOD) == (PERIOD, 0)
    assert next_due(0, 2 * PERIOD, PERIOD) == (2 * PERIOD, 1)
    assert next_due(0, 32_000_000, PERIOD) == (6 * PERIOD, 5)


@given(due=st.integers(0, 10**15), lasted=st.integers(0, 10**10), period=st.integers(2_000_000, 50_000_000))
def test_deadlines_keep_their_grid(due: int, lasted: int, period: int) -> None:
    following, skipped = next_due(due, due + lasted, period)
    assert skipped >= 0
    assert following == due + (1 + skipped) * period, "deadlines keep their grid"
    assert due + lasted < following + period, "what comes next is late by less than a period"
