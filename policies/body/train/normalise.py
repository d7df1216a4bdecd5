"""Running mean and variance of observations, made symmetric: a mirrored robot is normalised like the mirrored original."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.observe import FIXED, MIRROR_SIGN, MIRROR_SOURCE, N_CRITIC

Floats = NDArray[np.float64]

FIXED_VARIANCE, LEAST_VARIANCE = 0.5, 1e-4


def deviation(variance: Floats) -> Floats:
    """What observations of these variances are divided by, positive."""
    out: Floats = np.sqrt(np.maximum(variance, LEAST_VARIANCE))
    return out


class Normaliser:
    """``mean``, ``variance`` (N_CRITIC,).  Clock and flag keep mean 0 and variance 0.5: while everybody stands theirs is zero."""

    def __init__(self) -> None:
        self.count = 0.0
        self.mean = np.zeros(N_CRITIC)
        self.variance = np.where(FIXED, FIXED_VARIANCE, 1.0)

    @property
    def deviation(self) -> Floats:
        """``(N_CRITIC,)``, positive."""
        return deviation(self.variance)

    def update(self, observations: NDArray[np.float32]) -> None:
        """Count observations ``(n, N_CRITIC)`` and their mirror images."""
        n = float(len(observations))
        mean = observations.mean(axis=0, dtype=np.float64)
        square = np.square(observations, dtype=np.float64).mean(axis=0)
        mean = 0.5 * (mean + MIRROR_SIGN * mean[MIRROR_SOURCE])
        square = 0.5 * (square + square[MIRROR_SOURCE])
        variance, total = square - mean**2, self.count + n
        away = mean - self.mean
        merged = (self.variance * self.count + variance * n + away**2 * self.count * n / total) / total
        self.mean = np.where(FIXED, 0.0, self.mean + away * n / total)
        self.variance = np.where(FIXED, FIXED_VARIANCE, merged)
        self.count = total

    def arrays(self) -> dict[str, Floats]:
        """What :meth:`restore` needs."""
        return {"mean": self.mean, "variance": self.variance, "count": np.array([self.count])}

    def restore(self, arrays: Mapping[str, Floats]) -> None:
        """Go on from saved statistics."""
        self.mean, self.variance = np.array(arrays["mean"]), np.array(arrays["variance"])
        self.count = float(arrays["count"][0])
