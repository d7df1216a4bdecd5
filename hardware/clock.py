"""The session's clock, real and virtual.  Only this module and thin shells may call :mod:`time`.

Instants are ``CLOCK_MONOTONIC`` plus one constant a session (``epoch_offset`` = realtime − monotonic at its start): they
read as Unix time, in ns, and never jump.  All processes of a session share the offset.
"""

from __future__ import annotations

import ctypes
import errno
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_TIMER_ABSTIME = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


def epoch_offset() -> int:
    """Realtime − monotonic now, in ns; taken once, when a session starts."""
    return time.time_ns() - time.monotonic_ns()


def clock_pair() -> tuple[int, int]:
    """(monotonic, realtime) now, ns: what a log keeps every 10 s to say how the two drift apart."""
    return time.monotonic_ns(), time.time_ns()


class RealClock:
    """The host's monotonic clock, shifted to read as Unix time."""

    virtual = False

    def __init__(self, offset_ns: int | None = None) -> None:
        self.offset_ns = epoch_offset() if offset_ns is None else offset_ns

    def now(self) -> int:
        """The present instant, ns."""
        return time.monotonic_ns() + self.offset_ns

    def sleep_until(self, t: int) -> None:
        """Sleep until an absolute instant (``clock_nanosleep``, TIMER_ABSTIME): lateness never adds up."""
        t -= self.offset_ns
        if t <= 0:
            return
        spec = _Timespec(t // 1_000_000_000, t % 1_000_000_000)
        while _LIBC.clock_nanosleep(time.CLOCK_MONOTONIC, _TIMER_ABSTIME, ctypes.byref(spec), None) == errno.EINTR:
            pass


class VirtualClock:
    """A clock that stands still until somebody advances it.  Starts at a fixed instant, so runs repeat bit for bit."""

    virtual = True
    offset_ns = 0

    def __init__(self, start_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now = start_ns

    def now(self) -> int:
        """The present virtual instant, ns."""
        return self._now

    def sleep_until(self, t: int) -> None:
        """Do nothing: whoever owns a virtual clock advances it; nobody who uses it may."""

    def advance(self, dt_ns: int) -> int:
        """Move time on and return the new instant.  :raises ValueError: ``dt_ns`` is negative."""
        if dt_ns < 0:
            raise ValueError("time does not run backwards")
        self._now += dt_ns
        return self._now
