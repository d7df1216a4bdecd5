"""Both arms of a virtual operator on one box: two palms, level, on either side of a point that moves, fingers inward.

Places are in the *walker's frame*: origin at the pelvis, x where it faces, z up, however the pelvis leans.  The wearer's
arms are isomorphic with the robot's, so the wearer's kinematics are those of the robot's model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.operator_motion import PEAK
from telerig.hardware.embodiment import Embodiment
from telerig.hardware.kinematics import Chain
from telerig.hardware.rotations import rotation_about

Vector = NDArray[np.float64]
SIDES = {"left": 1.0, "right": -1.0}
HOME_SPEED = 1.2  # rad/s
GRIP_RATE = 3.0  # 1/s
TILT_RATE = 0.3  # rad/s
INWARD = 0.3  # rad that closing hands turn their fingers: arms give way, and a box slips out of palms that open ahead


class Hands:
    """:param wander: (3,) m, a function of seconds: how the hands stray from their path.

    :ivar q: by side, the arm's joints (7,), rad.  :ivar grip: 0 open, 1 fingers as in the grasp.
    :ivar centre, spread: between the palms (3,) m, and half of what lies between them, m.
    """

    def __init__(self, robot: Embodiment, wander: Callable[[float], Vector]) -> None:
        held = dict.fromkeys(robot.group("waist").joints, 0.0)
        self._chains = {s: Chain.from_mjcf(robot.model_path, "pelvis", f"{s}_palm", held) for s in SIDES}
        self._home = {s: np.array(robot.group(f"{s}_arm").home) for s in SIDES}
        self._velocity = {s: np.array(robot.group(f"{s}_arm").velocity) for s in SIDES}
        self._wander = wander
        self._clock = 0.0
        self.q = {s: self._home[s].copy() for s in SIDES}
        self.grip = 0.0
        self.tilt = self._tilted = 0.0  # rad, fingers up
        self.lean: Vector = np.eye(3)  # the walker's frame in the pelvis' axes
        self.centre, self.spread = self._where()

    def _where(self) -> tuple[Vector, float]:
        """Centre and spread of the palms as the arms are."""
        left, right = (self.lean.T @ self._chains[s].forward(self.q[s])[:3, 3] for s in SIDES)
        return 0.5 * (left + right), 0.5 * float(left[1] - right[1])

    def move(
        self, dt: float, goal: Callable[[], Vector], spread: float, grip: float, speed: float, least_s: float = 0.15
    ) -> Iterator[None]:
        """Move evenly to a goal, which may itself move; one step a tick of ``dt`` s.

        :param speed: m/s at most.  :param least_s: it takes at least so long.
        """
        start, wide = self.centre.copy(), self.spread
        far = max(float(np.linalg.norm(goal() - start)), abs(spread - wide))
        length = max(least_s, PEAK * far / speed)
        t = 0.0
        while t < length:
            t += dt
            u = min(1.0, t / length)
            share = 3 * u * u - 2 * u**3
            self.centre = start + share * (goal() - start)
            self.spread = wide + share * (spread - wide)
            self.close(dt, grip)
            self.reach(dt)
            yield

    def close(self, dt: float, grip: float) -> None:
        """Fingers towards ``grip``."""
        self.grip += float(np.clip(grip - self.grip, -GRIP_RATE * dt, GRIP_RATE * dt))

    def reach(self, dt: float) -> None:
        """Arms towards centre and spread, no faster than their joints may."""
        self._clock += dt
        at = self.centre + self._wander(self._clock)
        self._tilted += float(np.clip(self.tilt - self._tilted, -TILT_RATE * dt, TILT_RATE * dt))
        rotation = self.lean @ rotation_about((0, 1, 0), -self._tilted)
        for side, sign in SIDES.items():
            inward = rotation_about((0, 0, 1), -sign * INWARD * self.grip)
            found = self._chains[side].solve(
                self.q[side], self.lean @ (at + np.array([0.0, sign * self.spread, 0.0])), rotation @ inward, 2,
                posture=self._home[side], posture_gain=0.02, margin=0.03,
            )  # fmt: skip
            step = self._velocity[side] * dt
            self.q[side] = self.q[side] + np.clip(found.q - self.q[side], -step, step)

    def go_home(self, dt: float) -> bool:
        """Towards the home pose joint by joint; whether it is reached."""
        away = self.tilt = self._tilted = 0.0
        for side in SIDES:
            left = self._home[side] - self.q[side]
            self.q[side] = self.q[side] + np.clip(left, -HOME_SPEED * dt, HOME_SPEED * dt)
            away = max(away, float(np.abs(left).max()))
        self.close(dt, 0.0)
        self.centre, self.spread = self._where()
        return away < 1e-3
