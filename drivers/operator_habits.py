"""What every virtual operator does alike: sees late and blurred, presses *enable*, takes its time."""

from __future__ import annotations

from collections import deque

from telerig.hardware.samples import Sample

DELAY_NS = 150_000_000  # what it sees is so old
BLUR_M = 0.003
PRESS_NS = 120_000_000
THINK_NS = 20_000_000
RELEASE_NS = 300_000_000
IDLE_STATES, MATCHING, ENGAGED = (0, 4, 5), 2, 3  # of session/state, see docs/safety.md


class Late:
    """Shows the samples of a stream 150 ms after the instant they are of."""

    def __init__(self) -> None:
        self._seen: deque[Sample] = deque(maxlen=64)

    def __call__(self, newest: Sample | None, now: int) -> Sample | None:
        """Take in what is new; what was there 150 ms ago, once, or None."""
        if newest is not None and (not self._seen or newest.seq != self._seen[-1].seq):
            self._seen.append(newest)
        shown = None
        while self._seen and self._seen[0].t_sample <= now - DELAY_NS:
            shown = self._seen.popleft()
        return shown


class Looks:
    """What an operator sees of the scene, late; each new scene is looked at from the beginning.

    :ivar episode: of the scene that it sees.
    """

    def __init__(self) -> None:
        self._late, self._number = Late(), 0
        self.episode = 0

    def __call__(self, newest: Sample | None, now: int) -> tuple[Sample, int] | None:
        """As :class:`Late`, and the number of this look at this scene, from 1: the mean of many is steadier than one."""
        shown = self._late(newest, now)
        if shown is None:
            return None
        episode = int(shown.array("episode"))
        if episode != self.episode:
            self.episode, self._number = episode, 0
        self._number += 1
        return shown, self._number


class Enable:
    """The foot on *enable*: press once the robot stands still; after a stop let go for a moment, then press again."""

    def __init__(self) -> None:
        self._since = 0

    def __call__(self, now: int, state: int) -> bool:
        """Whether it is pressed, in this state of ``session/state``."""
        if state in (MATCHING, ENGAGED):
            self._since = 0
            return True
        if state not in IDLE_STATES:
            self._since = now
            return False
        self._since = self._since or now
        return (now - self._since) % (5 * RELEASE_NS) > RELEASE_NS
