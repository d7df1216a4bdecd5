"""The session's control block: a few words in shared memory that every process of a session sees.

The e-stop is a word any process may set; only an explicit reset clears it.  Every process has a heartbeat; the loop and
the actuators' watchdogs look at the beats of those they depend on.
"""

from __future__ import annotations

import mmap
import os

_ESTOP, _STOP, _RESET, _GO = range(4)  # 32-bit words; then the beats (64 bits each), then one word a process: gone
PROCESSES = 64
_BEATS, _GONE = 2, 4 + 2 * PROCESSES
_SIZE = 4 * (_GONE + PROCESSES)


class ControlBlock:
    """Made by the session, mapped by every child from its descriptor."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.memfd_create("telerig:control", 0) if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, _SIZE)
        self._map = mmap.mmap(self.fd, _SIZE)
        view = memoryview(self._map)
        self._words, self._beats = view.cast("I"), view.cast("q")

    @property
    def estop(self) -> bool:
        """Whether somebody pressed the e-stop (latched)."""
        return bool(self._words[_ESTOP])

    def press_estop(self) -> None:
        """Stop everything.  Anybody may; nothing but :meth:`reset_estop` undoes it."""
        self._words[_ESTOP] = 1

    def reset_estop(self) -> None:
        """The explicit reset, asked for by a person; also counts, so that the loop sees a new one."""
        self._words[_ESTOP] = 0
        self._words[_RESET] += 1

    @property
    def resets(self) -> int:
        """How many resets were asked for."""
        return self._words[_RESET]

    @property
    def stopping(self) -> bool:
        """Whether the session is ending: the loop holds, then damps."""
        return bool(self._words[_STOP])

    def ask_to_stop(self) -> None:
        """End the session in order: hold, damp, torque off."""
        self._words[_STOP] = 1

    @property
    def going(self) -> bool:
        """Whether every process is prepared, so that real-time work may begin."""
        return bool(self._words[_GO])

    def go(self) -> None:
        """Everybody is prepared."""
        self._words[_GO] = 1

    def beat(self, index: int, now: int) -> None:
        """Say that process ``index`` lives."""
        self._beats[_BEATS + index] = now

    def last_beat(self, index: int) -> int:
        """When process ``index`` last said so; 0 before the first time."""
        return self._beats[_BEATS + index]

    def note_gone(self, index: int, gone: bool) -> None:
        """The parent saw that process ``index`` is dead or stopped (or runs again), which is quicker than missing its beats."""
        self._words[_GONE + index] = gone

    def is_gone(self, index: int) -> bool:
        """Whether the parent saw process ``index`` dead or stopped."""
        return bool(self._words[_GONE + index])
