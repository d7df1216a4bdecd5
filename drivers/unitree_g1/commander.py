"""What the motors are told, as a function of time: sans-IO, so that it runs the same in a thread and in a test.

One *tick* a period: the newest goals become a :class:`Drive`, position targets with gains and a feed-forward torque.
Motors obey the last message they got, so whoever ticks is what keeps the robot up, and this is where it is let down:

- a goal that nobody renews for ``hold_s`` becomes a hold, after ``damp_s`` damping;
- a host that does not even read for ``damp_s`` is as good as gone: damping;
- a robot that was not heard for ``state_s`` is damped: nobody knows where it is;
- a tick that comes later than ``silence_s`` after the last one finds a robot that may have let go by itself: it is held
  where it is, instead of being pulled back to a goal from before.

Each of these *trips*: positions are refused until somebody says hold or damp.

A hold brakes first and then keeps what is measured, pushing on as hard as it has to at rest, which is gravity: a soft
servo that is told to stay where it hangs would sag once more.  The push fades within about a second once goals come.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

BRAKE_NS = 80_000_000  # after this long the arms stand, and hold where they are
BRAKING = 2.0  # times a joint's own damping while it holds
LEARN_NS = 25_000_000  # time constant with which a hold's push follows what is measured
FADE_NS = 500_000_000


class Stance(enum.Enum):
    """What all motors do; SILENT: nothing is sent, the robot does what it does by itself."""

    SILENT = "silent"
    OFF = "off"
    DAMP = "damp"
    HOLD = "hold"
    FOLLOW = "follow"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long what may last, ns."""

    hold: int
    damp: int
    state: int
    silence: int


class Drive(NamedTuple):
    """One command for all motors, ``(n,)`` each: rad, rad/s, N m, N m/rad, N m s/rad; ``enabled``: motors that are on."""

    q: Array
    tau: Array
    kp: Array
    kd: Array
    enabled: Bools


class Commander:
    """:param gains: ``(n, 3)``: kp, kd, kd while damped.  :param effort: ``(n,)`` what a motor may push, N m.

    :param slack: joints that are damped even while the others follow or hold.
    :ivar tripped: why goals are refused; "" while they are not.
    """

    def __init__(self, gains: Array, effort: Array, limits: Limits, slack: Bools | None = None) -> None:
        n = len(gains)
        self._kp, self._kd, self._soft = gains.T
        self._effort, self._limits = effort, limits
        self._stiff = np.ones(n, bool) if slack is None else ~slack
        self.stance = Stance.SILENT
        self.tripped = ""
        self._goal, self._push, self._led = np.zeros(n), np.zeros(n), np.zeros(n, bool)
        self._measured, self._felt = np.zeros(n), np.zeros(n)
        self._known = 0  # when the robot was last heard; 0: never
        self._renewed = self._host = 0  # when goals, and the host, were last heard
        self._ticked = self._brake_end = 0

    # --- what the host says ----------------------------------------------------------------------------------------

    def measured(self, now: int, q: Array, tau: Array) -> None:
        """What the motors measure, ``(n,)`` rad and N m; NaN for a joint nobody knows of: its last value stands."""
        known = np.isfinite(q)
        self._measured = np.where(known, q, self._measured)
        self._felt = np.where(known & np.isfinite(tau), tau, 0.0)
        self._known = now

    def alive(self, now: int) -> None:
        """The host is there, whatever it wants."""
        self._host = now

    def follow(self, now: int, which: NDArray[np.intp], goal: Array) -> None:
        """Go to ``goal`` (k,) rad with joints ``which``; the others stay where they were found.

        Callers look at :meth:`objection` first.
        """
        if self.stance is not Stance.FOLLOW:
            if self.stance is not Stance.HOLD:
                self._goal = self._measured.copy()
                self._push[:] = 0.0
            self.stance = Stance.FOLLOW
            self._led[:] = False
        self._goal[which] = goal
        self._led[which] = True
        self._renewed = self._host = now

    @property
    def where(self) -> Array:
        """Where the motors were last measured, ``(n,)`` rad."""
        return self._measured

    def lost(self, now: int) -> bool:
        """Whether the robot has not been heard for too long."""
        return now - self._known > self._limits.state

    def damped(self) -> Drive:
        """All motors damped."""
        n = len(self._goal)
        return Drive(self._measured, np.zeros(n), np.zeros(n), self._soft, np.ones(n, bool))

    def objection(self, now: int) -> str:
        """Why goals cannot be taken now; "" if they can."""
        if self.tripped:
            return f"{self.tripped}: hold first"
        if self.lost(now):
            return "the robot's state is not known"
        return ""

    def hold(self, now: int) -> None:
        """Brake, then stay.  Clears what has tripped; repeated, it does not follow a robot that sags."""
        self.tripped = ""
        self._host = now
        if self.lost(now):  # a hold of who knows what
            self._let_go(Stance.DAMP)
        else:
            self._brake(now)

    def _brake(self, now: int) -> None:
        if self.stance is Stance.HOLD:
            return
        if self.stance is not Stance.FOLLOW:
            self._push = np.zeros_like(self._goal)
        else:
            self._push = np.clip(self._felt, -self._effort, self._effort)
        self._goal, self._brake_end = self._measured.copy(), now + BRAKE_NS
        self.stance = Stance.HOLD

    def damp(self, now: int) -> None:
        """Only damping.  Clears what has tripped."""
        self.tripped, self._host = "", now
        self._let_go(Stance.DAMP)

    def off(self) -> None:
        """No torque at all."""
        self._let_go(Stance.OFF)

    def stop(self, why: str) -> None:
        """Damp, and take no goals until told to hold or damp."""
        self.tripped = why
        self._let_go(Stance.DAMP)

    def silence(self) -> None:
        """Say nothing any more."""
        self._let_go(Stance.SILENT)

    def _let_go(self, stance: Stance) -> None:
        self.stance = stance
        self._push = np.zeros_like(self._goal)

    # --- what the motors hear --------------------------------------------------------------------------------------

    def tick(self, now: int) -> tuple[Drive | None, str]:
        """What to send now, None for nothing; and what has tripped in this tick, "" for nothing."""
        before = self.tripped
        late, self._ticked = now - self._ticked if self._ticked else 0, now
        if self.stance in (Stance.FOLLOW, Stance.HOLD):
            self._watch(now, late)
        news = self.tripped if self.tripped != before else ""
        if self.stance is Stance.SILENT:
            return None, news
        return self._drive(now, min(late, FADE_NS)), news

    def _watch(self, now: int, late: int) -> None:
        limits = self._limits
        if self.lost(now):
            self.stop(f"nothing heard of the robot for {_ms(limits.state)} ms, damped")
        elif now - self._host > limits.damp:
            self.stop(f"nobody has asked for {_ms(limits.damp)} ms, damped")
        elif late > limits.silence:
            self.tripped = f"no command went out for {_ms(late)} ms, holding"
            self.stance = Stance.DAMP  # what the robot may have done meanwhile: so that the hold starts from there
            self._brake(now)
        elif self.stance is Stance.FOLLOW and now - self._renewed > limits.hold:
            self.tripped = f"no goals for {_ms(limits.hold)} ms, holding"
            self._brake(now)
        elif self.stance is Stance.HOLD and self.tripped and now - self._renewed > limits.damp:
            self.stop(f"no goals for {_ms(limits.damp)} ms, damped")

    def _drive(self, now: int, dt: int) -> Drive:
        n = len(self._goal)
        if self.stance is Stance.OFF:
            zero = np.zeros(n)
            return Drive(self._measured, zero, zero, zero, np.zeros(n, bool))
        if self.stance is Stance.DAMP:
            return self.damped()
        kd = self._kd
        if self.stance is Stance.FOLLOW:
            self._push = np.where(self._led, self._push * (1.0 - dt / FADE_NS), self._push)
        else:
            kd = BRAKING * kd
            if now <= self._brake_end:
                self._goal = self._measured.copy()
                share = min(1.0, dt / LEARN_NS)
                self._push += share * (np.clip(self._felt, -self._effort, self._effort) - self._push)
        stiff = self._stiff
        return Drive(
            self._goal.copy(), np.where(stiff, self._push, 0.0), np.where(stiff, self._kp, 0.0),
            np.where(stiff, kd, self._soft), np.ones(n, bool),
        )  # fmt: skip


def _ms(ns: int) -> int:
    return round(ns / 1e6)
