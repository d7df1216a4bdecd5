"""The feet of a virtual operator on three pedals: they know what a pedal feels like, and steer by what is seen.

A pedal gives a size; its direction is reversed by a tap at rest (``teleop/retarget/pedals.py``).  So a foot that wants to
go the other way lets go, waits until the robot has come to rest, taps, and presses.  A short press *is* a tap: what is
pressed for good stays pressed for longer than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError

Vector = NDArray[np.float64]
DEAD_BAND, CURVE = 0.08, 1.5  # what the pedals feel like: the cockpit's own figures, if its rig says nothing else
TAP_S, PRESS_S, REST_S = 0.12, 0.32, 0.10  # a tap; the shortest press that is none; let go before and after a tap
PATIENCE = (0.25, 0.5)  # m, rad


def travel(share: float) -> float:
    """How far to press for this share of the largest speed, 0 … 1."""
    return 0.0 if share <= 0.0 else DEAD_BAND + (1.0 - DEAD_BAND) * float(min(1.0, share)) ** (1.0 / CURVE)


class Pedal:
    """A pedal with a direction.

    :param low, high: the base's limits that full travel stands for, backward and forward.
    :param slew: how fast what it commands may change, 1/s.
    :param patience: m or rad meant to be gone, before going the other way counts as a mistake.
    :ivar direction: what the foot believes, +1 or −1.
    """

    def __init__(self, low: float, high: float, slew: float, patience: float) -> None:
        self._limits, self._slew, self._patience = {1.0: high, -1.0: -low}, slew, patience
        self.reset()

    def reset(self) -> None:
        """The cockpit has begun anew: forward, at rest."""
        self.direction = 1.0
        self.command = 0.0  # what it has come to, as the foot believes
        self._pressed = self._tapping = 0.0  # s since it was pressed
        self._rest = self._meant = self._went = 0.0

    def step(self, dt: float, wish: float) -> float:
        """Position 0 … 1 for this wish (the base's unit, with its sign)."""
        goes = np.sign(wish)
        if self._tapping > 0.0:
            return self._tap(dt)
        if 0.0 < self._pressed < PRESS_S and goes != self.direction:
            wish, goes = self.direction * 0.01, self.direction  # too short yet: it would be a tap
        if goes != self.direction or (self._pressed == 0.0 and self._rest < REST_S):
            self._let_go(dt)
            if goes == -self.direction and self._rest >= REST_S:
                self._tapping = TAP_S
            return 0.0
        self._pressed += dt
        self._rest = 0.0
        if self._pressed > PRESS_S:
            self._slide(dt, wish)
        return travel(abs(wish) / self._limits[self.direction])

    def _tap(self, dt: float) -> float:
        self._tapping -= dt
        if self._tapping <= 0.0:
            self.direction, self._rest = -self.direction, 0.0
        return 0.5

    def _let_go(self, dt: float) -> None:
        self._pressed = 0.0
        self._slide(dt, 0.0)
        self._rest = self._rest + dt if self.command == 0.0 else 0.0

    def _slide(self, dt: float, goal: float) -> None:
        self.command += float(np.clip(goal - self.command, -self._slew * dt, self._slew * dt))

    def see(self, dt: float, moved: float) -> None:
        """How far the robot went: the wrong way for long means that the direction is not what was believed."""
        if self.command == 0.0:
            self._meant = self._went = 0.0
            return
        self._meant += self.command * dt
        self._went += moved
        if (
            abs(self._meant) > self._patience
            and self._went * self._meant < 0.0
            and abs(self._went) > 0.4 * abs(self._meant)
        ):
            self.command *= -self._limits[-self.direction] / self._limits[self.direction]  # what that travel really is
            self.direction = -self.direction
            self._meant = self._went = 0.0


class Feet:
    """Speed, yaw and height.  :raises ConfigError: an embodiment without a base."""

    def __init__(self, robot: Embodiment) -> None:
        base = robot.base
        if base is None:
            raise ConfigError(f"{robot.name} does not walk: it has no [base]")
        low, high, slew = (dict(zip(base["names"], base[k], strict=True)) for k in ("low", "high", "velocity"))
        self.speed = Pedal(low["vx"], high["vx"], slew["vx"], PATIENCE[0])
        self.yaw = Pedal(low["yaw_rate"], high["yaw_rate"], slew["yaw_rate"], PATIENCE[1])
        self.standing = float(dict(zip(base["names"], base["home"], strict=True))["height"])
        self._lowest = float(low["height"])

    def reset(self) -> None:
        """The cockpit has begun anew."""
        self.speed.reset()
        self.yaw.reset()

    def see(self, dt: float, forward: float, turned: float) -> None:
        """What the robot did since the last look: m ahead, rad to the left."""
        self.speed.see(dt, forward)
        self.yaw.see(dt, turned)

    def step(self, dt: float, wish: Sequence[float]) -> list[float]:
        """Pedals (3,) for forward speed m/s, yaw rate rad/s and pelvis height m."""
        speed, yaw, height = wish
        sunk = (self.standing - height) / (self.standing - self._lowest)
        down = 0.0 if sunk <= 0.0 else DEAD_BAND + (1.0 - DEAD_BAND) * min(1.0, sunk)
        return [self.speed.step(dt, speed), self.yaw.step(dt, yaw), down]


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the robot is on its way along a straight line to a place.

    :param along: m still to go, negative: beyond;  ``across``: m left of the line;  ``turned``: rad left of its direction.
    """

    along: float
    across: float
    turned: float


def on_line(pelvis: Vector, heading: float, place: Vector, direction: float, distance: float) -> Seen:
    """The way to ``distance`` m before a place, which is approached in ``direction`` (rad, world frame)."""
    c, s = np.cos(direction), np.sin(direction)
    x, y = place[0] - pelvis[0], place[1] - pelvis[1]
    turned = (heading - direction + np.pi) % (2.0 * np.pi) - np.pi
    return Seen(float(c * x + s * y) - distance, float(s * x - c * y), float(turned))


@dataclass
class Steering:
    """How to follow a line and stop on it, for a robot that walks forward and backward and turns, but never sideways.

    :param look: m ahead on the line that it heads for, at most ``slant`` rad away from the line's direction, and at most
        ``fade`` rad a metre that is left: at the end it walks straight.
    :param facing: rad: larger errors are turned away on the spot;  ``aim``: those smaller are left alone on the way,
        ``align``: at its end.
    :param back: m/s, the least it asks for backward: with less a robot steps on the spot.
    :param near: m from the end at which it stops;  ``loose``: times that, and it starts again.
    """

    look: float = 0.40
    slant: float = 0.6
    fade: float = 1.5
    facing: float = 0.35
    aim: float = 0.10
    align: float = 0.16
    near: float = 0.035
    loose: float = 1.6
    speeds: tuple[float, float] = (0.15, 0.35)
    back: float = 0.25
    rates: tuple[float, float] = (0.25, 0.55)
    turns: bool = False  # on the spot
    bends: bool = False  # while it walks
    rests: bool = False

    def begin(self, align: float) -> None:
        """A new way."""
        self.align = align
        self.turns = self.bends = self.rests = False

    def wish(self, seen: Seen) -> tuple[float, float]:
        """Forward speed m/s and yaw rate rad/s; (0, 0): there."""
        there = abs(seen.along) <= self.near * (self.loose if self.rests else 1.0)
        self.rests = there
        most = 0.0 if there else min(self.slant, self.fade * abs(seen.along))
        slant = float(np.clip(np.arctan2(seen.across, self.look), -most, most))
        off = (np.pi - slant - seen.turned) % (2.0 * np.pi) - np.pi
        if abs(off) > (self.align if there else self.facing):
            self.turns = True
        self.bends = self.turns or (not there and (abs(off) > self.aim or self.bends))
        if abs(off) < 0.4 * self.aim:
            self.turns = self.bends = False
        rate = float(np.copysign(np.clip(1.1 * abs(off), *self.rates), off)) if self.bends else 0.0
        if self.turns or there:
            return 0.0, rate if self.turns else 0.0
        least = self.speeds[0] if seen.along > 0.0 else self.back
        return float(np.copysign(np.clip(0.8 * abs(seen.along), least, self.speeds[1]), seen.along)), rate
