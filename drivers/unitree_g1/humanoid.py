"""Unitree G1 on its own feet: arms and hands as in :mod:`telerig.drivers.unitree_g1.robot`, legs for a body policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.unitree_g1.dds import Bus
from telerig.drivers.unitree_g1.legs import LegDrive
from telerig.drivers.unitree_g1.motors import KD_MAX, KP_MAX, LOWER
from telerig.drivers.unitree_g1.robot import UnitreeG1, UnitreeG1Config
from telerig.drivers.unitree_g1.samples import SIGMA_NS, Reading
from telerig.drivers.unitree_g1.state import TICK_NS
from telerig.hardware.commands import TargetSpec
from telerig.hardware.errors import CommandRefused
from telerig.hardware.legs import LegCommand, balance_stream, body_stream, legs_of
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec


class UnitreeG1Humanoid(UnitreeG1):
    """The actuator ``unitree_g1_humanoid``: a :class:`UnitreeG1` and a :class:`~telerig.hardware.legs.LeggedActuator`.

    Streams beside the other's: ``NAME/body``, and ``NAME/balance``, which its worker writes.  Targets: arms and hands, and
    the base, whose commands the worker's body policy turns into targets for the legs.  ``hold`` and ``damp`` are about
    the arms; ``close``, the robot's stop button and its silence let go of the legs too.  The key ``legs`` means nothing.
    A hand that is silent for 0.5 s is no lost robot: arms and hands take no goals until it is heard again, the legs do.
    """

    def __init__(
        self, config: UnitreeG1Config, context: DeviceContext, connect: Callable[[], Bus] | None = None
    ) -> None:
        super().__init__(config, context, connect)
        self.legs = legs_of(self._robot)
        joints = config.joints
        self._leg_index = np.array([joints.index(j) for j in self.legs.joints], np.intp)
        self._rigid = np.array([joints.index(j) for j in self.legs.rigid], np.intp)
        self._slack = np.array([j in LOWER for j in joints])
        self._gains_max = (min(KP_MAX, self.legs.kp_max), min(KD_MAX, self.legs.kd_max))
        self._base = self._robot.target(context.name, "base")

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """Arms, all motors, legs and pelvis, and what the worker says of the balance."""
        name, legs = self.context.name, self.legs
        return (*super().streams, body_stream(name, legs, self.config.rate_hz), balance_stream(name, legs))

    @property
    def targets(self) -> tuple[TargetSpec, ...]:
        """Arms and hands; the base."""
        return (*super().targets, self._base)

    def _leg_drive(self) -> LegDrive:
        home = np.array(list(self.legs.rigid.values()))
        return LegDrive(self._leg_index, self._rigid, home, round(self.config.watchdog_damp_s * 1e9))

    def _samples(self, reading: Reading) -> list[Sample]:
        state, motors, imu = reading.state, reading.motors, reading.state.record["imu"]
        drive, at = self.link.legs, self._leg_index
        data: dict[str, NDArray[Any]] = {
            "position": motors.position[at],
            "velocity": motors.velocity[at],
            "effort": motors.effort[at],
            "attitude": imu["quaternion"].astype(np.float64),
            "angular_velocity": imu["gyroscope"].astype(np.float64),
            "mode": np.array(0 if drive is None else drive.mode, np.uint8),
        }
        arrived, tick = state.arrived, state.tick
        body = Sample(f"{self.context.name}/body", arrived, arrived, data, SIGMA_NS, tick * TICK_NS, tick)
        return [*super()._samples(reading), body]

    def send_legs(self, command: LegCommand) -> None:
        """A target for the legs, from the next message on.

        :raises CommandRefused: not finite, another size, gains beyond what the motors or the embodiment allow, or the
            robot is not heard.
        :raises DeviceLost: not open.
        """
        n = len(self.legs.joints)
        arrays = [np.asarray(v, np.float64) for v in (command.position, command.kp, command.kd)]
        if any(a.shape != (n,) or not np.isfinite(a).all() for a in arrays) or any((a < 0).any() for a in arrays[1:]):
            raise CommandRefused(f"{self.context.name}: {n} finite targets and gains for the legs expected")
        for key, values, most in zip(("kp", "kd"), arrays[1:], self._gains_max, strict=True):
            k = int(np.argmax(values))
            if values[k] > most:
                what = f"{key} of {self.legs.joints[k]} is {values[k]:g}"
                raise CommandRefused(f"{self.context.name}: {what}, at most {most:g} is sent")
        position = np.clip(arrays[0], self.legs.low, self.legs.high)
        if why := self.link.follow_legs(LegCommand(position, arrays[1], arrays[2], command.balancing)):
            raise CommandRefused(f"{self.context.name}: legs: {why}")

    def damp_legs(self) -> None:
        """Legs let go, damped.  :raises DeviceLost: not open."""
        self.link.damp_legs()
