"""Where a robot on its own feet is, from its joints and its attitude: the foot that bears it stays where it is.

Leg odometry (kinematic, flat floor; the idea of Roston and Krotkov, 1991): nobody measures a walking robot's place, and
viewers want to see it walk.  It drifts by what feet slip and roll; nothing that moves a robot may use it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.rotations import quaternion_to_matrix
from telerig.hardware.stance import Stance

Array = NDArray[np.float64]
LIFTED_M = 0.004  # by so much lower the other foot has to be before it bears the robot: both do for a while
LOWEST_M = 0.08  # of a robot that lies on the floor: soles tell nothing there


class LegOdometry:
    """Follows one robot, from ``place`` on.

    :param place: (3,) m, where its pelvis is at first, in the world's axes; its soles tell how high it is.
    :param heading: what the attitude's heading is to be at the first instant, rad; None: as it is measured.
    :ivar pose: of the pelvis in the world at the newest instant (4, 4).
    """

    def __init__(
        self, stance: Stance, place: tuple[float, float, float] = (0.0, 0.0, 0.0), heading: float | None = None
    ) -> None:
        self._stance, self._heading, self._start = stance, heading, np.array(place[:2], np.float64)
        self._place = self._start.copy()
        self._turn: Array | None = np.eye(3) if heading is None else None
        self._bearing = 0
        self._feet: Array | None = None  # where the soles were, from the pelvis, in the world's axes
        self.pose = np.eye(4)
        self.pose[:3, 3] = place

    def follow(self, legs: Array, attitude: Array, hangs: NDArray[np.bool_] | None = None) -> Array:
        """Poses of the pelvis in the world ``(T, 4, 4)``, z up from the floor, T instants further on.

        :param legs: ``(T, n)`` rad, all the robot's legs;  ``attitude``: ``(T, 4)`` wxyz.  Where one is not finite, the
            pelvis stays where it was.
        :param hangs: ``(T,)``: nobody balances it, so it hangs where it began, whatever its legs do.
        """
        out = np.empty((len(legs), 4, 4))
        known = np.isfinite(legs).all(axis=1) & np.isfinite(attitude).all(axis=1) & (attitude != 0).any(axis=1)
        turned = self._turned(np.array([quaternion_to_matrix(q) for q in attitude[known]]).reshape(-1, 3, 3))
        soles = self._stance.soles(legs[known])[..., :3, 3]  # (feet, T, 3)
        feet = iter(np.einsum("tij,ftj->tfi", turned, soles))
        turns = iter(turned)
        for k, seen in enumerate(known):
            if hangs is not None and hangs[k]:
                self._place, self._feet, self._bearing = self._start.copy(), None, 0
                self.pose[:2, 3] = self._start
            if seen:
                self._step(next(turns), next(feet))
            out[k] = self.pose
        return out

    def _turned(self, rotations: Array) -> Array:
        """The same with the heading that was asked for at the first instant."""
        if self._turn is None and len(rotations):
            forward = rotations[0, :, 0]
            by = (self._heading or 0.0) - np.arctan2(forward[1], forward[0])
            c, s = np.cos(by), np.sin(by)
            self._turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        return rotations if self._turn is None else np.asarray(self._turn @ rotations)

    def _step(self, rotation: Array, feet: Array) -> None:
        """``feet`` (feet, 3): the soles, from the pelvis, in the world's axes."""
        if self._feet is not None:
            self._place -= feet[self._bearing, :2] - self._feet[self._bearing, :2]
        lowest = int(np.argmin(feet[:, 2]))
        if feet[lowest, 2] < feet[self._bearing, 2] - LIFTED_M:
            self._bearing = lowest
        self._feet = feet
        self.pose = np.eye(4)
        self.pose[:3, :3] = rotation
        self.pose[:3, 3] = (*self._place, max(-feet[:, 2].min(), LOWEST_M))
