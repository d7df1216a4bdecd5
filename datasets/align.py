"""Streams of different rates on one grid of rows.  Pure functions of arrays; no row ever sees the future.

A row shows the newest sample that was *measured* at or before the row's instant (``t_sample``), or, with the arrival clock,
the newest that had *arrived*: what an agent running live could have known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.int64]
CLOCKS = ("sample", "arrival")


@dataclass(frozen=True, slots=True)
class Aligned:
    """One stream on the rows' grid.

    :param index: ``(T,)`` which sample each row shows, in the order given; -1 before the first.
    :param t_ns: ``(T,)`` that sample's ``t_sample``; the row's own instant where there is none.
    :param age_ns: ``(T,)`` row − ``t_sample``, never negative; :data:`NEVER` where there is none.
    """

    index: NDArray[np.int64]
    t_ns: Instants
    age_ns: Instants

    @property
    def seen(self) -> NDArray[np.bool_]:
        """``(T,)`` where there was a sample at all."""
        return self.index >= 0

    @property
    def repeated(self) -> NDArray[np.bool_]:
        """``(T,)`` where a row shows the same sample as the row before it."""
        out = np.zeros(len(self.index), bool)
        out[1:] = (self.index[1:] == self.index[:-1]) & self.seen[1:]
        return out


NEVER = int(np.iinfo(np.int64).max)


def row_times(start: int, end: int, rate_hz: float) -> Instants:
    """Instants ``start + k / rate`` up to and including ``end``, ns, each rounded by itself: errors never add up.

    :raises ValueError: the rate is not positive.
    """
    if not rate_hz > 0:
        raise ValueError(f"rate is {rate_hz} Hz; it must be positive")
    if end < start:
        return np.zeros(0, np.int64)
    count = int((end - start) * rate_hz / 1e9) + 2
    times = start + np.rint(np.arange(count) * (1e9 / rate_hz)).astype(np.int64)
    return np.asarray(times[times <= end])


def newest(rows: Instants, t_sample: Instants, t_known: Instants | None = None) -> Aligned:
    """The newest sample for every row.

    :param rows: ``(T,)`` ascending.  :param t_sample: ``(N,)``, in any order.
    :param t_known: ``(N,)`` when each sample counts as known; ``t_sample`` by default, the arrival for live conditions.
        A sample is shown only if it is known *and* measured by the row's instant.
    """
    t_known = t_sample if t_known is None else np.maximum(t_known, t_sample)
    order = np.argsort(t_known, kind="stable")
    # of all samples known by then the one measured last, not the one that happened to arrive last
    measured = t_sample[order]
    leads = measured == np.maximum.accumulate(measured) if len(order) else np.zeros(0, bool)
    best = order[np.maximum.accumulate(np.where(leads, np.arange(len(order)), 0))]
    at = np.searchsorted(t_known[order], rows, side="right") - 1
    index = np.where(at >= 0, best[at] if len(best) else -1, -1)
    seen = index >= 0
    t_ns = np.where(seen, t_sample[index] if len(t_sample) else rows, rows)
    return Aligned(index, t_ns, np.where(seen, rows - t_ns, NEVER))


def take(values: NDArray[Any], aligned: Aligned) -> NDArray[Any]:
    """``(N, …)`` values on the rows, ``(T, …)``: NaN (0 for integers) before the first sample."""
    missing: Any = np.nan if values.dtype.kind == "f" else 0
    if not len(values):
        return np.full((len(aligned.index), *values.shape[1:]), missing, values.dtype)
    out = values[aligned.index]
    out[~aligned.seen] = missing
    return out


def interpolate(rows: Instants, t_sample: Instants, values: NDArray[Any]) -> NDArray[np.float64]:
    """Linear between the samples around each row, ``(T, …)``; NaN before the first, the last one's value behind the last.

    This looks ahead by up to one sample period: for continuous quantities, offline, where the user asked for it.
    A NaN on either side gives NaN.
    """
    flat = values.reshape(len(values), int(np.prod(values.shape[1:]))).astype(np.float64)
    out = np.full((len(rows), flat.shape[1]), np.nan)
    if len(values):
        order = np.argsort(t_sample, kind="stable")
        t, flat = t_sample[order], flat[order]
        right = np.clip(np.searchsorted(t, rows, side="right"), 0, len(t) - 1)
        left = np.maximum(right - 1, 0)
        span = t[right] - t[left]
        weight = np.where(span > 0, (rows - t[left]) / np.maximum(span, 1), 1.0).clip(0.0, 1.0)[:, None]
        with np.errstate(invalid="ignore"):
            between = flat[left] + weight * (flat[right] - flat[left])
        between = np.where(weight == 0, flat[left], np.where(weight == 1, flat[right], between))
        out = np.where((rows >= t[0])[:, None], between, np.nan)
    return out.reshape(len(rows), *values.shape[1:])
