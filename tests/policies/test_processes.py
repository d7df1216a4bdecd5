"""Work spread over processes: the same results however many there are, and an error ends it."""

from __future__ import annotations

import math
import operator
import os

import pytest

from telerig.policies.processes import spread

ORDERS = [float(n) for n in range(40)]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `spread` sets for its processes stays within the test."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
        monkeypatch.setenv(name, "7")


def test_results_carry_their_order_s_index_whoever_worked() -> None:
    alone = list(spread(math.sqrt, ORDERS, 1))
    assert alone == [(i, math.sqrt(x)) for i, x in enumerate(ORDERS)]
    for cost in (lambda order: 0.0, lambda order: order):
        assert sorted(spread(math.sqrt, ORDERS, 2, cost)) == alone


def test_processes_are_others_and_compute_on_one_thread() -> None:
    assert os.getpid() not in {pid for _, pid in spread(operator.call, [os.getpid] * 4, 2)}
    assert [threads for _, threads in spread(os.getenv, ["OMP_NUM_THREADS", "LP_NUM_THREADS"], 2)] == ["1", "1"]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_one_is_raised(processes: int) -> None:
    with pytest.raises(ValueError, match="math domain error"):
        list(spread(math.sqrt, [*ORDERS, -1.0], processes))


def test_nothing_to_do_is_done() -> None:
    assert list(spread(math.sqrt, [], 0)) == []
