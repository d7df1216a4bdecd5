"""How a robot stands: off balance by how much, at rest since when, fallen or not.  Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.samples import Sample
from telerig.hardware.stance import Stance, angle, up_of
from telerig.teleop.body_rig import BodyRig

Array = NDArray[np.float64]
STILL_RAD_S = 1.0  # fastest leg joint of a robot at rest
STEADY_RAD_S = 0.5  # fastest pelvis


class Poise:
    """Judges samples of ``DEVICE/body``.

    :param pose: the legs' angles ``(n,)`` rad of the policy's stance at a height, m.
    :ivar tilt: angle of the pelvis from where it is in that stance, rad; NaN where unknown.
    """

    def __init__(self, stance: Stance, pose: Callable[[float], Array], rig: BodyRig) -> None:
        self._stance, self._pose, self._rig = stance, pose, rig
        self.reset()

    def reset(self) -> None:
        """Nothing is known."""
        self.tilt = math.nan
        self._still_since: int | None = None
        self._upright: tuple[float, Array] | None = None

    def look(self, now: int, body: Sample, height: float) -> None:
        """Take in a measurement; ``height``: what the robot is asked for, m."""
        self.tilt = angle(up_of(body.array("attitude")), self._upright_at(height))
        fastest = float(np.abs(body.array("velocity")).max())
        turning = float(np.abs(body.array("angular_velocity")).max())
        level = self.tilt < math.radians(self._rig.level_deg)
        if not (level and fastest < STILL_RAD_S and turning < STEADY_RAD_S):  # NaN is not at rest
            self._still_since = None
        elif self._still_since is None:
            self._still_since = now

    def _upright_at(self, height: float) -> Array:
        """The vertical in the pelvis' axes where it stands at this height."""
        if self._upright is None or abs(self._upright[0] - height) > 1e-3:
            self._upright = (height, self._stance.upright(self._pose(height)))
        return self._upright[1]

    def disturb(self) -> None:
        """It counts as still only from the next measurement on."""
        self._still_since = None

    def still(self, now: int) -> bool:
        """Level and at rest for as long as the rig says."""
        return self._still_since is not None and now - self._still_since >= self._rig.settle_s * 1e9

    def fallen(self, body: Sample, free: bool) -> str | None:
        """Why it counts as fallen, or None.  ``free``: nobody else carries it, so that its height counts too."""
        if not self.tilt < math.radians(self._rig.fall_deg):
            return f"tilted by {math.degrees(self.tilt):.0f} degrees"
        if free:
            height = self._stance.height(body.array("position"), up_of(body.array("attitude")))
            if not height > self._rig.fall_m:
                return f"sunk to {height:.2f} m"
        return None
