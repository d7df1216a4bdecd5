"""The session's control block: a few words in shared memory that every process of a session sees.

The e-stop is a word any process may set; only an explicit reset clears it.  Every process has a heartbeat; the loop and
the actuators' watchdogs look at the beats of those they depend on.
"""

from __future__ import annotations

import mmap
import os

import numpy as np

_BLOCK = np.dtype(
    [
        ("estop", "<u4"),
        ("stop", "<u4"),
        ("reset", "<u4"),
        ("go", "<u4"),
        ("beats", "<i8", (64,)),
        ("gone", "<u4", (64,)),
    ]
)


class ControlBlock:
    """Made by the session, mapped by every child from its descriptor."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.memfd_create("telerig:control", 0) if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, _BLOCK.itemsize)
        self._map = mmap.mmap(self.fd, _BLOCK.itemsize)
        self._block = np.frombuffer(self._map, _BLOCK, 1)[0]

    @property
    def estop(self) -> bool:
        """Whether somebody pressed the e-stop (latched)."""
        return bool(self._block["estop"])

    def press_estop(self) -> None:
        """Stop everything.  Anybody may; nothing but :meth:`reset_estop` undoes it."""
        self._block["estop"] = 1

    def reset_estop(self) -> None:
        """The explicit reset, asked for by a person; also counts, so that the loop sees a new one."""
        self._block["estop"] = 0
        self._block["reset"] += 1

    @property
    def resets(self) -> int:
        """How many resets were asked for."""
        return int(self._block["reset"])

    @property
    def stopping(self) -> bool:
        """Whether the session is ending: the loop holds, then damps."""
        return bool(self._block["stop"])

    def ask_to_stop(self) -> None:
        """End the session in order: hold, damp, torque off."""
        self._block["stop"] = 1

    @property
    def going(self) -> bool:
        """Whether every process is prepared, so that real-time work may begin."""
        return bool(self._block["go"])

    def go(self) -> None:
        """Everybody is prepared."""
        self._block["go"] = 1

    def beat(self, index: int, now: int) -> None:
        """Say that process ``index`` lives."""
        self._block["beats"][index] = now

    def last_beat(self, index: int) -> int:
        """When process ``index`` last said so; 0 before the first time."""
        return int(self._block["beats"][index])

    def note_gone(self, index: int, gone: bool) -> None:
        """The parent saw that process ``index`` is dead or stopped (or runs again), which is quicker than missing its beats."""
        self._block["gone"][index] = gone

    def is_gone(self, index: int) -> bool:
        """Whether the parent saw process ``index`` dead or stopped."""
        return bool(self._block["gone"][index])
