"""Stream health over time: how fast each stream arrives against its nominal rate, and how old its newest sample got."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STEP_NS = 100_000_000
WINDOW_NS = 1_000_000_000
Floats = NDArray[np.float64]


def grid(t_start: int, t_end: int) -> NDArray[np.int64]:
    """The instants (K,) at which health is told: ten a second, the last one at the end."""
    count = max(1, -(-(t_end - t_start) // STEP_NS))
    return np.minimum(t_start + STEP_NS * np.arange(1, count + 1), max(t_end, t_start + 1))


def rate_percent(arrivals: NDArray[np.int64], at: NDArray[np.int64], nominal_hz: float, t_start: int) -> Floats:
    """(K,) arrivals of the last second, in per cent of what the nominal rate promises."""
    begin = np.maximum(at - WINDOW_NS, t_start)
    got = np.searchsorted(arrivals, at, "right") - np.searchsorted(arrivals, begin, "right")
    due = np.maximum((at - begin) / 1e9 * nominal_hz, 1.0)
    return np.asarray(100.0 * got / due)


def age_ms(arrivals: NDArray[np.int64], at: NDArray[np.int64], t_start: int) -> Floats:
    """(K,) the greatest age of the newest sample since the instant before, ms: a gap shows wherever it falls."""
    edges = np.sort(np.concatenate([[t_start], arrivals]))
    gaps = np.diff(edges)
    last = np.searchsorted(edges, at, "right") - 1
    ages = (at - edges[last]).astype(np.float64)
    for k, (before, now) in enumerate(zip(np.concatenate([[0], last[:-1]]), last, strict=True)):
        if now > before:
            ages[k] = max(ages[k], gaps[before:now].max())
    out: Floats = ages / 1e6
    return out


def health(
    arrivals: Sequence[NDArray[np.int64]], rates_hz: Sequence[float], at: NDArray[np.int64], t_start: int
) -> tuple[Floats, Floats]:
    """Rate (per cent) and age (ms) of S streams at K instants, both (K, S)."""
    rate = [rate_percent(np.sort(a), at, hz, t_start) for a, hz in zip(arrivals, rates_hz, strict=True)]
    age = [age_ms(np.sort(a), at, t_start) for a in arrivals]
    return np.column_stack(rate), np.column_stack(age)
