"""What the tasks share that stand an object on a disc: where an episode starts, when the object is placed, the furniture.

World frame: z up, floor at 0, lengths in m.  Numpy only; a task is a module beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from telerig.hardware.worlds.scene import Body, Geom, Vector

UPRIGHT_COS = 0.94  # cosine of 20 degrees


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an episode starts: the object's centre, upright, and the disc's, (3,) m, world frame."""

    object: Vector
    target: Vector


@dataclass(frozen=True, slots=True)
class Placed:
    """When an object counts as placed.

    :param z: of its centre when it stands, m, and ``z_within`` how far from that it may be.
    :param within: how far its centre may be from the disc's, seen from above, m.
    :param released_beyond: a palm (grasp frame) nearer to its centre than this, m, still holds it.
    """

    z: float
    z_within: float
    within: float
    released_beyond: float

    def is_met(self, object_xyz: ArrayLike, object_quat: ArrayLike, target_xyz: ArrayLike, palms: ArrayLike) -> bool:
        """True when the object stands on the disc and no hand holds it.

        :param object_xyz: its centre (3,), m.  :param object_quat: (4,) wxyz.
        :param target_xyz: the disc's centre (3,), m.  :param palms: grasp frames of the hands (n, 3), m.
        """
        position, target = np.asarray(object_xyz, float), np.asarray(target_xyz, float)
        _, x, y, _ = np.asarray(object_quat, float)
        upright = 1.0 - 2.0 * (x * x + y * y) >= UPRIGHT_COS
        standing = abs(position[2] - self.z) <= self.z_within
        placed = np.linalg.norm(position[:2] - target[:2]) <= self.within
        distance = np.linalg.norm(np.atleast_2d(np.asarray(palms, float)) - position, axis=1)
        return bool(upright and standing and placed and distance.min() > self.released_beyond)


def disc(pos: Vector, radius: float) -> Body:
    """The body ``target``: a disc that is seen and not felt, put where the episode says."""
    shape = Geom("target_disc", "cylinder", (radius, 0.001), (0.0, 0.0, 0.001), (0.10, 0.35, 0.90, 1.0), visual=True)
    return Body("target", pos, (shape,), motion="placed")


def board(name: str, low: tuple[float, float], high: tuple[float, float], top: float) -> Body:
    """A board on four legs; only the board is felt.

    :param low: its near right corner, xy, m, and ``high`` its far left one.  :param top: height of its upper side, m.
    """
    x, y = (np.add(low, high) / 2).tolist()
    a, b = (np.subtract(high, low) / 2).tolist()
    leg = (top - 0.04) / 2
    plate = Geom(f"{name}_top", "box", (a, b, 0.02), (0.0, 0.0, -0.02), (0.58, 0.52, 0.44, 1.0))
    legs = tuple(
        Geom(f"{name}_leg_{i}", "cylinder", (0.02, leg), (sx * (a - 0.04), sy * (b - 0.04), -0.04 - leg),
             (0.35, 0.36, 0.38, 1.0), visual=True)
        for i, (sx, sy) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1)))
    )  # fmt: skip
    return Body(name, (x, y, top), (plate, *legs))
