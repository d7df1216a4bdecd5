"""A robot that walks while it is watched: its place from its newest steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.legs import Balance
from telerig.hardware.odometry import LegOdometry
from telerig.hardware.rotations import Array
from telerig.teleop.view.collect import Collected
from telerig.teleop.view.source import Floats


def hangs(states: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether nobody keeps the robot up (a :class:`Balance` each): it is in its gantry, or will be taken there."""
    return np.isin(states, (Balance.LIMP, Balance.RISING))


class LiveWalk:
    """Follows a robot on its own feet.

    :param samples: of its legs and attitude (``DEVICE/body``), often enough that no step is missed.
    :param balance: of what tells whether it is kept up (``DEVICE/balance``), all of them, where anything does.
    :param legs: names of its joints.
    """

    def __init__(
        self, samples: Collected, balance: Collected | None, odometry: LegOdometry, legs: tuple[str, ...]
    ) -> None:
        self._samples, self._balance, self._odometry, self._names = samples, balance, odometry, legs
        self._told: list[tuple[int, bool]] = []  # when it was told, that it hangs; the newest one stays
        self._legs: dict[str, Floats] = {}

    @property
    def collected(self) -> list[Collected]:
        """What has to be set aside while nobody draws."""
        return [self._samples, *([self._balance] if self._balance is not None else [])]

    def step(self, joints: dict[str, Floats]) -> Array | None:
        """Where it is, (1, 4, 4), None before its first sample; puts its legs of that very instant into ``joints``."""
        for sample in self._balance.take() if self._balance is not None else ():
            self._told.append((sample.t_sample, bool(hangs(np.array(sample.array("state"), np.float64)))))
        if new := self._samples.take():
            legs = np.array([s.array("position") for s in new], np.float64)
            attitude = np.array([s.array("attitude") for s in new], np.float64)
            self._odometry.follow(legs, attitude, np.array([self._hangs(s.t_sample) for s in new]))
            self._legs = dict(zip(self._names, legs[-1:].T, strict=True))
        self._told = self._told[-1:]
        joints |= self._legs
        return self._odometry.pose[None] if self._legs else None

    def _hangs(self, t: int) -> bool:
        """As it was told last before ``t``; before anything was, as it is told first."""
        known = [hung for told, hung in self._told if told <= t] or [hung for _, hung in self._told[:1]]
        return bool(known and known[-1])
