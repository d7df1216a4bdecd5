"""What a virtual operator sees of a walking robot and what it is to carry: late, blurred, steadied by looking for a while."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.operator_habits import BLUR_M, Looks
from telerig.hardware.rotations import quaternion_to_matrix, rotation_about
from telerig.hardware.samples import Sample

Vector = NDArray[np.float64]
BLUR_RAD = 0.01
STEADY = 0.03  # part of the sway that is taken for real at each look
LOST_M = 0.2  # where it has to look anew


class Sight:
    """Box, disc and robot, 150 ms ago.

    :ivar box, disc, pelvis: (3,) m, world frame;  ``steady``: the pelvis without its swaying.
    :ivar heading: rad;  ``lean``: (3, 3) the walker's frame (x where it faces, z up) in the pelvis' axes.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._looks = rng, Looks()
        self.box, self.disc = np.zeros(3), np.zeros(3)
        self.pelvis, self.steady = np.zeros(3), np.zeros(3)
        self.heading = 0.0
        self.lean: Vector = np.eye(3)

    @property
    def episode(self) -> int:
        """The scene's."""
        return self._looks.episode

    def look(self, newest: Sample | None, now: int) -> None:
        """Take in what is new; see what was there 150 ms ago."""
        look = self._looks(newest, now)
        if look is None:
            return
        shown, number = look
        share, quick = max(0.1, 1.0 / number), max(0.3, 1.0 / number)
        self.box += share * (self._blurred(shown, "object") - self.box)
        self.disc += share * (self._blurred(shown, "target") - self.disc)
        before = self.pelvis.copy()
        self.pelvis += quick * (self._blurred(shown, "pelvis") - self.pelvis)
        self._attitude(shown.array("pelvis")[3:], quick)
        self._steady(self.pelvis - before)

    def place(self, world: Vector) -> Vector:
        """A place (3,) m of the world in the walker's frame."""
        found: Vector = rotation_about((0, 0, 1), -self.heading) @ (world - self.pelvis)
        return found

    def _blurred(self, shown: Sample, name: str) -> Vector:
        found: Vector = shown.array(name)[:3] + self._rng.normal(0, BLUR_M, 3)
        return found

    def _steady(self, moved: Vector) -> None:
        """Walking sways from side to side once in a stride: what counts is where it goes in the mean."""
        if np.linalg.norm(self.pelvis - self.steady) > LOST_M:
            self.steady = self.pelvis.copy()
            return
        side = np.array([-np.sin(self.heading), np.cos(self.heading), 0.0])
        self.steady += moved - side * float(side @ moved)
        self.steady += side * float(side @ (self.pelvis - self.steady)) * STEADY

    def _attitude(self, quat: Vector, share: float) -> None:
        """Heading and lean as they are seen: all three angles are blurred, and one look has one heading."""
        roll, pitch, yaw = self._rng.normal(0, BLUR_RAD, 3)
        blur = rotation_about((0, 0, 1), yaw) @ rotation_about((0, 1, 0), pitch) @ rotation_about((1, 0, 0), roll)
        seen = quaternion_to_matrix(quat) @ blur
        heading = float(np.arctan2(seen[1, 0], seen[0, 0]))
        self.heading += share * float((heading - self.heading + np.pi) % (2 * np.pi) - np.pi)
        lean = seen.T @ rotation_about((0, 0, 1), heading)
        self.lean = self.lean + share * (lean - self.lean)  # small tilts: near enough to a rotation
