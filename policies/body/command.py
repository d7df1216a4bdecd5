"""From an operator's wish to what a policy is given: range, slew, dead-band compensation, rest; and the gait's clock."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import CommandRefused
from telerig.policies.body.manifest import COMMANDS, VELOCITIES, Clock, CommandItem, CommandTable, Manifest

Array = NDArray[np.float64]
STOP_S = 0.16  # from any velocity to rest where a stop is urgent: nobody steers any more


@dataclass(frozen=True, slots=True)
class Given:
    """A command as it goes to the policy.  Arrays have the policy's own commands only, in ``CommandTable.names``.

    :param wish: after range and slew ``(k,)``; ``sent``: after dead-band compensation too ``(k,)``.
    """

    wish: Array
    sent: Array
    walking: bool


class CommandShaper:
    """Follows the wish within the manifest's ranges and slews.

    :param table: the manifest's commands; those it lacks are ignored.
    """

    def __init__(self, table: CommandTable, rate_hz: float) -> None:
        self.names = table.names
        items = [table.item(name) for name in self.names]
        stops = [table.rest_below if i.stop_below is None else i.stop_below for i in items]
        self._axes = [
            _Axis(COMMANDS.index(name), name in VELOCITIES, item, stop, rate_hz)
            for name, item, stop in zip(self.names, items, stops, strict=True)
        ]
        self._inverse = [_Inverse(item) if item.response else None for item in items]
        self._low_heights = table.low_heights
        self._height = self.names.index("height") if table.low_heights is not None else 0  # checks.py: it is there
        self._rest_below = table.rest_below
        self.reset()

    def reset(self) -> None:
        """At rest, at home."""
        self._now, self._walking = [axis.home for axis in self._axes], False

    def step(self, command: Array, periods: int = 1, urgent: bool = False) -> Given:
        """One step, ``periods`` control periods after the last.

        :param command: ``(4,)``, in the order of :data:`COMMANDS`.
        :param urgent: velocities may change as fast as it takes to be at rest within :data:`STOP_S`.
        :raises CommandRefused: a number in it is not finite.
        """
        if command.shape != (len(COMMANDS),) or not all(map(math.isfinite, told := command.tolist())):
            raise CommandRefused(f"body command {command.tolist()} is not {len(COMMANDS)} finite numbers")
        asked = rolling = False
        for k, axis in enumerate(self._axes):
            wish = min(max(told[axis.index], axis.low), axis.high)
            now = self._now[k] = axis.towards(self._now[k], wish, periods, urgent)
            if axis.velocity:
                asked |= abs(wish) > self._rest_below
                rolling |= abs(now) > axis.stop_below
        self._walking = asked or (self._walking and rolling)
        low = self._low_share()
        sent = []
        for now, axis, inverse in zip(self._now, self._axes, self._inverse, strict=True):
            given = now if inverse is None else inverse.give(now, self._rest_below, low)
            sent.append(min(max(given, axis.low), axis.high))
        return Given(np.array(self._now), np.array(sent), self._walking)

    def _low_share(self) -> float:
        """0 down to the first of ``low_heights``, 1 at the second and below."""
        if self._low_heights is None:
            return 0.0
        upright, low = self._low_heights
        return min(max((upright - self._now[self._height]) / (upright - low), 0.0), 1.0)


class _Axis:
    """One command.  Plain numbers: four of them are not worth an array's overhead, fifty times a second.

    :ivar index: its place in :data:`COMMANDS`.  :ivar stop_below: a walk that is to end goes on until it is this slow.
    """

    def __init__(self, index: int, velocity: bool, item: CommandItem, stop_below: float, rate_hz: float) -> None:
        self.index, self.velocity, self.stop_below = index, velocity, stop_below
        self.low, self.high = item.range
        self.home = item.home
        self._step = math.inf if item.slew is None else item.slew / rate_hz
        fastest = max(abs(self.low), abs(self.high)) if velocity else 0.0
        self._brake = max(self._step, fastest / (STOP_S * rate_hz))

    def towards(self, now: float, wish: float, periods: int, urgent: bool) -> float:
        """Where it is ``periods`` control periods later."""
        reach = (self._brake if urgent else self._step) * periods
        return now + min(max(wish - now, -reach), reach)


class _Inverse:
    """What achieves a wish, by a command's measured response."""

    def __init__(self, item: CommandItem) -> None:
        back = item.response_back or item.response
        low = item.response_low
        curves = (item.response, back), (low or item.response, item.response_low_back or low or back)
        # by whether it is low, then by whether the wish is negative; what achieves sizes, and those sizes, both rising
        self._curves = [[_columns(pairs) for pairs in both] for both in curves]

    def give(self, wish: float, rest_below: float, low: float) -> float:
        """At rest nothing; ``low``: the share of what was measured low."""
        if abs(wish) <= rest_below:
            return 0.0
        upright, squatting = (_given(both[wish < 0], abs(wish)) for both in self._curves)
        return math.copysign((1 - low) * upright + low * squatting, wish)


Curve = tuple[tuple[float, ...], tuple[float, ...]]


def _columns(pairs: Sequence[tuple[float, float]]) -> Curve:
    given, achieved = zip(*pairs, strict=True)
    return given, achieved


def _given(curve: Curve, size: float) -> float:
    """What achieves a size, linear between two pairs; beyond the last, as much more as the wish is."""
    given, achieved = curve
    if size >= achieved[-1]:
        return given[-1] + (size - achieved[-1])
    k = bisect_right(achieved, size)
    if k == 0:
        return given[0]
    slope = (given[k] - given[k - 1]) / (achieved[k] - achieved[k - 1])
    return slope * (size - achieved[k - 1]) + given[k - 1]


class GaitClock:
    """The phases of a manifest's clock; without one it has none.  It counts control periods and reads no time.

    :ivar phase: ``(p,)`` rad within ±pi.
    :ivar shown: whether sine and cosine are shown (else they are 0).
    """

    def __init__(self, manifest: Manifest) -> None:
        self._clock: Clock | None = manifest.clock
        self._offsets = np.array(manifest.clock.offsets if manifest.clock else (), np.float64)
        self._delta = 2 * np.pi / (manifest.clock.period_s * manifest.rate_hz) if manifest.clock else 0.0
        self.reset()

    def reset(self) -> None:
        """At the offsets."""
        self.phase, self.shown = self._offsets.copy(), False
        self._running = False

    def step(self, walking: bool, periods: int = 1) -> Array:
        """The phases at this step, ``periods`` control periods after the last."""
        clock = self._clock
        if clock is None:
            return self.phase
        runs = walking or clock.at_rest == "run"
        if runs and self._running:
            self.phase = _wrapped(self.phase + self._delta * periods)
        elif runs and (clock.restart or clock.at_rest == "fixed"):
            self.phase = self._offsets.copy()
        elif not runs and clock.at_rest == "fixed":
            self.phase = np.full(len(self._offsets), clock.rest_phase)
        self._running, self.shown = runs, runs or clock.at_rest == "fixed"
        return self.phase


def _wrapped(angle: Array) -> Array:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)
