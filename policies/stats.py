"""The statistics a policy needs to run: normalisation of joints and chunks, joint limits and the mean training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DataError
from telerig.policies.normalise import Normaliser

KEYS = (
    "state.centre", "state.half", "state.active", "action.centre", "action.half", "action.active",
    "rest", "low", "high", "image.mean", "image.std",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stats:
    """Training statistics of one embodiment.

    :param state: of measured joints, ``(n,)`` rad.
    :param action: of chunks; relative or absolute as the policy's options say, ``(n,)`` rad.
    :param rest: median target, ``(n,)`` rad: what inactive joints are told.
    :param low, high: joint limits, ``(n,)`` rad.
    :param image_mean: ``(cameras, height, width, 3)`` uint8, mean training image of each camera.
    :param image_std: ``(cameras,)`` standard deviation of training images about that mean.
    """

    state: Normaliser
    action: Normaliser
    rest: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    image_mean: NDArray[np.uint8]
    image_std: NDArray[np.float64]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Flat arrays by name, for a safetensors file."""
        values = (
            self.state.centre, self.state.half, self.state.active, self.action.centre, self.action.half,
            self.action.active, self.rest, self.low, self.high, self.image_mean, self.image_std,
        )  # fmt: skip
        return dict(zip(KEYS, values, strict=True))

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> Stats:
        """The inverse of :meth:`to_arrays`.  :raises DataError: an array is missing."""
        if missing := [k for k in KEYS if k not in arrays]:
            raise DataError(f"checkpoint statistics lack {', '.join(missing)}")
        v = {k: np.asarray(arrays[k]) for k in KEYS}

        def normaliser(name: str) -> Normaliser:
            return Normaliser(v[f"{name}.centre"], v[f"{name}.half"], v[f"{name}.active"].astype(bool))

        return Stats(
            normaliser("state"), normaliser("action"), v["rest"], v["low"], v["high"], v["image.mean"], v["image.std"]
        )
