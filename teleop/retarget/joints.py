"""Joint copy: an exoskeleton's or leader arm's joints become a robot's, without kinematics.

q = offset + scale · sign · wrap(raw − neutral), clamped to the robot's range; ``neutral`` and the servo's sign come
from calibration, offset, scale and the joint's sign from the rig.  HOMIE's cockpit is isomorphic and copies joints; it
neither clamps nor checks, which this does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.calibration import JointCalibration
from telerig.hardware.errors import ConfigError

Vector = NDArray[np.float64]


def wrap(angle: Vector) -> Vector:
    """Into [−π, π): a servo's angle is known up to a turn."""
    result: Vector = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return result


class JointMap:
    """``(n,)`` raw servo angles to ``(m,)`` robot joint angles, rad.

    :param low, high: the robot's range, ``(m,)``.
    :param take: which servo feeds each robot joint; default: the first m.
    :param sign, offset, scale: ``(m,)``; default 1, 0, 1.
    :raises ConfigError: sizes do not fit, or a sign that is not ±1, or a scale of 0.
    """

    def __init__(
        self, calibration: JointCalibration, low: Sequence[float], high: Sequence[float], *, take: Sequence[int] = (),
        sign: Sequence[float] = (), offset: Sequence[float] = (), scale: Sequence[float] = (),
    ) -> None:  # fmt: skip
        m, n = len(low), len(calibration.names)
        index = list(take) or list(range(m))
        if len(index) != m or not all(0 <= i < n for i in index):
            raise ConfigError(f"take: {index}; {m} numbers from 0 to {n - 1} are right, a servo for each robot joint")
        self.take = np.array(index, int)
        given = {"sign": (sign, 1.0), "offset": (offset, 0.0), "scale": (scale, 1.0)}
        full = {}
        for key, (values, default) in given.items():
            if values and len(values) != m:
                raise ConfigError(f"{key}: {len(values)} values for {m} robot joints")
            full[key] = np.array(list(values) or [default] * m, float)
        if not np.isin(full["sign"], (1.0, -1.0)).all():
            raise ConfigError(f"sign: {list(sign)}; 1 or -1 is right")
        if not np.isfinite(full["scale"]).all() or (full["scale"] == 0.0).any():
            raise ConfigError(f"scale: {list(scale)}; 0 would ignore the operator")
        self._neutral = np.array(calibration.neutral)[self.take]
        self._gain = full["sign"] * full["scale"] * np.array(calibration.sign)[self.take]
        self._offset, self._low, self._high = full["offset"], np.array(low, float), np.array(high, float)

    def __call__(self, raw: Vector) -> Vector:
        """Robot joints (m,) for servo angles (n,); NaN in, NaN out."""
        angle = self._offset + self._gain * wrap(raw[self.take] - self._neutral)
        result: Vector = np.minimum(np.maximum(angle, self._low), self._high)  # np.clip costs five times as much
        return result

    def inverse(self, joints: Vector) -> Vector:
        """Angles (m,) of the servos ``take`` that give these robot joints; what moves an emulated exoskeleton."""
        return wrap((joints - self._offset) / self._gain + self._neutral)
