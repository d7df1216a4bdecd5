"""The body supervisor: in the actuator's worker, beside the bus; makes leg targets of the base's command.

======== ======================================================== =====================================================
state     legs                                                     leaves by
======== ======================================================== =====================================================
LIMP      damped                                                   somebody steers (enable was pressed) and the robot has
                                                                   been level and still for 0.5 s (RISING)
RISING    from the measured pose to the stance, stiffness 0 to 1   2 s (SETTLING), nobody steers (LIMP)
SETTLING  stand in the stance                                      near it, level and still for 0.5 s (BALANCING); 5 s, or
                                                                   nobody steers (LIMP)
BALANCING as the policy says, for the base's command; without one  tilt, fall, no measurement, policy at fault (FALLEN);
          that lives: velocities 0 within 0.3 s, height kept       e-stop's end or drives that let go (LIMP)
LOWERING  as BALANCING, down to the lowest height                  down (LIMP): the session ends
FALLEN    damped, arms too, and the e-stop is pressed              the e-stop is reset (LIMP)
======== ======================================================== =====================================================

Nothing that comes back by itself starts a motion: LIMP is left only while an operator (or a policy) steers.  To hold
means to keep balancing: what is silent, stale or released stops the robot but never damps its legs.  Sans-IO.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.events import Event, Level
from telerig.hardware.legs import Balance, LegCommand, LeggedActuator, LegMeasure, LegMode
from telerig.hardware.samples import Sample
from telerig.hardware.stance import Stance
from telerig.teleop.body_rig import BodyRig
from telerig.teleop.poise import Poise

Array = NDArray[np.float64]
UNMEASURED_NS = 100_000_000
REST_NS = 1_000_000_000  # stands still before it is let go, where a policy knows no lower height
SETTLE_LIMIT_NS = 5_000_000_000
BLEND_S = 0.4  # the policy takes over from the stance
NEAR_RAD = 0.3  # of the stance, to be handed over to the policy
COMPLAIN_NS = 1_000_000_000
LOWER_M_S = 0.3  # as pedals lower it, for policies that would go down at once


class LegDrive(Protocol):
    """A policy as the supervisor sees it (``policies/body/drive.py``).  Arrays in the order of the robot's legs.

    ``kp``, ``kd``: stiffness and damping it was made for;  ``heights``: lowest and highest that it takes, m.
    """

    name: str
    rate_hz: float
    kp: Array
    kd: Array
    heights: tuple[float, float]

    def reset(self) -> None: ...
    def stance(self, height: float) -> Array: ...
    def step(self, measured: LegMeasure, wish: Array, periods: int, urgent: bool) -> tuple[Array, Array]: ...


class Body:
    """One a robot.

    :param on_fall: damps the arms and presses the e-stop.
    :param write: publishes a sample of ``DEVICE/balance``;  ``emit`` reports an event.
    """

    def __init__(
        self,
        name: str,
        device: LeggedActuator,
        drive: LegDrive,
        stance: Stance,
        rig: BodyRig,
        write: Callable[[Sample], object],
        emit: Callable[[Event], None],
        on_fall: Callable[[int], None],
    ) -> None:
        self.name, self._device, self._drive, self._rig = name, device, drive, rig
        self.poise = Poise(stance, drive.stance, rig)
        self._write, self._emit, self._on_fall = write, emit, on_fall
        self._period = round(1e9 / drive.rate_hz)
        self.forget()

    def forget(self) -> None:
        """After the robot was lost: limp, and nothing is known of it."""
        self.state, self._since = Balance.LIMP, 0
        self._body: Sample | None = None
        self._upper: Sample | None = None
        self._upper_sent: Array | None = None
        self._due: int | None = None
        self.poise.reset()
        self._steered_until = -(2**62)
        self._goal = np.array([0.0, 0.0, 0.0, self._device.legs.height])
        self._urgent, self._damped, self._told = True, False, -(2**62)
        self._wish, self._gain = self._goal.copy(), 0.0
        self._target = np.full(len(self._device.legs.joints), np.nan)
        self._from = self._target

    # --- what it is told -----------------------------------------------------------------------------------------

    def see(self, sample: Sample) -> None:
        """Take in a sample of the robot's."""
        if sample.stream == f"{self.name}/body":
            self._body = sample
        elif sample.stream == f"{self.name}/state":
            self._upper = sample

    def arms(self, command: Command) -> None:
        """What the arms were sent: a policy may look at it."""
        self._upper_sent = np.asarray(command.data, np.float64)
        self._steered(command)

    def ask(self, mode: Mode, command: Command | None) -> None:
        """What the watchdog lets through to the base: a command, a HOLD (perhaps with the height to keep) or a DAMP.

        Velocities count while somebody steers; the guard's own are on their way to rest and are at rest here at once.
        """
        if mode is Mode.DAMP:
            self._damped = True
            return
        self._damped = False
        if command is not None:
            self._steered(command)
            self._goal = np.array(command.data, np.float64)
        self._urgent = command is None or mode is Mode.HOLD or command.source == Source.GUARD
        if self._urgent:
            self._goal[:3] = 0.0

    def _steered(self, command: Command) -> None:
        if command.source != Source.GUARD:
            self._steered_until = command.t_issued + command.ttl_ns

    def lower(self, now: int) -> None:
        """The session ends: down, then limp; nothing where it does not balance."""
        if self.state is Balance.BALANCING:
            self._enter(now, Balance.LOWERING)

    # --- running -------------------------------------------------------------------------------------------------

    def step(self, now: int, estop: bool) -> None:
        """Look at the newest measurement; once a control period of the policy, send the legs a target.

        :raises DeviceLost: the robot is gone.
        """
        body = self._body
        if body is None:
            return
        if now - body.t_arrival > UNMEASURED_NS:
            if self.state in (Balance.BALANCING, Balance.LOWERING):
                self._fall(now, "its legs are not measured any more")
            elif self.state in (Balance.RISING, Balance.SETTLING):
                self._limp(now, "the legs are not measured any more")
            return
        due = body.t_sample if self._due is None else self._due
        slack = self._period // 8
        if body.t_sample < due - slack:
            return
        periods = 1 + (body.t_sample - due + slack) // self._period
        self._due = due + periods * self._period
        self.poise.look(now, body, float(self._wish[3]))
        self._advance(now, body, int(periods), estop)
        self._publish(now)

    def _advance(self, now: int, body: Sample, periods: int, estop: bool) -> None:
        limp = self.state in (Balance.LIMP, Balance.FALLEN)
        if limp and int(body.array("mode")) == LegMode.FOLLOW:
            self._device.damp_legs()  # this worker, or one before it, left them stiff; or they were not heard of
        if self.state is Balance.FALLEN:
            if not estop:
                self._enter(now, Balance.LIMP)
            return
        if limp:
            self._limping(now, body, estop)
            return
        if self._damped and (estop or self.state is not Balance.LOWERING):  # that ends by itself
            self._limp(now, "an e-stop ended: damped")
            return
        if int(body.array("mode")) != LegMode.FOLLOW and now - self._since > 2 * UNMEASURED_NS:
            self._limp(now, "the drives of the legs let go")
            return
        if (why := self.poise.fallen(body, self.state in (Balance.BALANCING, Balance.LOWERING))) is not None:
            self._fall(now, why)
            return
        if self.state in (Balance.RISING, Balance.SETTLING):
            self._rise(now, body, estop)
        else:
            self._balance(now, body, periods, estop)

    def _limping(self, now: int, body: Sample, estop: bool) -> None:
        if now > self._steered_until or estop or self._damped:  # nobody steers
            return
        if self.poise.still(now):
            self._from = body.array("position").copy()
            self._goal[:3] = 0.0
            self._enter(now, Balance.RISING)
        elif now - self._told > COMPLAIN_NS:
            self._told = now
            text = f"legs are not engaged: the robot is not level and still (tilt {math.degrees(self.poise.tilt):.0f} degrees)"
            self._say(now, Level.WARNING, "body.not_settled", text)

    def _rise(self, now: int, body: Sample, estop: bool) -> None:
        if estop or now > self._steered_until:
            self._limp(now, "e-stop" if estop else "enable was released before the robot stood")
            return
        stance = self._drive.stance(self._device.legs.height)
        part = 1.0
        if self.state is Balance.RISING:
            part = min(1.0, (now - self._since) / (self._rig.rise_s * 1e9))
        self._send(self._from + part * (stance - self._from), part, False)
        if part >= 1.0 and self.state is Balance.RISING:
            self._enter(now, Balance.SETTLING)
            self.poise.disturb()
        elif self.state is Balance.SETTLING:
            near = float(np.abs(body.array("position") - stance).max()) < NEAR_RAD
            if near and self.poise.still(now):
                self._drive.reset()
                self._enter(now, Balance.BALANCING)
            elif now - self._since > SETTLE_LIMIT_NS:
                self._limp(now, "the robot does not stand still in its stance")

    def _balance(self, now: int, body: Sample, periods: int, estop: bool) -> None:
        wish, urgent = self._goal.copy(), self._urgent or estop
        if self.state is Balance.LOWERING:
            sunk = self._wish[3] - LOWER_M_S * periods / self._drive.rate_hz
            wish, urgent = np.array([0.0, 0.0, 0.0, max(self._drive.heights[0], sunk)]), True
        elif estop:
            wish[:3] = 0.0
        measured = self._measured(now, body)
        if measured is None:
            self._fall(now, "its arms are not measured")
            return
        try:
            target, self._wish = self._drive.step(measured, wish, periods, urgent)
        except Exception as error:  # whatever it is (ONNX Runtime's own among them): nobody balances now
            self._fall(now, str(error))
            return
        if self.state is Balance.BALANCING and now - self._since < BLEND_S * 1e9:
            part = (now - self._since) / (BLEND_S * 1e9)
            stance = self._drive.stance(float(self._wish[3]))
            target = stance + part * (target - stance)
        self._send(target, 1.0, True)
        down = self._wish[3] <= self._drive.heights[0] + 1e-3 and not self._wish[:3].any()
        if self.state is Balance.LOWERING and down and now - self._since > REST_NS:
            self._limp(now, "the session ends: down and damped")

    def _measured(self, now: int, body: Sample) -> LegMeasure | None:
        upper = self._upper
        if upper is None or now - upper.t_arrival > UNMEASURED_NS:
            return None
        position = upper.array("position")
        sent = position if self._upper_sent is None else self._upper_sent
        return LegMeasure(
            body.array("position"), body.array("velocity"), position, upper.array("velocity"), sent,
            body.array("attitude"), body.array("angular_velocity"),
        )  # fmt: skip

    def _send(self, target: Array, gain: float, balancing: bool) -> None:
        legs = self._device.legs
        self._target, self._gain = np.clip(target, legs.low, legs.high), gain
        self._device.send_legs(LegCommand(self._target, gain * self._drive.kp, self._drive.kd, balancing))

    def _limp(self, now: int, why: str) -> None:
        self._say(now, Level.WARNING, "body.limp", f"legs are damped: {why}")
        self._device.damp_legs()
        self._enter(now, Balance.LIMP)

    def _fall(self, now: int, why: str) -> None:
        """Damped at once: legs that fight a fall break what they hit."""
        self._enter(now, Balance.FALLEN)
        self._say(now, Level.ERROR, "body.fall", f"FALL: {why}; damped, e-stop")
        self._on_fall(now)  # latched first: damping raises where the robot is gone
        self._device.damp_legs()

    def _enter(self, now: int, state: Balance) -> None:
        self.state, self._since = state, now
        if state in (Balance.LIMP, Balance.FALLEN):
            self._gain, self._target = 0.0, np.full(len(self._target), np.nan)
            self._wish = np.array([0.0, 0.0, 0.0, self._device.legs.height])
            self.poise.disturb()
        else:
            self._say(now, Level.INFO, f"body.{state.name.lower()}", f"legs: {state.name.lower()}")

    def _say(self, now: int, level: Level, code: str, text: str) -> None:
        self._emit(Event(now, level, "body", code, f"{self.name}: {text}", {"state": self.state.name}))

    def _publish(self, now: int) -> None:
        data = {
            "state": np.array(self.state, np.uint8),
            "tilt": np.array(self.poise.tilt),
            "gain": np.array(self._gain),
            "wish": self._wish,
            "urgent": np.array(self._urgent, np.uint8),
            "target": self._target,
        }
        self._write(Sample(f"{self.name}/balance", now, now, data))
