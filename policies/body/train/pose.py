"""Where the legs stand when nobody corrects them: a table over height from static balance, plus a stepping pattern.

At each height the feet lie flat and the centre of mass stands over the soles.  While the ankles can still bend, the pelvis
stays upright; below that it pitches forward.  The policy's action is added to this reference, so that it need not discover
squatting and stepping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import ConfigError
from telerig.policies.body.train.joints import (
    ANKLE_PITCH,
    ANKLE_ROLL,
    HIP_PITCH,
    HIP_ROLL,
    HIP_YAW,
    JOINTS,
    KNEE,
    N_LEGS,
    UPPER_HOME,
)
from telerig.policies.body.train.physics import FEET, mujoco_module

Floats = NDArray[np.float64]

ANKLE_LIMIT = -0.75  # rad; the rest of the range is left to balance
SOLE_X = 0.035  # m, middle of the sole ahead of the ankle: over it the mass shall stand
LIFT = 0.3  # rad
SWEEP, TURN, SWAY = 0.29, 0.1, 0.045
SPREAD = 0.2  # rad per m/s of lateral command: feet that step sideways must not meet
LEG_M, HIP_DROP_M = 0.64, 0.10  # hip over ankle when walking upright, hip axis below the pelvis' origin
ROLL_AXIS = -0.1745  # rad, by which the model turns the hip's roll and yaw axes further than the hip's pitch joint


@dataclass(frozen=True, slots=True)
class HeightTable:
    """``height`` (k,) m rising, ``legs`` (k, 12) and pelvis ``pitch`` (k,) rad; interpolated linearly between."""

    height: Floats
    legs: Floats
    pitch: Floats

    def at(self, height: Floats) -> tuple[Floats, Floats]:
        """Leg pose ``(n, 12)`` and pelvis pitch ``(n,)`` at heights ``(n,)``, held at the table's ends."""
        place = np.interp(height, self.height, np.arange(len(self.height)))
        low = np.minimum(place.astype(np.intp), len(self.height) - 2)
        part = (place - low)[:, None]
        legs = self.legs[low] * (1 - part) + self.legs[low + 1] * part
        return legs, np.interp(height, self.height, self.pitch)


def height_table(model: Any, low: float = 0.32, high: float = 0.785, n: int = 94) -> HeightTable:
    """Solve the balance at ``n`` heights, from the highest down, each from its neighbour's solution.

    :raises ConfigError: the model cannot reach a height.
    """
    heights = np.linspace(high, low, n)
    solver, guess = _Balance(model), np.array([-0.1, 0.25, -0.15])
    rows = []
    for height in heights:
        guess, legs, pitch = solver.solve(float(height), guess)
        rows.append((legs, pitch))
    legs = np.array([r[0] for r in rows])[::-1].copy()
    return HeightTable(heights[::-1].copy(), legs, np.array([r[1] for r in rows])[::-1].copy())


class _Balance:
    """Newton's method on (hip pitch, knee, pelvis pitch or ankle) with the model's own kinematics."""

    def __init__(self, model: Any) -> None:
        self._mj, self._model = mujoco_module(), model
        self._data = self._mj.MjData(model)
        self._adr = np.array([model.jnt_qposadr[model.joint(j).id] for j in JOINTS])
        self._sites = [model.site(f"{side}_foot").id for side in FEET]
        self._data.qpos[self._adr[N_LEGS:]] = UPPER_HOME

    def solve(self, height: float, guess: Floats) -> tuple[Floats, Floats, float]:
        """Unknowns: hip, knee, ankle; pitch follows from the flat sole.  Upright first, else with the ankle at its limit."""
        upright = self._newton(height, guess, free_pitch=False)
        if upright is None or upright[2] < ANKLE_LIMIT:
            start = np.r_[guess[:2], ANKLE_LIMIT]
            upright = self._newton(height, start, free_pitch=True)
        if upright is None:
            raise ConfigError(f"the robot has no balanced pose {height:.3f} m high")
        return upright, self.legs(upright), float(-upright.sum())

    @staticmethod
    def legs(x: Floats) -> Floats:
        legs = np.zeros(N_LEGS)
        legs[HIP_PITCH], legs[KNEE], legs[ANKLE_PITCH] = x
        return legs

    def _newton(self, height: float, guess: Floats, free_pitch: bool) -> Floats | None:
        x = guess.copy()
        for _ in range(60):
            error = self._residual(x, height, free_pitch)
            if np.abs(error).max() < 1e-10:
                return x
            slope = np.empty((3, 3))
            for i in range(3):
                moved = x.copy()
                moved[i] += 1e-6
                slope[:, i] = (self._residual(moved, height, free_pitch) - error) / 1e-6
            step = np.linalg.lstsq(slope, -error, rcond=None)[0]
            x += np.clip(step, -0.1, 0.1)
        return None

    def _residual(self, x: Floats, height: float, free_pitch: bool) -> Floats:
        """Height over the soles, mass over their middle, and either an upright pelvis or the ankle at its limit."""
        data, pitch = self._data, -x.sum()
        data.qpos[:7] = (0.0, 0.0, 0.0, np.cos(pitch / 2), 0.0, np.sin(pitch / 2), 0.0)
        data.qpos[self._adr[:N_LEGS]] = self.legs(x)
        self._mj.mj_kinematics(self._model, data)
        self._mj.mj_comPos(self._model, data)
        foot = data.site_xpos[self._sites].mean(axis=0)
        # the site stands 4 cm ahead of the ankle, on the sole
        ahead = data.subtree_com[1][0] - (foot[0] - 0.04 + SOLE_X)
        return np.array([-foot[2] - height, ahead, x[2] - ANKLE_LIMIT if free_pitch else pitch])


def reach(height: Floats) -> Floats:
    """What a stride's angles are multiplied with at a height, m: a lower hip needs wider angles for the same stride."""
    out: Floats = LEG_M / np.maximum(height - HIP_DROP_M, 0.2)
    return out


def stepping(legs: Floats, pitch: Floats, phase: Floats, command: Floats) -> Floats:
    """Add the stepping pattern to standing poses.

    :param legs, pitch: ``(n, 12)``, ``(n,)`` rad, of a height table; not changed.
    :param phase: ``(n,)`` of the left leg, rad: it swings while ``sin(phase) > 0``; the right one half a period later.
    :param command: ``(n, 4)`` slewed vx, vy m/s, yaw rate rad/s, height m.
    """
    out = legs.copy()
    both = np.stack((phase, phase + np.pi), axis=1)  # (n, 2)
    lift, back = LIFT * np.maximum(0.0, np.sin(both)), np.cos(both)
    wider = reach(command[:, 3:4])
    fore = SWEEP * wider * command[:, 0:1] * back
    outward = np.array([1.0, -1.0]) * SPREAD * np.abs(command[:, 1:2])
    side = SWAY * np.sin(phase)[:, None] - SWEEP * wider * command[:, 1:2] * back + outward
    out[:, HIP_PITCH] += fore - lift
    out[:, KNEE] += 2 * lift
    out[:, ANKLE_PITCH] -= lift + fore
    turn = -TURN * command[:, 2:3] * back
    # sideways and turning are about level and upright axes; a bent hip has tilted its own two
    tilt = (legs[:, HIP_PITCH[0]] + pitch + ROLL_AXIS)[:, None]
    out[:, HIP_ROLL] += np.cos(tilt) * side - np.sin(tilt) * turn
    out[:, HIP_YAW] += np.sin(tilt) * side + np.cos(tilt) * turn
    out[:, ANKLE_ROLL] -= side
    return out
