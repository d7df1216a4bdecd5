"""How one robot went: what a picture of an evaluation is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Track:
    """How a trial went, at every control period: ``times`` (T,) s; ``base`` (T, 7) m, quaternion wxyz; ``joints`` (T, n) rad;
    ``wish``, ``done`` (T, 4): vx, vy m/s in the heading frame, yaw rate rad/s, height m."""

    times: Floats
    base: Floats
    joints: Floats
    wish: Floats
    done: Floats
