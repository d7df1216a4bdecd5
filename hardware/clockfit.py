"""From a device's clock to the session's: an online fit of offset and drift that jittered arrivals cannot fool.

``arrival = device · (1 + drift) + offset + delay`` with ``delay ≥ 0``.  Only the fastest messages tell the offset, so
the fit is the line *under* all points (x: device time, y: arrival − device): the lower convex hull's edge over the
middle of the window, as in L. Zhang, Z. Liu, C. H. Xia, "Clock synchronization algorithms for network measurements",
INFOCOM 2002.  What remains unknown is the smallest delay itself, which no one-way stream can reveal.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BUCKET_NS = 500_000_000
WINDOW = 120  # buckets kept: one minute
MIN_SPAN_NS = 3_000_000_000  # below this the drift cannot be told from jitter and is taken as 0
MAX_DRIFT = 500e-6  # crystals and ceramic resonators; RC oscillators (1 %) must not stamp samples
JUMP_NS = 100_000_000  # arriving this much *earlier* than possible: the device's clock was set anew
DRIFT_PRIOR = 100e-6  # what is assumed of the drift before it was fitted
PRIOR_NS = 5e6  # what is assumed of the jitter before anything was seen
RESOLUTION_NS = 1000.0


class ClockFit:
    """Maps device instants to session instants.  State is small and an update costs a few µs.

    The result never lies after the arrival, and never runs backwards.  :attr:`drift` is the device clock's rate error
    as seen from the host (positive: the device runs slow), :attr:`resets` counts clocks that started anew.
    """

    def __init__(self) -> None:
        self.resets = 0
        self._newest = -(1 << 62)  # newest result, so that time never runs backwards
        self._start()

    def _start(self) -> None:
        self.drift = 0.0
        self._x0: int | None = None  # first device instant; everything is relative to the first pair
        self._y0 = 0
        self._last_x = 0
        self._closed: deque[tuple[float, float]] = deque(maxlen=WINDOW)  # the lowest point of each past bucket
        self._bucket = 0
        self._low = (0.0, math.inf)  # the lowest point of the present bucket
        self._offset = math.inf
        self._jitter = PRIOR_NS
        self._spread = 0.0
        self._fitted = False
        self._count = 0

    def update(self, t_device: int, t_arrival: int) -> tuple[int, int]:
        """Take one pair (ns, ns); return the session instant of ``t_device`` and its standard uncertainty (ns, ns)."""
        if self._x0 is None or self._jumped(t_device, t_arrival):
            if self._x0 is not None:
                self.resets += 1
                self._start()
            self._x0, self._y0 = t_device, t_arrival
        x = float(t_device - self._x0)
        y = float((t_arrival - self._y0) - (t_device - self._x0))
        self._last_x = t_device
        bucket = int(x // BUCKET_NS)
        if bucket != self._bucket:
            self._close_bucket(bucket)
        if y - self.drift * x < self._low[1] - self.drift * self._low[0]:
            self._low = (x, y)
        excess = y - self.drift * x - self._offset
        if excess < 0 or math.isinf(excess):
            self._offset = y - self.drift * x
            excess = 0.0
        self._count += 1
        self._jitter += (excess - self._jitter) / min(self._count + 1, 500)
        t = self._y0 + (t_device - self._x0) + math.floor(self._offset + self.drift * x)
        t = max(self._newest + 1, min(t, t_arrival))
        self._newest = t
        return t, self._sigma(x)

    def _jumped(self, t_device: int, t_arrival: int) -> bool:
        """Whether the pair cannot belong to the same run of the device's clock."""
        assert self._x0 is not None
        if t_device < self._last_x:
            return True
        x = float(t_device - self._x0)
        y = float((t_arrival - self._y0) - (t_device - self._x0))
        return y < self._offset + self.drift * x - JUMP_NS - MAX_DRIFT * (t_device - self._last_x)

    def _close_bucket(self, bucket: int) -> None:
        """Fit drift and offset to the buckets' lowest points."""
        self._closed.append(self._low)
        self._bucket, self._low = bucket, (0.0, math.inf)
        x, y = np.array(self._closed).T
        if x[-1] - x[0] >= MIN_SPAN_NS:
            self.drift = float(np.clip(_hull_slope(x, y), -MAX_DRIFT, MAX_DRIFT))
            self._fitted = True
        height = y - self.drift * x
        self._offset = float(height.min())
        self._spread = float(np.median(height - self._offset))

    def _sigma(self, x: float) -> int:
        """The lowest of n exponential delays lies about mean/n too high; drift and its changes add the rest."""
        unfitted = 0.0 if self._fitted else DRIFT_PRIOR * x
        return math.ceil(math.hypot(RESOLUTION_NS, self._jitter / self._count, self._spread, unfitted))


def _hull_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Slope of the nearest line under all points: the lower hull's edge over the middle of ``x`` (k,), sorted."""
    hull: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(hull) >= 2 and _right_turn(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    middle = float(x.mean())
    for (xa, ya), (xb, yb) in pairwise(hull):
        if xa <= middle <= xb:
            return (yb - ya) / (xb - xa)
    return 0.0


def _right_turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether ``b`` lies on or above the segment from ``a`` to ``c``."""
    return (b[0] - a[0]) * (c[1] - a[1]) <= (c[0] - a[0]) * (b[1] - a[1])
