"""A simulated robot on its own feet as an actuator: the bus client of its arms, and of its legs."""

from __future__ import annotations

import numpy as np

from telerig.drivers.mujoco.robot import LOST_NS, MujocoRobot
from telerig.drivers.mujoco.robot_opening import Opening
from telerig.hardware.errors import DeviceIdentityError
from telerig.hardware.events import Event, Level
from telerig.hardware.legs import LegCommand, LegMode, balance_stream, body_stream, legs_of
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample, Value
from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire import simbus
from telerig.hardware.wire import simbus_legs as wire
from telerig.hardware.wire.simbus import Message, Status
from telerig.hardware.wire.simbus_legs import LegKind


class MujocoHumanoid(MujocoRobot):
    """The actuator ``mujoco_humanoid``: :class:`MujocoRobot` and a :class:`~telerig.hardware.legs.LeggedActuator`.

    Its world has ``hold_pelvis = false``.  Streams beside the arms': ``NAME/body``, each measurement once, and
    ``NAME/balance``, which its worker writes.  ``hold`` and ``damp`` are about the arms; ``close`` lets go of the legs too.
    """

    def __init__(self, config: MujocoRobot.Config, context: DeviceContext) -> None:
        super().__init__(config, context)
        self.legs = legs_of(self.embodiment)
        self.leg_mode = LegMode.OFF
        self._legs_asked: dict[int, int] = {}
        self._legs_newest = -1
        self._legs_t = 0

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """Arms, legs and pelvis, and what the worker says of the balance."""
        name = self.context.name
        body = body_stream(name, self.legs, self.config.rate_hz)
        return (*super().streams, body, balance_stream(name, self.legs))

    def open(self) -> None:
        """As :meth:`MujocoRobot.open`.

        :raises DeviceIdentityError: also when the world holds the robot's pelvis, or has other legs.
        """
        super().open()
        self._legs_asked.clear()
        self._legs_newest, self._legs_t = -1, 0
        opening = Opening(
            self.context.name, self.config.world, self._bus(), self._decoder, self.context.clock, self._seq
        )
        try:
            found = simbus.parse_identity(opening.ask(lambda seq: wire.plain_request(LegKind.WHO, seq)))
        except simbus.BusError as error:  # what a held robot answers is no identity
            self.close()
            raise DeviceIdentityError(
                f"{self.context.name}: world '{self.config.world}' holds the robot's pelvis; give it hold_pelvis = false"
            ) from error
        finally:
            self._seq = opening.seq
        if found.joints != self.legs.joints:
            self.close()
            raise DeviceIdentityError(
                f"{self.context.name}: the world's robot has other legs than embodiment '{self.embodiment.name}'"
            )

    def _poll(self) -> list[Sample]:
        seq = self._next()
        now = self.context.clock.now()
        self._legs_asked[seq] = now
        self._legs_asked = {s: t for s, t in self._legs_asked.items() if now - t < LOST_NS}
        self._bus().write(
            wire.plain_request(LegKind.STATE, seq)
        )  # answered before the arms' state, which is waited for
        return super()._poll()

    def _take(self, message: Message) -> list[Sample]:
        now = self.context.clock.now()
        if message.kind == LegKind.STATE | simbus.REPLY:
            self._heard = now
            asked = self._legs_asked.pop(message.seq, None)
            state = wire.parse_state(message.payload)
            self.leg_mode = state.mode
            if asked is None or state.steps == self._legs_newest:
                return []
            self._legs_newest = state.steps
            return [self._body_sample(state, asked, now)]
        if message.kind in (LegKind.FOLLOW | simbus.REPLY, LegKind.DAMP | simbus.REPLY):
            self._heard = now
            status, self.leg_mode = wire.parse_ack(message.payload)
            if status is not Status.OK:
                text = f"{self.context.name}: the robot refused a target for its legs: {status.name}"
                self.context.emit(Event(now, Level.WARNING, self.context.name, "robot.refused", text))
            return []
        return super()._take(message)

    def _body_sample(self, state: wire.LegState, asked: int, arrived: int) -> Sample:
        """``t_sample`` as of the arms' state."""
        measured = (asked + arrived) // 2 - 1000 * (state.now_us - state.t_us)
        backwards = max(0, self._legs_t + 1 - measured)
        self._legs_t = measured + backwards
        sigma = max(1000, (arrived - asked) // 2, backwards)
        data: dict[str, Value] = {
            "position": state.position, "velocity": state.velocity, "effort": state.effort,
            "attitude": state.attitude, "angular_velocity": state.angular_velocity,
            "mode": np.array(state.mode, np.uint8),
        }  # fmt: skip
        name = f"{self.context.name}/body"
        return Sample(name, arrived, self._legs_t, data, sigma, 1000 * state.t_us, state.steps)

    def send_legs(self, command: LegCommand) -> None:
        """Legs follow targets.  :raises DeviceLost: the world is gone."""
        self._tell(wire.follow_request(self._next(), command))

    def damp_legs(self) -> None:
        """Legs let go, damped.  :raises DeviceLost: the world is gone."""
        self._tell(wire.plain_request(LegKind.DAMP, self._next()))
