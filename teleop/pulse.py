"""A sign of life for a process that gives way to everything: from a thread, at a bus's priority, while work gets on.

The loop holds the robot when such a process stands still (:class:`~telerig.teleop.live.LiveOptions` ``needs``, and a
recorder that records); it must not hold because one picture or one inference took long between two beats.
"""

from __future__ import annotations

import threading

from telerig.teleop import realtime
from telerig.teleop.child import Child

BEAT_NS = 30_000_000
STUCK_NS = 1_500_000_000


class Pulse(threading.Thread):
    """Beats for its process 30 times a second, as long as :meth:`on` is called at least every 1.5 s."""

    def __init__(self, child: Child) -> None:
        super().__init__(name="pulse", daemon=True)
        self._child, self._progress = child, child.clock.now()

    def on(self, now: int) -> None:
        """The process got on with its work."""
        self._progress = now

    def run(self) -> None:
        """Until the process ends."""
        realtime.fifo(realtime.BUS)
        while True:
            now = self._child.clock.now()
            if now - self._progress < STUCK_NS:
                self._child.beat()
            self._child.clock.sleep_until(now + BEAT_NS)
