"""Threads of a driver's own, with the priority of whoever starts them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from telerig.hardware.protocols import Clock


def start(name: str, work: Callable[[], None]) -> threading.Thread:
    """A thread that runs ``work``; it takes the starter's real-time priority, which Linux does not hand on by itself."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)

    def run() -> None:
        if policy & ~os.SCHED_RESET_ON_FORK in (os.SCHED_FIFO, os.SCHED_RR):
            try:
                os.sched_setscheduler(0, policy, parameters)
            except OSError:
                pass  # refused: an ordinary thread, like all where nothing is granted
        work()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


class Metronome:
    """Absolute deadlines; whole periods that were missed are left out and counted."""

    def __init__(self, clock: Clock, period_ns: int) -> None:
        self._clock, self._period = clock, period_ns
        self._due = clock.now()
        self.missed = 0

    def wait(self) -> int:
        """Sleep until the next beat; the instant at which it woke."""
        self._clock.sleep_until(self._due)
        now = self._clock.now()
        late = max(0, now - self._due) // self._period
        self.missed += late
        self._due += (late + 1) * self._period
        return now
