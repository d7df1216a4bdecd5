"""A gamepad's axes, or the keyboard's wish, to a walking base's command (vx, vy, yaw rate, height).

Sticks spring back, so their middle is rest: velocities follow them, the height changes while its axis is pushed and stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from telerig.hardware.commands import TargetSpec
from telerig.teleop.retarget.base import BaseSlew, Shape, Vector


@dataclass(frozen=True, slots=True)
class StickShape(Shape):
    """How sticks feel; their dead band lies about the middle."""

    dead_band: float = 0.12


class StickMap:
    """A gamepad's axes (4,) forward, left, turn, height, −1…1, to the base's command."""

    def __init__(self, target: TargetSpec, shape: StickShape) -> None:
        self._slew, self._shape = BaseSlew(target), shape
        self.reset, self.stand_at = self._slew.reset, self._slew.stand_at

    def __call__(self, now: int, axes: Vector) -> Vector:
        """The base's command (4,) at this instant; slewed by the target's velocity limits."""
        s = self._slew
        part, seconds = self._shape.part(self._shape.travel(axes)), s.seconds(now)
        goal = s.speeds(part)
        goal[3] = s.out[3] + part[3] * s.rate[3] * seconds
        return s.toward(goal, seconds)


class WishMap:
    """The keyboard's wish (4,), m/s, m/s, rad/s, m, to the base's command: clipped to its range and slewed."""

    def __init__(self, target: TargetSpec) -> None:
        self._slew = BaseSlew(target)
        self.reset = self._slew.reset

    def __call__(self, now: int, wish: Vector) -> Vector:
        """The base's command (4,) at this instant."""
        return self._slew.toward(wish, self._slew.seconds(now))
