"""Three pedals to a walking base's command (vx, vy, yaw rate, height), as in HOMIE's cockpit.

Speed and yaw pedals give a magnitude; their direction is reversed by a *tap*: pressed and released within 0.25 s while
that axis is at rest.  A tap moves nothing, so walking starts 0.25 s after a pedal leaves its rest.  The height pedal
sinks from the standing height to the lowest.  vy has no pedal and stays 0.  Dead band, curve and slew are per axis;
outputs stay within the target's limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.calibration import PedalCalibration
from telerig.hardware.commands import Mode, TargetSpec
from telerig.hardware.errors import ConfigError

Vector = NDArray[np.float64]
SPEED, YAW, HEIGHT = 0, 1, 2
MAX_STEP_S = 0.1  # a slew over a longer gap would be a jump


@dataclass(frozen=True, slots=True)
class PedalShape:
    """How pedals feel.

    :param dead_band: part of the travel that does nothing.
    :param curve: exponent; 1 is linear, 2 is gentle at first.
    :param floor: smallest speed and yaw rate as a part of the largest: legs have dead bands of their own.
    :param tap_s: longest press that is a tap; 0 switches taps, and with them reversing, off.
    """

    dead_band: float = 0.08
    curve: float = 1.5
    floor: float = 0.0
    tap_s: float = 0.25

    def __post_init__(self) -> None:
        if not 0.0 < self.dead_band < 0.5:
            raise ConfigError(f"dead_band: {self.dead_band}; above 0 and below 0.5 is right")
        if not 0.2 <= self.curve <= 5.0:
            raise ConfigError(f"curve: {self.curve}; 0.2 to 5 is right")
        if not 0.0 <= self.floor < 1.0:
            raise ConfigError(f"floor: {self.floor}; 0 or more and below 1 is right")
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

    :raises ConfigError: the target is no base, or cannot stand still.
    """

    def __init__(self, calibration: PedalCalibration, target: TargetSpec, shape: PedalShape) -> None:
        if target.mode is not Mode.BASE_VELOCITY_HEIGHT or target.size != 4:
            raise ConfigError(f"{target.name}: takes {target.mode.name}; pedals command a base")
        if len(calibration.names) != 3:
            raise ConfigError(f"pedals: {len(calibration.names)} of them; speed, yaw and height are right")
        self._shape = shape
        self._rest = np.array(calibration.rest)
        self._range = np.array(calibration.pressed) - self._rest
        self._low, self._high = np.array(target.low), np.array(target.high)
        self._slew, self._home = np.array(target.velocity), np.array(target.home)
        self.reset()

    def reset(self) -> None:
        """At rest, standing, forward."""
        tap = round(self._shape.tap_s * 1e9)
        self._axes = (_Axis(tap), _Axis(tap))
        self._out = self._home.copy()
        self._last: int | None = None

    @property
    def directions(self) -> tuple[float, float]:
        """+1 or −1 of speed and yaw, for the operator's screen."""
        return self._axes[0].direction, self._axes[1].direction

    def __call__(self, now: int, position: Vector) -> Vector:
        """The base's command (4,) for positions (3,) at this instant; slewed by the target's velocity limits."""
        raw = np.minimum(
            np.maximum((position - self._rest) / self._range, 0.0), 1.0
        )  # np.clip costs five times as much
        travel = np.maximum(0.0, (raw - self._shape.dead_band) / (1.0 - self._shape.dead_band))
        goal = self._home.copy()
        for axis, pedal, element in ((self._axes[0], SPEED, 0), (self._axes[1], YAW, 2)):
            goal[element] = self._shaped(axis(now, float(travel[pedal]), self._out[element] == 0.0), element)
        goal[3] = self._home[3] - float(travel[HEIGHT]) * (self._home[3] - self._low[3])
        seconds = 0.0 if self._last is None else min((now - self._last) / 1e9, MAX_STEP_S)
        self._last = now
        step = self._slew * seconds
        near = np.minimum(np.maximum(goal, self._out - step), self._out + step)
        self._out = np.minimum(np.maximum(near, self._low), self._high)
        return self._out.copy()

    def _shaped(self, x: float, element: int) -> float:
        if x == 0.0:
            return 0.0
        part: float = self._shape.floor + (1.0 - self._shape.floor) * abs(x) ** self._shape.curve
        return part * float(self._high[element] if x > 0.0 else self._low[element])
