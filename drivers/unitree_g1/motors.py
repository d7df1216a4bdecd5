"""Which joint hangs on which motor: telerig's names in the order of Unitree's slots, and the gains a joint is driven with.

Slots of the body: Unitree's G1 joint index (29 joints, ``mode_pr`` 0: ankles and waist as joints in series).  Slots of a
hand: thumb first; whether the middle or the index finger comes next differs between the two hands, and between sources
(docs/robots/g1.md), so that a rig may say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import ConfigError

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")
LEGS = tuple(f"{side}_{part}_joint" for side in ("left", "right") for part in _LEG)
WAIST = ("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint")
ARMS = tuple(f"{side}_{part}_joint" for side in ("left", "right") for part in _ARM)
LOWER = LEGS + WAIST
BODY = LOWER + ARMS  # 29, in the order of the slots

SIDES = ("left", "right")
FINGERS = {"left": ("thumb", "middle", "index"), "right": ("thumb", "index", "middle")}
_KNUCKLES = {"thumb": 3, "middle": 2, "index": 2}

# (kp N m/rad, kd N m s/rad, kd while damped) by a part of the joint's name.  Arms as is common for this robot's
# teleoperation; legs and waist as in Unitree's example, for a robot that hangs; hands thrice the 0.5 that HOMIE uses.
GAINS: dict[str, tuple[float, float, float]] = {
    "hip": (60.0, 1.0, 5.0),
    "knee": (100.0, 2.0, 5.0),
    "ankle": (40.0, 1.0, 2.0),
    "waist_yaw": (60.0, 1.0, 5.0),
    "waist_roll": (40.0, 1.0, 5.0),
    "waist_pitch": (40.0, 1.0, 5.0),
    "shoulder": (80.0, 3.0, 3.0),
    "elbow": (80.0, 3.0, 3.0),
    "wrist": (40.0, 1.5, 1.5),
    "hand": (1.5, 0.1, 0.1),
}
KP_MAX, KD_MAX = 500.0, 20.0
HAND_KP_MAX, HAND_KD_MAX = 5.0, 1.0


def hand_joints(side: str, fingers: Sequence[str] = ()) -> tuple[str, ...]:
    """A hand's seven joints in the order of its motors.

    :param fingers: their order; empty for the published one.
    :raises ConfigError: not thumb, middle and index, once each.
    """
    order = tuple(fingers) or FINGERS[side]
    if sorted(order) != sorted(_KNUCKLES):
        raise ConfigError(f"{side}_fingers: thumb, middle and index in some order, not {list(order)}")
    return tuple(f"{side}_hand_{finger}_{k}_joint" for finger in order for k in range(_KNUCKLES[finger]))


def gains(joints: Sequence[str], changed: Mapping[str, Sequence[float]]) -> NDArray[np.float64]:
    """``(n, 3)``: kp, kd, and kd while damped, of joints.

    :param changed: a rig's own kp and kd, by the same parts of names as :data:`GAINS`.
    :raises ConfigError: an unknown part, not two numbers, or out of range.
    """
    table = dict(GAINS)
    for part, pair in changed.items():
        if part not in GAINS:
            raise ConfigError(f"gains: no joints '{part}' (there are {', '.join(GAINS)})")
        top = (HAND_KP_MAX, HAND_KD_MAX) if part == "hand" else (KP_MAX, KD_MAX)
        if len(pair) != 2 or not all(0 <= value <= limit for value, limit in zip(pair, top, strict=True)):
            raise ConfigError(f"gains.{part}: [kp, kd] from [0, 0] to {list(top)} expected, not {list(pair)}")
        table[part] = (float(pair[0]), float(pair[1]), GAINS[part][2])
    return np.array([table[next(part for part in table if part in joint)] for joint in joints])
