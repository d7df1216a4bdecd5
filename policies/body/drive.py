"""A body policy as what a robot's worker drives legs with (``teleop/body.py``), reached from there by name.

The caller's joints are legs, rigid ones and arms; joints that the policy has outputs for and does not get (arms, a locked
waist) are the others'; legs that it has none for (telerig's own: the waist's yaw) stay at home.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.legs import LegMeasure, Legs, legs_of
from telerig.policies.body.load import body_policy
from telerig.policies.body.manifest import COMMANDS
from telerig.policies.body.runtime import BodyPolicy, BodyState, projected_gravity

Array = NDArray[np.float64]
STILL_KP, STILL_KD = 300.0, 10.0  # N m/rad, N m s/rad: of legs that no policy moves; the waist's own in the model


class PolicyLegs:
    """See :class:`telerig.teleop.body.LegDrive`.

    :param upper: names of the arms' joints, in the order in which they are measured.
    :ivar policy: what it steps.
    """

    def __init__(self, policy: BodyPolicy, legs: Legs, upper: tuple[str, ...]) -> None:
        manifest = policy.manifest
        self.policy, self._home = policy, np.array(legs.home)
        self._into = np.array([legs.joints.index(j) for j in policy.driven], np.intp)
        self.rate_hz, self.name = manifest.rate_hz, manifest.name
        self.kp = np.full(len(legs.joints), min(STILL_KP, legs.kp_max))
        self.kd = np.full(len(legs.joints), min(STILL_KD, legs.kd_max))
        self.kp[self._into] = manifest.column("kp", policy.driven)
        self.kd[self._into] = manifest.column("kd", policy.driven)
        self._low, self._high = np.array(legs.low), np.array(legs.high)
        height = manifest.command.height
        self.heights = height.range if height is not None else (legs.height, legs.height)
        self._sent = self._home.copy()
        n, m = len(legs.joints), len(legs.joints) + len(legs.rigid)
        self._rigid, self._still = np.array(list(legs.rigid.values()), np.float64), np.zeros(m - n)
        self._position, self._velocity, self._executed = (np.zeros(m + len(upper)) for _ in range(3))
        self._takes = [COMMANDS.index(name) for name in manifest.command.names]

    def reset(self) -> None:
        """Begin anew, at rest."""
        self.policy.reset()

    def stance(self, height: float) -> Array:
        """``(n,)`` rad: how the legs stand at this height, m."""
        pose = self._home.copy()
        pose[self._into] = self.policy.stance(height)
        return np.asarray(np.clip(pose, self._low, self._high))

    def step(self, measured: LegMeasure, wish: Array, periods: int, urgent: bool) -> tuple[Array, Array]:
        """Leg targets ``(n,)`` rad within their ranges, and what the robot is now asked for (4,).

        :raises TelerigError: something is not finite.
        """
        np.concatenate((measured.position, self._rigid, measured.upper_position), out=self._position)
        np.concatenate((measured.velocity, self._still, measured.upper_velocity), out=self._velocity)
        np.concatenate((self._sent, self._rigid, measured.upper_sent), out=self._executed)
        gravity = projected_gravity(measured.attitude)
        state = BodyState(self._position, self._velocity, measured.angular_velocity, gravity)
        found = self.policy.step(state, wish, self._executed, periods, urgent)
        target = self._home.copy()
        target[self._into] = found.position
        self._sent = np.minimum(np.maximum(target, self._low), self._high)
        asked = wish.copy()
        asked[self._takes] = found.wish
        return self._sent, asked


def build(robot: Embodiment, upper: tuple[str, ...], name: str, model: str, beside: str) -> PolicyLegs:
    """A body policy by name, for a robot's worker.

    :param name: of a manifest, or a path to one, relative to the rig file's folder ``beside``;  ``model`` likewise: the
        ONNX file, "" where the manifest says.
    :raises ConfigError: it does not fit the robot; one line.
    :raises MissingExtra: onnxruntime is not installed.
    """
    legs = legs_of(robot)
    path = str(Path(beside) / name) if name.endswith(".toml") else name
    names = (*legs.joints, *legs.rigid, *upper)
    given = Path(beside) / model if model else None
    from telerig.policies.body.load import load_manifest

    outputs = load_manifest(path)[0].action_joints
    others = [j for j in outputs if j not in legs.joints]
    return PolicyLegs(body_policy(path, robot, given, names, others), legs, upper)
