"""A robot that walks while it is watched: its place from its newest steps."""

from __future__ import annotations

import numpy as np

from telerig.hardware.odometry import LegOdometry
from telerig.hardware.rotations import Array
from telerig.teleop.view.collect import Collected
from telerig.teleop.view.source import Floats


class LiveWalk:
    """Follows a robot on its own feet.

    :param samples: of its legs and attitude (``DEVICE/body``), often enough that no step is missed.
    """

    def __init__(self, samples: Collected, odometry: LegOdometry, legs: tuple[str, ...]) -> None:
        self.samples, self._odometry, self._names = samples, odometry, legs
        self._legs: dict[str, Floats] = {}

    def step(self, joints: dict[str, Floats]) -> Array | None:
        """Where it is, (1, 4, 4), None before its first sample; puts its legs of that very instant into ``joints``."""
        if new := self.samples.take():
            legs = np.array([s.array("position") for s in new], np.float64)
            self._odometry.follow(legs, np.array([s.array("attitude") for s in new], np.float64))
            self._legs = dict(zip(self._names, legs[-1:].T, strict=True))
        joints |= self._legs
        return self._odometry.pose[None] if self._legs else None
