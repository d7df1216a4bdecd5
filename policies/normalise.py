"""Normalisation of joint vectors: quantiles to [−1, 1], with a floor so that joints that hardly move do not explode.

The rule is that of docs/policies.md: centre and half-width from q01 and q99; where q99 − q01 is below ``NEAR_CONSTANT`` of
the joint's range, the range takes their place (openpi divides by q99 − q01 + 1e-6 and a nearly constant joint explodes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR_CONSTANT = 1e-3  # of the joint's range
FLOOR = 0.01  # of the joint's range: a joint that moves less is not blown up to fill [−1, 1]

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Normaliser:
    """An affine map per element: ``(x − centre) / half``.

    :param active: elements that move more than ``NEAR_CONSTANT`` of their range; the others are not worth learning.
    """

    centre: Vector  # (n,)
    half: Vector  # (n,)
    active: NDArray[np.bool_]  # (n,)

    def encode(self, x: Vector) -> Vector:
        """Physical units to about [−1, 1]; not clipped."""
        return (x - self.centre) / self.half

    def decode(self, y: Vector) -> Vector:
        """The inverse of :meth:`encode`."""
        return y * self.half + self.centre


def fit(values: Vector, span: Vector, floor: float = FLOOR) -> Normaliser:
    """Fit to rows of data.

    :param values: ``(rows, n)``; NaN marks what is not known and is left out.
    :param span: ``(n,)`` physical range (high − low) of each element, for the two rules about small motion.
    :raises ValueError: an element has no known value at all.
    """
    if np.isnan(values).all(axis=0).any():
        raise ValueError(f"no known value of element {int(np.isnan(values).all(axis=0).argmax())}")
    low, high = np.nanquantile(values, [0.01, 0.99], axis=0)
    active = (high - low) > NEAR_CONSTANT * span
    half = np.where(active, np.maximum((high - low) / 2, floor * span), span / 2)
    return Normaliser((low + high) / 2, np.maximum(half, 1e-9), active)
