"""What every way to steer a walking base shares: how an axis feels, and how fast the command may change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import Mode, TargetSpec
from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import Observation

Vector = NDArray[np.float64]
MAX_STEP_S = 0.1  # a slew over a longer gap would be a jump


@dataclass(frozen=True, slots=True)
class Shape:
    """How an axis feels.

    :param dead_band: part of the travel from rest that does nothing.
    :param curve: exponent; 1 is linear, 2 is gentle at first.
    :param floor: smallest speed as a part of the largest: legs have dead bands of their own.
    """

    dead_band: float
    curve: float = 1.5
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.dead_band < 0.5:
            raise ConfigError(f"dead_band: {self.dead_band}; above 0 and below 0.5 is right")
        if not 0.2 <= self.curve <= 5.0:
            raise ConfigError(f"curve: {self.curve}; 0.2 to 5 is right")
        if not 0.0 <= self.floor < 1.0:
            raise ConfigError(f"floor: {self.floor}; 0 or more and below 1 is right")

    def travel(self, axes: Vector) -> Vector:
        """−1…1 beyond the dead band."""
        beyond = np.maximum(np.abs(axes) - self.dead_band, 0.0) / (1.0 - self.dead_band)
        return np.asarray(np.copysign(np.minimum(beyond, 1.0), axes))  # np.clip costs five times as much

    def part(self, travel: Vector) -> Vector:
        """Of the largest speed, −1…1, for a travel beyond the dead band."""
        size = np.abs(travel)
        return np.asarray(
            np.copysign(np.where(size > 0.0, self.floor + (1.0 - self.floor) * size**self.curve, 0.0), travel)
        )


class BaseSlew:
    """A base's command that changes no faster than the target's velocity limits, and stays within its range.

    :ivar out: the command (4,) last given.
    :raises ConfigError: the target is no base.
    """

    def __init__(self, target: TargetSpec) -> None:
        if target.mode is not Mode.BASE_VELOCITY_HEIGHT or target.size != 4:
            raise ConfigError(f"{target.name}: takes {target.mode.name}; a base is right")
        self.low, self.high = np.array(target.low), np.array(target.high)
        self.rate, self.home = np.array(target.velocity), np.array(target.home)
        self.out = self.home.copy()
        self._last: int | None = None

    def reset(self) -> None:
        """At rest.  The height stays: a robot that squats must not rise because it is engaged again."""
        self.stand_at(float(self.out[3]))
        self._last = None

    def stand_at(self, height: float) -> None:
        """At rest, at this height, m."""
        self.out = self.home.copy()
        self.out[3] = min(max(height, float(self.low[3])), float(self.high[3]))

    def seconds(self, now: int) -> float:
        """Since the last call; a long gap counts as little."""
        found = 0.0 if self._last is None else min(max(now - self._last, 0) / 1e9, MAX_STEP_S)
        self._last = now
        return found

    def speeds(self, part: Vector) -> Vector:
        """−1…1 of the largest to each side, (4,), in the target's units; the height is the caller's."""
        return np.asarray(np.where(part > 0.0, part * self.high, -part * self.low))

    def toward(self, goal: Vector, seconds: float) -> Vector:
        """The command (4,), nearer to ``goal``."""
        step = self.rate * seconds
        near = np.minimum(np.maximum(goal, self.out - step), self.out + step)
        self.out = np.minimum(np.maximum(near, self.low), self.high)
        return self.out.copy()


def height_now(observation: Observation, target: str) -> float | None:
    """The height that a base was last asked for, m, whoever asked; None where nobody has.

    A robot on its own feet is asked by its worker: legs that were limp stand up at home, whatever the guard sent before.
    """
    for stream, field in ((f"{target.partition('/')[0]}/balance", "wish"), (f"{target}/sent", "data")):
        reader = observation.get(stream)
        sample = None if reader is None else reader.latest()
        if sample is not None:
            return float(sample.array(field)[3])
    return None
