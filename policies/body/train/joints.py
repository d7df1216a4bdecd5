"""The joints of the body in training, in the policy's order, and what a mirror in the sagittal plane does to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")
LEGS = tuple(f"{side}_{j}_joint" for side in ("left", "right") for j in LEG)
UPPER = ("waist_yaw_joint", *(f"{side}_{j}_joint" for side in ("left", "right") for j in ARM))
JOINTS = LEGS + UPPER
N_LEGS, N_UPPER = len(LEGS), len(UPPER)

HIP_PITCH, HIP_ROLL, HIP_YAW, KNEE, ANKLE_PITCH, ANKLE_ROLL = (np.array([i, i + 6]) for i in range(6))
UPPER_HOME = np.array([0.0, *(0.0, 0.2, 0.0, 0.9), *(0.0, -0.2, 0.0, 0.9)])  # (9,) rad, hanging, elbows bent
WAIST_REACH = 1.0  # rad, of the waist's full range what arm motions use

_LEG_SIGN = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0])
_ARM_SIGN = np.array([1.0, -1.0, -1.0, 1.0])
LEG_MIRROR = (np.r_[6:12, 0:6], np.r_[_LEG_SIGN, _LEG_SIGN])  # from, sign: mirrored[i] = sign[i] * value[from[i]]
UPPER_MIRROR = (np.r_[0, 5:9, 1:5], np.r_[-1.0, _ARM_SIGN, _ARM_SIGN])
