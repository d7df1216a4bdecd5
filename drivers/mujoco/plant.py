"""A scene's physics: steps it, moves its actuators as the firmware says, puts it back.  Knows no time of day."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.firmware import RobotFirmware
from telerig.drivers.mujoco.gl import load_mujoco
from telerig.drivers.mujoco.scene import Scene
from telerig.hardware.wire.simbus import RobotMode

Array = NDArray[np.float64]
HOLD_DAMPING = 4.0  # times a servo's own: stops an arm within some 30 ms, and without swinging
SETTLE_S = 0.5  # arms sag into their position servos; an episode starts at rest


class Plant:
    """One simulated robot and what stands around it.

    Equal sequences of calls give equal bits (mujoco is deterministic on one machine and version).

    :ivar model, data: mujoco's; the model is this plant's own, because a mode is made of actuator gains.
    """

    def __init__(self, scene: Scene) -> None:
        self._mj = load_mujoco()
        self.scene = scene
        self.model: Any = copy.copy(scene.model)
        self.data: Any = self._mj.MjData(self.model)
        self._act = scene.actuators
        self._gain = self.model.actuator_gainprm[self._act, 0].copy()
        self._bias = self.model.actuator_biasprm[self._act, 1:3].copy()
        self._mode: RobotMode | None = None

    def _set_mode(self, mode: RobotMode) -> None:
        """Position servos have their gains, holding ones more damping; damping has no position term, off has nothing."""
        position = mode in (RobotMode.POSITION, RobotMode.HOLD)
        self.model.actuator_gainprm[self._act, 0] = self._gain if position else 0.0
        self.model.actuator_biasprm[self._act, 1] = self._bias[:, 0] if position else 0.0
        damping = {RobotMode.TORQUE_OFF: 0.0, RobotMode.HOLD: HOLD_DAMPING}.get(mode, 1.0)
        self.model.actuator_biasprm[self._act, 2] = damping * self._bias[:, 1]
        self._mode = mode

    @property
    def stiffness(self) -> Array:
        """Of the controlled joints' servos, ``(n,)`` N·m/rad."""
        gain: Array = self._gain
        return gain

    def command(self, mode: RobotMode, goal: Array) -> None:
        """What the controlled joints do until further notice; ``goal`` ``(n,)`` rad."""
        if mode is not self._mode:
            self._set_mode(mode)
        self.data.ctrl[self._act] = goal

    def obey(self, firmware: RobotFirmware) -> None:
        """Do what the firmware says; before every physics step."""
        self.command(firmware.mode, firmware.goal)

    def tell(self, firmware: RobotFirmware, now: int) -> None:
        """Give the firmware what its encoders read at ``now``."""
        firmware.measured(now, *self.measure())

    def step(self) -> None:
        """One physics step."""
        self._mj.mj_step(self.model, self.data)

    @property
    def speed(self) -> float:
        """Of the fastest controlled joint, rad/s."""
        return float(np.abs(self.data.qvel[self.scene.dofs]).max())

    def measure(self) -> tuple[Array, Array, Array]:
        """Position rad, velocity rad/s, effort N·m of the controlled joints, each ``(n,)``, copies."""
        d, s = self.data, self.scene
        return d.qpos[s.qpos], d.qvel[s.dofs], d.actuator_force[s.actuators]

    def start(self) -> tuple[Array, Array]:
        """Measured position and what the servos are told after a reset, each ``(n,)`` rad: they differ by the sag."""
        return self.data.qpos[self.scene.qpos], self.data.ctrl[self._act].copy()

    def mocap(self) -> Array:
        """Poses of what is placed but not moved by physics: ``(nmocap, 7)`` xyz m, quaternion wxyz."""
        return np.concatenate((self.data.mocap_pos, self.data.mocap_quat), axis=1)

    def reset(self, seed: int, episode: int, robot: bool) -> None:
        """Place object and target anew; with ``robot``, start everything again from home, at rest."""
        mj, d = self._mj, self.data
        if robot:
            mj.mj_resetData(self.model, d)
            d.qpos[:], d.ctrl[:] = self.scene.home_qpos, self.scene.home_ctrl
            self._set_mode(RobotMode.POSITION)
        if self.scene.task is not None:
            self.scene.task.place(d, seed, episode)
        if robot:
            self._settle()
            d.time = 0.0
        mj.mj_kinematics(self.model, d)

    def _settle(self) -> None:
        self._mj.mj_step(self.model, self.data, round(SETTLE_S / self.model.opt.timestep))

    def pose(self, body: int, offset: Array) -> Array:
        """A body's frame moved by an offset in that frame: ``(7,)`` xyz m, quaternion wxyz, in the world's frame."""
        d = self.data
        position = d.xpos[body] + d.xmat[body].reshape(3, 3) @ offset
        return np.concatenate((position, d.xquat[body]))

    def refresh(self) -> None:
        """Body poses of the present joints: a physics step leaves those of its beginning."""
        self._mj.mj_kinematics(self.model, self.data)
