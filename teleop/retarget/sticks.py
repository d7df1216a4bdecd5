"""A gamepad's axes, or the keyboard's wish, to a walking base's command (vx, vy, yaw rate, height).

Sticks spring back, so their middle is rest: velocities follow them, the height changes while its axis is pushed and stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import Mode, TargetSpec
from telerig.hardware.errors import ConfigError
from telerig.teleop.retarget.pedals import MAX_STEP_S

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StickShape:
    """How sticks feel.

    :param dead_band: part of the travel about the middle that does nothing.
    :param curve: exponent; 1 is linear, 2 is gentle at first.
    :param floor: smallest speed as a part of the largest: legs have dead bands of their own.
    """

    dead_band: float = 0.12
    curve: float = 1.5
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.dead_band < 0.5:
            raise ConfigError(f"dead_band: {self.dead_band}; above 0 and below 0.5 is right")
        if not 0.2 <= self.curve <= 5.0:
            raise ConfigError(f"curve: {self.curve}; 0.2 to 5 is right")
        if not 0.0 <= self.floor < 1.0:
            raise ConfigError(f"floor: {self.floor}; 0 or more and below 1 is right")

    def shaped(self, axes: Vector) -> Vector:
        """Travel −1…1 after dead band and curve."""
        beyond = np.minimum(np.maximum(np.abs(axes) - self.dead_band, 0.0) / (1.0 - self.dead_band), 1.0)
        part = np.where(beyond > 0.0, self.floor + (1.0 - self.floor) * beyond**self.curve, 0.0)
        return np.asarray(np.copysign(part, axes))


class BaseSlew:
    """A base's command that changes no faster than the target's velocity limits, and stays within its range.

    :raises ConfigError: the target is no base.
    """

    def __init__(self, target: TargetSpec) -> None:
        if target.mode is not Mode.BASE_VELOCITY_HEIGHT or target.size != 4:
            raise ConfigError(f"{target.name}: takes {target.mode.name}; a base is right")
        self.low, self.high = np.array(target.low), np.array(target.high)
        self.rate, self.home = np.array(target.velocity), np.array(target.home)
        self.reset()

    def reset(self) -> None:
        """At rest, standing."""
        self.out = self.home.copy()
        self._last: int | None = None

    def seconds(self, now: int) -> float:
        """Since the last call; a long gap counts as little."""
        found = 0.0 if self._last is None else min(max(now - self._last, 0) / 1e9, MAX_STEP_S)
        self._last = now
        return found

    def toward(self, goal: Vector, seconds: float) -> Vector:
        """The command (4,), nearer to ``goal``."""
        step = self.rate * seconds
        near = np.minimum(np.maximum(goal, self.out - step), self.out + step)
        self.out = np.minimum(np.maximum(near, self.low), self.high)
        return self.out.copy()


class StickMap:
    """A gamepad's axes (4,) forward, left, turn, height, −1…1, to the base's command."""

    def __init__(self, target: TargetSpec, shape: StickShape) -> None:
        self._slew, self._shape = BaseSlew(target), shape
        self.reset()

    def reset(self) -> None:
        """At rest, standing."""
        self._slew.reset()
        self._height = float(self._slew.home[3])

    def __call__(self, now: int, axes: Vector) -> Vector:
        """The base's command (4,) at this instant; slewed by the target's velocity limits."""
        s = self._slew
        part, seconds = self._shape.shaped(axes), s.seconds(now)
        goal = np.where(part > 0.0, part * s.high, -part * s.low)
        self._height += float(part[3]) * float(s.rate[3]) * seconds
        self._height = min(max(self._height, float(s.low[3])), float(s.high[3]))
        goal[3] = self._height
        return s.toward(goal, seconds)


class WishMap:
    """The keyboard's wish (4,), m/s, m/s, rad/s, m, to the base's command: clipped to its range and slewed."""

    def __init__(self, target: TargetSpec) -> None:
        self._slew = BaseSlew(target)
        self.reset = self._slew.reset

    def __call__(self, now: int, wish: Vector) -> Vector:
        """The base's command (4,) at this instant."""
        return self._slew.toward(wish, self._slew.seconds(now))
