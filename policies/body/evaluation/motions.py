"""What the robot is told during a case: the command over time, and where arms and waist go; both from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.policies.body.evaluation.cases import ASKED_S, STAND_M, Case
from telerig.policies.body.manifest import Manifest

Floats = NDArray[np.float64]

SWEEP_HZ, WAIST_SHARE = 0.5, 0.3
WAIST_REACH = 1.0  # rad of the waist's yaw that random targets use
REDRAW_S, TARGET_S = 4.0, 1.0
STAND_SHARE = 1 / 3
FASTEST = (0.8, 0.3, 0.8)  # m/s, m/s, rad/s of random commands; backwards as far as the table asks
BACKWARD = 0.3
STANDING_M, WALKING_M = (0.34, 0.76), (0.50, 0.76)


class Commands:
    """The wish at any time of a case: ``(4,)`` vx, vy m/s, yaw rate rad/s, height m."""

    def __init__(self, case: Case, command: tuple[float, ...], rng: np.random.Generator) -> None:
        home = np.array([0.0, 0.0, 0.0, STAND_M])
        count = round(case.seconds / REDRAW_S) if case.random else 1
        wishes = [random_command(rng) for _ in range(count)] if case.random else [np.array(command)]
        self._table = np.array([home, *wishes])

    def at(self, t: float) -> Floats:
        """At ``t`` seconds."""
        if t < ASKED_S - 1e-9:
            wish: Floats = self._table[0]
            return wish
        wish = self._table[min(len(self._table) - 1, 1 + int((t - ASKED_S) / REDRAW_S + 1e-9))]
        return wish


def random_command(rng: np.random.Generator) -> Floats:
    """Standing or squatting, or going anywhere at any speed that the table asks for."""
    if rng.random() < STAND_SHARE:
        return np.array([0.0, 0.0, 0.0, rng.uniform(*STANDING_M)])
    vx, vy, yaw = rng.uniform(-1, 1, 3) * FASTEST
    vx = max(vx, -BACKWARD)
    some = rng.random(3) < 0.5
    return np.array([vx * some[0], vy * some[1], yaw * some[2], rng.uniform(*WALKING_M)])


class UpperBody:
    """Targets of all joints that the policy does not drive, rad: sweeps or random goals of arms and waist yaw.

    Fingers stay at home.  Targets move no faster than the embodiment's guard lets them.

    :param joints: of the robot, in order.
    """

    def __init__(self, robot: Embodiment, manifest: Manifest, joints: tuple[str, ...], random: bool, dt: float,
                 rng: np.random.Generator) -> None:  # fmt: skip
        self._dt, self._rng, self._random = dt, rng, random
        rows = {
            j: row for g in robot.groups for j, *row in zip(g.joints, g.low, g.high, g.velocity, g.home, strict=True)
        }
        low, high, velocity, home = np.array([rows[j] for j in joints]).T
        self._low, self._high, self._most = low, high, velocity * dt
        moved = [j.endswith(("shoulder_pitch_joint", "shoulder_roll_joint", "shoulder_yaw_joint", "elbow_joint"))
                 or "wrist" in j or j == "waist_yaw_joint" for j in joints]  # fmt: skip
        self.moved = np.array(moved)
        self.centre = np.where(self.moved, 0.0, home)
        for joint in manifest.joints:  # arms swing about the pose that the policy calls home
            self.centre[joints.index(joint.name)] = joint.default
        waist = joints.index("waist_yaw_joint")
        self._size = rng.uniform(0.5, 1.0, len(joints)) * self.moved
        self._size[waist] *= WAIST_SHARE
        self._phase = rng.uniform(0, 2 * np.pi, len(joints))
        self._low[waist], self._high[waist] = max(low[waist], -WAIST_REACH), min(high[waist], WAIST_REACH)
        self._goal = self.centre.copy()
        self.target = self.centre.copy()

    def step(self, tick: int) -> Floats:
        """The targets ``(n,)`` at control period ``tick``."""
        t = tick * self._dt
        if not self._random:
            wanted = self.centre + self._size * np.sin(2 * np.pi * SWEEP_HZ * t + self._phase)
        else:
            if tick % round(TARGET_S / self._dt) == 0:
                anywhere = self._rng.uniform(self._low, self._high)
                self._goal = self.centre + self.moved * np.sqrt(self._rng.random()) * (anywhere - self.centre)
            wanted = self._goal
        wanted = np.clip(wanted, self._low, self._high)
        self.target = self.target + np.clip(wanted - self.target, -self._most, self._most)
        return self.target
