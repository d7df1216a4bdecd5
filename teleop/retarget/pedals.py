"""Three pedals to a walking base's command (vx, vy, yaw rate, height), as in HOMIE's cockpit.

Speed and yaw pedals give a magnitude; their direction is reversed by a *tap*: pressed and released within 0.25 s while
that axis is at rest.  A tap moves nothing, so walking starts 0.25 s after a pedal leaves its rest.  The height pedal
sinks from the standing height to the lowest.  vy has no pedal and stays 0.  Dead band, curve and slew are per axis;
outputs stay within the target's limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from telerig.hardware.calibration import PedalCalibration
from telerig.hardware.commands import TargetSpec
from telerig.hardware.errors import ConfigError
from telerig.teleop.retarget.base import BaseSlew, Shape, Vector

SPEED, YAW, HEIGHT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PedalShape(Shape):
    """How pedals feel.

    :param tap_s: longest press that is a tap; 0 switches taps, and with them reversing, off.
    """

    dead_band: float = 0.08
    tap_s: float = 0.25

    def __post_init__(self) -> None:
        Shape.__post_init__(self)
        if not 0.0 <= self.tap_s <= 1.0:
            raise ConfigError(f"tap_s: {self.tap_s}; 0 to 1 s is right")


class _Axis:
    """A pedal whose tap reverses its direction."""

    def __init__(self, tap_ns: int) -> None:
        self.direction = 1.0
        self._tap_ns = tap_ns
        self._since: int | None = None
        self._tappable = False

    def __call__(self, now: int, travel: float, at_rest: bool) -> float:
        """Travel 0…1 after the dead band, with its direction: −1…1."""
        if travel <= 0.0:
            if self._since is not None and self._tappable and now - self._since < self._tap_ns:
                self.direction = -self.direction
            self._since = None
            return 0.0
        if self._since is None:
            self._since, self._tappable = now, at_rest
        waiting = self._tappable and now - self._since < self._tap_ns
        return 0.0 if waiting else self.direction * travel


class PedalMap:
    """Pedal positions (3,) to the base's (4,).

    :raises ConfigError: the target is no base, or there are not three pedals.
    """

    def __init__(self, calibration: PedalCalibration, target: TargetSpec, shape: PedalShape) -> None:
        self._slew, self._shape = BaseSlew(target), shape
        if len(calibration.names) != 3:
            raise ConfigError(f"pedals: {len(calibration.names)} of them; speed, yaw and height are right")
        self._rest = np.array(calibration.rest)
        self._range = np.array(calibration.pressed) - self._rest
        self.reset()

    def reset(self) -> None:
        """At rest, forward; the height goes on from where it was."""
        tap = round(self._shape.tap_s * 1e9)
        self._axes = (_Axis(tap), _Axis(tap))
        self._slew.reset()

    @property
    def directions(self) -> tuple[float, float]:
        """+1 or −1 of speed and yaw, for the operator's screen."""
        return self._axes[0].direction, self._axes[1].direction

    def __call__(self, now: int, position: Vector) -> Vector:
        """The base's command (4,) for positions (3,) at this instant; slewed by the target's velocity limits."""
        s = self._slew
        travel = self._shape.travel(np.maximum((position - self._rest) / self._range, 0.0))
        directed = np.zeros(4)
        for axis, pedal, element in ((self._axes[0], SPEED, 0), (self._axes[1], YAW, 2)):
            directed[element] = axis(now, float(travel[pedal]), s.out[element] == 0.0)
        goal = s.speeds(self._shape.part(directed))
        goal[1], goal[3] = s.home[1], s.home[3] - travel[HEIGHT] * (s.home[3] - s.low[3])
        return s.toward(goal, s.seconds(now))
