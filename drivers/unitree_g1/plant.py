"""A simulated G1's motors: a plant's joints driven as LowCmd says, torque = tau + kp (q* − q) + kd (dq* − dq)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.legged_plant import LET_DOWN_S, LeggedPlant
from telerig.drivers.mujoco.plant import Plant
from telerig.drivers.mujoco.scene import Scene
from telerig.drivers.unitree_g1.firmware import Inertial, Motion
from telerig.drivers.unitree_g1.motors import LEGS
from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError

Array = NDArray[np.float64]
_SENSORS = ("imu_orientation", "imu_gyro", "imu_accelerometer")
STOOD_S = 3.0  # so long all legs are driven before the gantry lets the robot down


class Motors:
    """All motors of a plant's robot.

    :param joints: every motor's joint.  Those that are rigid in the scene (all below the arms of a held pelvis) stay at
        home.
    :raises ConfigError: the model has no inertial unit.
    """

    def __init__(self, plant: Plant, robot: Embodiment, joints: Sequence[str]) -> None:
        self.model, self.data = plant.model, plant.data
        model = self.model
        servos = {model.joint(model.actuator_trnid[a, 0]).name: a for a in range(model.nu)}
        home = {j: h for g in robot.groups for j, h in zip(g.joints, g.home, strict=True)}
        self._home = np.array([home[j] for j in joints])
        self._there = np.array([k for k, j in enumerate(joints) if j in servos], np.intp)
        moving = [joints[k] for k in self._there]
        ids = [model.joint(j).id for j in moving]
        self._motors = np.array([servos[j] for j in moving], np.intp)
        self._q, self._dq = model.jnt_qposadr[ids], model.jnt_dofadr[ids]
        self._most = model.actuator_forcerange[self._motors, 1].copy()
        names = {model.sensor(s).name for s in range(model.nsensor)}
        if not set(_SENSORS) <= names:
            raise ConfigError(f"{robot.model_path}: sensors {', '.join(_SENSORS)} are needed")
        self._imu = int(model.sensor(_SENSORS[0]).objid[0])
        self._held = bool(model.body_weldid[model.site_bodyid[self._imu]] == 0)

    def drive(self, motion: Motion) -> None:
        """What the motors do until further notice; the position and velocity terms are integrated implicitly."""
        m, d, at, k = self.model, self.data, self._motors, self._there
        kp, kd = motion.kp[k], motion.kd[k]
        m.actuator_gainprm[at, 0] = kp
        m.actuator_biasprm[at, 1], m.actuator_biasprm[at, 2] = -kp, -kd
        d.ctrl[at] = motion.q[k]
        d.qfrc_applied[self._dq] = np.clip(motion.tau[k] + kd * motion.dq[k], -self._most, self._most)

    def measure(self) -> tuple[Array, Array, Array]:
        """Position rad, velocity rad/s, torque N m of every motor, ``(n,)``."""
        d, k = self.data, self._there
        q, dq, tau = self._home.copy(), np.zeros_like(self._home), np.zeros_like(self._home)
        q[k], dq[k] = d.qpos[self._q], d.qvel[self._dq]
        tau[k] = d.actuator_force[self._motors] + d.qfrc_applied[self._dq]
        return q, dq, tau

    def inertial(self) -> Inertial:
        """What the pelvis' inertial unit measures; that of a held one, which mujoco leaves out, is gravity."""
        attitude, rate, acceleration = (self.data.sensor(name).data.copy() for name in _SENSORS)
        if self._held:
            acceleration = -self.data.site_xmat[self._imu].reshape(3, 3).T @ self.model.opt.gravity
        return Inertial(attitude, rate, acceleration)


class HangingPlant(LeggedPlant):
    """A robot on its own feet below a gantry; nobody tells this one that it balances: it looks at the legs.

    ``until_balanced``: let down within a second once every leg motor has been stiff for three.
    """

    def __init__(self, scene: Scene, gantry: str) -> None:
        super().__init__(scene, gantry)
        self._stood = 0.0

    def carry(self, motion: Motion) -> None:
        """The gantry's pull in the next step."""
        step = self.model.opt.timestep
        self._stood = self._stood + step if (motion.kp[: len(LEGS)] > 0).all() else 0.0
        if self._gantry == "until_balanced" and self._stood > STOOD_S:
            self.rope = max(0.0, self.rope - step / LET_DOWN_S)
        self._carry()

    def reset(self, seed: int, episode: int, robot: bool) -> None:
        """As :meth:`LeggedPlant.reset`; with ``robot``, in the gantry again."""
        if robot:
            self._stood = 0.0
        super().reset(seed, episode, robot)
