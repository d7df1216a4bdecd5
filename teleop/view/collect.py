"""Samples for curves, set aside until they are drawn: a viewer that is slow makes a view late, not full of holes.

A stream's ring holds two seconds; drawing may take longer than that when the viewer is busy.  So a thread of its own
collects, ten times a second, and takes no more than a screen shows.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable

from telerig.hardware.samples import Sample
from telerig.teleop.stream import LocalReader, SharedReader

PERIOD_S = 0.1
MOST = 1500  # samples kept of a stream: 30 s at 50 Hz


class Collected:
    """Every n-th sample of a stream from now on, until :meth:`take`; evenly fewer when nobody takes them for long.

    :param hz: how many a second are wanted; infinite: all, of which nothing is thinned out (events, states).
    :ivar lost: samples that were overwritten before anybody collected them.
    """

    def __init__(self, reader: SharedReader | LocalReader, hz: float = math.inf) -> None:
        self._reader, self._all = reader, hz == math.inf
        self._wanted = self._every = 1 if self._all else max(1, round(reader.spec.rate_hz / hz))
        self._next = -(-reader.written // self._every) * self._every
        self._kept: list[Sample] = []
        self._lock = threading.Lock()
        self.lost = 0

    def collect(self) -> None:
        """Set aside what is new."""
        with self._lock:
            written = self._reader.written
            for seq in range(self._next, written, self._every):
                sample = self._reader.get(seq)
                if sample is None:
                    self.lost += self._every
                else:
                    self._kept.append(sample)
                self._next = seq + self._every
            if len(self._kept) > MOST and not self._all:
                self._every *= 2
                self._kept = [s for s in self._kept if s.seq % self._every == 0]
                self._next = -(-self._next // self._every) * self._every

    def take(self) -> list[Sample]:
        """What was set aside, oldest first."""
        self.collect()
        with self._lock:
            kept, self._kept, self._every = self._kept, [], self._wanted
            return kept


class Collector(threading.Thread):
    """Collects until :meth:`end`, whatever the thread that draws is waiting for."""

    def __init__(self, streams: Iterable[Collected]) -> None:
        super().__init__(name="collector", daemon=True)
        self._streams = list(streams)
        self._end = threading.Event()

    def run(self) -> None:
        """See the class."""
        while not self._end.wait(PERIOD_S):
            for stream in self._streams:
                stream.collect()

    def end(self) -> None:
        """Stop, and wait for it."""
        self._end.set()
        self.join()
