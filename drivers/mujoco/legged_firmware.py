"""The firmware of a simulated robot that stands on its own feet: the arms' firmware, and drives for the legs.

The legs' drives have a watchdog of their own: without a target for as long as the arms' they keep the last one (legs
that go limp fall), after a second they damp.  Nothing here balances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.firmware import RobotFirmware
from telerig.hardware.embodiment import Embodiment
from telerig.hardware.legs import LegCommand, LegMode, legs_of
from telerig.hardware.wire import simbus
from telerig.hardware.wire import simbus_legs as wire
from telerig.hardware.wire.simbus import Message, RobotMode, Status
from telerig.hardware.wire.simbus_legs import LegKind

Array = NDArray[np.float64]


class LeggedFirmware(RobotFirmware):
    """See :class:`RobotFirmware`; what is added is the legs'.

    :ivar leg_mode, leg_command: what the drives of the legs do; the world reads them before each physics step.
    :ivar damping: ``(n,)`` N m s/rad of damped legs, set by the world.
    """

    def __init__(self, robot: Embodiment, target: str) -> None:
        spec = robot.target("robot", target)
        super().__init__(robot.name, robot.version, spec.names, np.array(spec.low), np.array(spec.high))
        self.legs = legs_of(robot)
        n = len(self.legs.joints)
        self._leg_low, self._leg_high = np.array(self.legs.low), np.array(self.legs.high)
        self.leg_position, self.leg_velocity, self.leg_effort = np.zeros(n), np.zeros(n), np.zeros(n)
        self.attitude, self.angular_velocity = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3)
        self.damping = np.full(n, 4.0)
        self.leg_mode = LegMode.OFF
        self.leg_command = LegCommand(np.array(self.legs.home), np.zeros(n), np.zeros(n), False)
        self._last_leg = 0

    @property
    def balancing(self) -> bool:
        """Whether the host says that a policy keeps the robot up."""
        return self.leg_mode is LegMode.FOLLOW and self.leg_command.balancing

    def power_up(self, now: int, position: Array, goal: Array) -> None:
        """Start (again): arms hold, legs are damped (they hang, or rest on the floor)."""
        super().power_up(now, position, goal)
        self.leg_mode = LegMode.DAMP

    def measured_body(self, legs: tuple[Array, Array, Array], attitude: Array, angular_velocity: Array) -> None:
        """What the legs' encoders and the pelvis' inertial unit read, at the instant of :meth:`measured`."""
        self.leg_position, self.leg_velocity, self.leg_effort = legs
        self.attitude, self.angular_velocity = attitude, angular_velocity

    def tick(self, now: int) -> None:
        """The watchdogs; once a control period."""
        super().tick(now)
        late = self.damp_ms and now - self._last_leg > self.damp_ms * 1_000_000
        if self.leg_mode is LegMode.FOLLOW and late:
            self.watchdog_trips += 1
            self.leg_mode = LegMode.DAMP

    def _reply(self, now: int, message: Message) -> bytes:
        try:
            kind = LegKind(message.kind)
        except ValueError:
            reply = super()._reply(now, message)
            if message.kind == simbus.Kind.TORQUE_OFF and self.mode is RobotMode.TORQUE_OFF:
                self.leg_mode = LegMode.OFF
            return reply
        if kind is LegKind.WHO:
            who = simbus.Identity(self.name, self.version, self.legs.joints, self.hold_ms, self.damp_ms)
            return simbus.encode(
                Message(kind | simbus.REPLY, message.seq, simbus.identity_reply(0, who)[simbus.HEADER.size :])
            )
        if kind is LegKind.STATE:
            return self._leg_state(now, message.seq)
        return wire.ack(kind, message.seq, self._leg_command(now, kind, message.payload), self.leg_mode)

    def _leg_state(self, now: int, seq: int) -> bytes:
        t0 = self._t0 or 0
        return wire.state_reply(
            seq,
            wire.LegState(
                max(0, self._t_measured - t0) // 1000, max(0, now - t0) // 1000, self._steps, self.leg_mode,
                self.leg_position, self.leg_velocity, self.leg_effort, self.attitude, self.angular_velocity,
            ),
        )  # fmt: skip

    def _leg_command(self, now: int, kind: LegKind, payload: bytes) -> Status:
        if kind is LegKind.DAMP:
            self.leg_mode = LegMode.DAMP
            return Status.OK
        try:
            command = wire.parse_follow(payload, len(self.legs.joints))
        except (simbus.BusError, ValueError, IndexError):
            return Status.BAD_LENGTH
        if not all(np.isfinite(v).all() for v in command[:3]):
            return Status.BAD_VALUE
        self.leg_command = LegCommand(
            np.clip(command.position, self._leg_low, self._leg_high),
            np.clip(command.kp, 0.0, self.legs.kp_max),
            np.clip(command.kd, 0.0, self.legs.kd_max),
            command.balancing,
        )
        self.leg_mode, self._last_leg = LegMode.FOLLOW, now
        return Status.OK
