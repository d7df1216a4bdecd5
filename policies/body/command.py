"""From an operator's wish to what a policy is given: range, slew, dead-band compensation, rest; and the gait's clock."""

from __future__ import annotations

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
        self._index = np.array([COMMANDS.index(name) for name in self.names], np.intp)
        self._velocity = np.array([name in VELOCITIES for name in self.names], bool)
        self._low = np.array([i.range[0] for i in items])
        self._high = np.array([i.range[1] for i in items])
        self._home = np.array([i.home for i in items])
        self._step = np.array([np.inf if i.slew is None else i.slew / rate_hz for i in items])
        fastest = np.where(self._velocity, np.maximum(np.abs(self._low), np.abs(self._high)), 0.0)
        self._brake = fastest / (STOP_S * rate_hz)
        self._inverse = [(k, _Inverse(i)) for k, i in enumerate(items) if i.response]
        self._low_heights = table.low_heights
        self._height = self.names.index("height") if table.low_heights is not None else 0  # checks.py: it is there
        self._rest_below = table.rest_below
        stops = [table.rest_below if i.stop_below is None else i.stop_below for i in items]
        self._stop_below = np.array(stops)[self._velocity]
        self.reset()

    def reset(self) -> None:
        """At rest, at home."""
        self._now, self._walking = self._home.copy(), False

    def step(self, command: Array, periods: int = 1, urgent: bool = False) -> Given:
        """One step, ``periods`` control periods after the last.

        :param command: ``(4,)``, in the order of :data:`COMMANDS`.
        :param urgent: velocities may change as fast as it takes to be at rest within :data:`STOP_S`.
        :raises CommandRefused: a number in it is not finite.
        """
        if command.shape != (len(COMMANDS),) or not np.isfinite(command).all():
            raise CommandRefused(f"body command {command.tolist()} is not {len(COMMANDS)} finite numbers")
        wish = np.clip(command[self._index], self._low, self._high)
        reach = (np.maximum(self._step, self._brake) if urgent else self._step) * periods
        self._now = self._now + np.clip(wish - self._now, -reach, reach)  # a new array: the old one was given away
        asked = (np.abs(wish[self._velocity]) > self._rest_below).any()
        rolling = self._walking and (np.abs(self._now[self._velocity]) > self._stop_below).any()
        self._walking = bool(asked or rolling)
        sent = self._now.copy()
        low = self._low_share()
        for k, inverse in self._inverse:
            sent[k] = inverse.give(float(self._now[k]), self._rest_below, low)
        return Given(self._now, np.clip(sent, self._low, self._high), self._walking)

    def _low_share(self) -> float:
        """0 down to the first of ``low_heights``, 1 at the second and below."""
        if self._low_heights is None:
            return 0.0
        upright, low = self._low_heights
        return float(np.clip((upright - self._now[self._height]) / (upright - low), 0.0, 1.0))


class _Inverse:
    """What achieves a wish, by a command's measured response."""

    def __init__(self, item: CommandItem) -> None:
        back = item.response_back or item.response
        low = item.response_low
        curves = (item.response, back), (low or item.response, item.response_low_back or low or back)
        # by whether it is low, then by whether the wish is negative; (n, 2): given, achieved, both rising
        self._pairs = [[np.array(pairs, np.float64) for pairs in both] for both in curves]

    def give(self, wish: float, rest_below: float, low: float) -> float:
        """At rest nothing; ``low``: the share of what was measured low."""
        if abs(wish) <= rest_below:
            return 0.0
        upright, squatting = (_given(both[wish < 0], abs(wish)) for both in self._pairs)
        return float(np.copysign((1 - low) * upright + low * squatting, wish))


def _given(pairs: Array, size: float) -> float:
    """What achieves a size; beyond the last pair, as much more as the wish is."""
    given, achieved = pairs.T
    return float(np.interp(size, achieved, given)) + max(0.0, size - float(achieved[-1]))


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
