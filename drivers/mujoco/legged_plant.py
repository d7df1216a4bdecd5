"""The physics of a robot on its own feet: legs that follow targets with the gains given, and a rope until it balances.

The rope is what a gantry is to a real robot: it carries the pelvis at its place, and is let down within a second once
the robot's host says that it balances.  It comes back only with a reset, when somebody has picked the robot up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.firmware import RobotFirmware
from telerig.drivers.mujoco.legged_firmware import LeggedFirmware
from telerig.drivers.mujoco.plant import SETTLE_S, Plant
from telerig.drivers.mujoco.scene import Scene
from telerig.hardware.legs import LegMode

Array = NDArray[np.float64]
GANTRIES = ("until_balanced", "always", "none")
LET_DOWN_S = 1.0
ROPE = (3000.0, 600.0)  # N/m, N s/m at the pelvis
FRAME = (600.0, 60.0)  # N m/rad, N m s/rad: it cannot turn either
LEG_DAMPING = 5.0  # N m s/rad of damped legs, what their drives do with a zero stiffness


class LeggedPlant(Plant):
    """See :class:`Plant`.

    :param gantry: one of :data:`GANTRIES`.
    :ivar rope: 1 while the gantry carries, 0 when the robot stands by itself.
    """

    def __init__(self, scene: Scene, gantry: str) -> None:
        super().__init__(scene)
        if scene.legs is None:
            raise ValueError("a scene with hold_pelvis = false is right")
        self._legs, self._gantry = scene.legs, gantry
        self._weight = float(self.model.body_subtreemass[scene.legs.root] * -self.model.opt.gravity[2])
        self._leg_gain = self.model.actuator_gainprm[scene.legs.actuators, 0].copy()
        self._leg_bias = self.model.actuator_biasprm[scene.legs.actuators, 1:3].copy()
        self.rope = 0.0

    def obey(self, firmware: RobotFirmware) -> None:
        """Arms and legs as the firmware says; the gantry as its person would."""
        super().obey(firmware)
        assert isinstance(firmware, LeggedFirmware)
        mode, command = firmware.leg_mode, firmware.leg_command
        if mode is LegMode.FOLLOW:
            self._drive(command.position, command.kp, command.kd)
        else:
            n = len(self._legs.actuators)
            self._drive(None, np.zeros(n), np.full(n, LEG_DAMPING if mode is LegMode.DAMP else 0.0))
        if firmware.balancing and self._gantry == "until_balanced":
            self.rope = max(0.0, self.rope - self.model.opt.timestep / LET_DOWN_S)
        self._carry()

    def _drive(self, goal: Array | None, kp: Array, kd: Array) -> None:
        at = self._legs.actuators
        self.model.actuator_gainprm[at, 0] = kp
        self.model.actuator_biasprm[at, 1] = -kp
        self.model.actuator_biasprm[at, 2] = -kd
        if goal is not None:
            self.data.ctrl[at] = goal

    def _carry(self) -> None:
        """The rope's pull on the pelvis."""
        d, root = self.data, self._legs.root
        if self.rope == 0.0:
            d.xfrc_applied[root] = 0.0
            return
        force = ROPE[0] * (self._legs.place - d.qpos[:3]) - ROPE[1] * d.qvel[:3]
        force[2] += self._weight
        w, axis = d.qpos[3], d.qpos[4:7]
        turned = 2.0 * np.arctan2(np.linalg.norm(axis), abs(w)) * np.copysign(1.0, w)
        rotation = turned * axis / max(float(np.linalg.norm(axis)), 1e-9)  # world frame: about the same for small turns
        torque = -FRAME[0] * rotation - FRAME[1] * (d.xmat[root].reshape(3, 3) @ d.qvel[3:6])
        d.xfrc_applied[root] = self.rope * np.concatenate((force, torque))

    def tell(self, firmware: RobotFirmware, now: int) -> None:
        """What arms, legs and pelvis measure."""
        super().tell(firmware, now)
        assert isinstance(firmware, LeggedFirmware)
        d, s = self.data, self._legs
        legs = (d.qpos[s.qpos], d.qvel[s.dofs], d.actuator_force[s.actuators])
        firmware.measured_body(legs, d.qpos[3:7].copy(), d.qvel[3:6].copy())

    def reset(self, seed: int, episode: int, robot: bool) -> None:
        """As :meth:`Plant.reset`; with ``robot`` it hangs in the gantry again, in its home pose."""
        if robot:
            self.rope = 0.0 if self._gantry == "none" else 1.0
            at = self._legs.actuators
            self.model.actuator_gainprm[at, 0] = self._leg_gain
            self.model.actuator_biasprm[at, 1:3] = self._leg_bias
        super().reset(seed, episode, robot)

    def _settle(self) -> None:
        for _ in range(round(SETTLE_S / self.model.opt.timestep)):
            self._carry()
            self.step()
