"""A robot that walks while it is watched: its place from its newest steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.legs import Balance
from telerig.hardware.odometry import LegOdometry
from telerig.hardware.rotations import Array
from telerig.teleop.stream import SharedReader
from telerig.teleop.view.collect import Collected
from telerig.teleop.view.source import Floats


def hangs(states: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether nobody keeps the robot up (a :class:`Balance` each): it is in its gantry, or will be taken there."""
    return np.isin(states, (Balance.LIMP, Balance.RISING))


class LiveWalk:
    """Follows a robot on its own feet.

    :param samples: of its legs and attitude (``DEVICE/body``), often enough that no step is missed.
    :param balance: tells whether it is kept up (``DEVICE/balance``), where anything does.
    :param legs: names of its joints.
    """

    def __init__(
        self, samples: Collected, balance: SharedReader | None, odometry: LegOdometry, legs: tuple[str, ...]
    ) -> None:
        self.samples, self._balance, self._odometry, self._names = samples, balance, odometry, legs
        self._legs: dict[str, Floats] = {}

    def step(self, joints: dict[str, Floats]) -> Array | None:
        """Where it is, (1, 4, 4), None before its first sample; puts its legs of that very instant into ``joints``."""
        if new := self.samples.take():
            legs = np.array([s.array("position") for s in new], np.float64)
            attitude = np.array([s.array("attitude") for s in new], np.float64)
            self._odometry.follow(legs, attitude, np.full(len(new), self._hangs()))
            self._legs = dict(zip(self._names, legs[-1:].T, strict=True))
        joints |= self._legs
        return self._odometry.pose[None] if self._legs else None

    def _hangs(self) -> bool:
        newest = self._balance.latest() if self._balance is not None else None
        return newest is not None and bool(hangs(np.array(newest.array("state"), np.float64)))
