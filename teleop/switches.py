"""The pedal box's three switches, debounced: *enable* (a dead man's pedal), *episode* (short and long), *stop* (NC).

The safe direction counts at once: enable released, stop open.  The other one counts after 8 ms without a bounce.  A
switch that is already closed when the box is first heard, or heard again after a gap, has to be released before it
counts. Pure: the caller gives samples with their instants.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DEBOUNCE_NS = 8_000_000  # under 10 ms, so that at 100 Hz the second of two samples decides
LONG_NS = 800_000_000
GAP_NS = 100_000_000


class Press(enum.Enum):
    """How the episode switch was pressed."""

    SHORT = "short"  # start, or keep
    LONG = "long"  # discard; known after 0.8 s, while it is still held


class _Contact:
    """One contact that must be closed without a bounce to count as closed, and opens at once."""

    def __init__(self) -> None:
        self.closed = False
        self._since: int | None = None
        self._armed = False  # it has been seen open

    def update(self, t: int, raw: bool) -> None:
        if not raw:
            self.closed, self._since, self._armed = False, None, True
            return
        if self._since is None:
            self._since = t
        self.closed = self._armed and t - self._since >= DEBOUNCE_NS

    def disarm(self) -> None:
        self.closed, self._since, self._armed = False, None, False


class Switches:
    """State of the three switches after the newest sample.

    ``enable``: held.  ``stop``: open, to be treated as an e-stop; before the first sample nothing is known, and both
    are False (the session has to see the box's stream before anything moves, because it is required).
    """

    def __init__(self) -> None:
        self.enable = False
        self.stop = False
        self._enable, self._episode = _Contact(), _Contact()
        self._closed_since: int | None = None  # stop
        self._pressed: int | None = None  # episode: instant of the press, None once a long press was told
        self._last: int | None = None

    def forget(self) -> None:
        """The box was not heard for a while: *enable* and *episode* count again once they have been seen released."""
        self._enable.disarm()
        self._episode.disarm()
        self.enable, self._pressed = False, None

    def update(self, t: int, switches: Sequence[int] | NDArray[np.uint8]) -> Press | None:
        """Take one sample; what the episode switch has just meant, if anything.

        :param t: the sample's instant, ns.
        :param switches: (3,) enable, episode, stop; 1 = closed.
        """
        first = self._last is None
        if self._last is not None and t - self._last > GAP_NS:
            self.forget()
        self._last = t
        enable, episode, stop = (bool(s) for s in switches)
        self._enable.update(t, enable)
        self.enable = self._enable.closed
        self._update_stop(t, stop, first)
        return self._update_episode(t, episode)

    def _update_stop(self, t: int, closed: bool, first: bool) -> None:
        if not closed:
            self.stop, self._closed_since = True, None
            return
        if self._closed_since is None:
            self._closed_since = t
        if first or t - self._closed_since >= DEBOUNCE_NS:
            self.stop = False

    def _update_episode(self, t: int, raw: bool) -> Press | None:
        was = self._episode.closed
        self._episode.update(t, raw)
        if self._episode.closed and not was:
            self._pressed = t - DEBOUNCE_NS
        if self._pressed is None:
            return None
        if self._episode.closed:
            if t - self._pressed < LONG_NS:
                return None
            self._pressed = None
            return Press.LONG
        short = t - self._pressed < LONG_NS
        self._pressed = None
        return Press.SHORT if short else Press.LONG
