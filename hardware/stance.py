"""How a robot stands, from its joints: where its soles are, how far it is off balance.  Numpy only, flat floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.kinematics import Chain
from telerig.hardware.legs import legs_of

Array = NDArray[np.float64]


def up_of(attitude: Array) -> Array:
    """The vertical in a body's axes, (3,) unit vector, from its attitude (4,) wxyz; NaN where unknown."""
    w, x, y, z = attitude / np.sqrt(attitude @ attitude)
    return np.array([2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)])


class Stance:
    """:raises ConfigError: the embodiment's ``[base]`` names no ``feet`` (sites at the soles, z up)."""

    def __init__(self, robot: Embodiment) -> None:
        feet = (robot.base or {}).get("feet", ())
        if not feet:
            raise ConfigError(f"embodiment {robot.name} cannot stand on its feet: its [base] has no 'feet'")
        joints, root = legs_of(robot).joints, str((robot.base or {}).get("root", "pelvis"))
        self._chains = [Chain.from_mjcf(robot.model_path, root, site) for site in feet]
        self._take = [np.array([joints.index(j) for j in c.joints], np.intp) for c in self._chains]

    def soles(self, legs: Array) -> Array:
        """Poses of the soles in the pelvis' frame, ``(feet, ..., 4, 4)``; ``legs`` ``(..., n)`` rad."""
        return np.array([c.forward(legs[..., t]) for c, t in zip(self._chains, self._take, strict=True)])

    def upright(self, legs: Array) -> Array:
        """The vertical in the pelvis' axes (3,) if the soles of this pose lay flat."""
        normal = self.soles(legs)[:, :3, 2].sum(axis=0)
        return np.asarray(normal / np.sqrt(normal @ normal))

    def height(self, legs: Array, up: Array) -> float:
        """How far the pelvis is above the lowest sole, m."""
        return float(np.max(-self.soles(legs)[:, :3, 3] @ up))


def angle(a: Array, b: Array) -> float:
    """Between two unit vectors, rad; NaN where one is."""
    return float(np.arccos(np.clip(a @ b, -1.0, 1.0)))
