"""The session's control block: a few words in shared memory that every process of a session sees.

The e-stop is a word any process may set.  A reset is asked for by a person and granted by the loop's state machine: only
then is the word cleared.  Shared memory knows no atomic "add one" here, so a press is not counted but given a number of
its own: every writer only ever writes one aligned 64-bit word, and the word is set while the newest press is not the one
that was cleared last.  Whatever the order, a press that the clearing process has not seen stays.

Every process has a heartbeat; the loop and the actuators' watchdogs look at the beats of those they depend on.
"""

from __future__ import annotations

import mmap
import os
import secrets

_STOP, _RESET, _GO = range(3)  # 32-bit words (and a spare one); then 64 bits each:
_PRESSED, _CLEARED, _ASKED = 2, 3, 4  # numbers of presses: the newest, the one cleared last, the one to be cleared
PROCESSES = 64
_BEATS, _GONE = 5, 2 * (5 + PROCESSES)  # beats are 64-bit words too; after them 32-bit words, one a process: gone,
_AWAY = _GONE + PROCESSES  # and away
_SIZE = 4 * (_AWAY + PROCESSES)


class ControlBlock:
    """Made by the session, mapped by every child from its descriptor."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.memfd_create("telerig:control", 0) if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, _SIZE)
        self._map = mmap.mmap(self.fd, _SIZE)
        view = memoryview(self._map)
        self._words, self._longs = view.cast("I"), view.cast("q")

    @property
    def estop(self) -> bool:
        """Whether somebody pressed the e-stop (latched)."""
        cleared = self._longs[_CLEARED]  # read before the newest press: a press between the two reads counts as set
        return self._longs[_PRESSED] != cleared

    @property
    def newest_press(self) -> int:
        """Which press of the e-stop is the newest: its number, 0 before the first.  Numbers have no order."""
        return self._longs[_PRESSED]

    def press_estop(self) -> None:
        """Stop everything.  Anybody may; only a reset that the loop grants undoes it."""
        self._longs[_PRESSED] = secrets.randbits(62) + 1

    def reset_estop(self, press: int | None = None) -> None:
        """Ask for the reset; nothing is cleared before the loop's state machine grants it.

        :param press: the newest press that the asker knows of; by default the newest at this moment.  A later one makes
            the loop refuse the reset.
        """
        self._longs[_ASKED] = self.newest_press if press is None else press
        self._words[_RESET] += 1  # two at the same moment may count as one: then one of them asks again

    @property
    def resets(self) -> int:
        """How many resets were asked for."""
        return self._words[_RESET]

    @property
    def asked_press(self) -> int:
        """The newest press that whoever asked for the last reset knew of."""
        return self._longs[_ASKED]

    def clear_estop(self, press: int) -> None:
        """Clear that press and those before it.  For the loop alone, when it leaves ESTOP; a newer press stays."""
        self._longs[_CLEARED] = press

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
        self._longs[_BEATS + index] = now

    def last_beat(self, index: int) -> int:
        """When process ``index`` last said so; 0 before the first time."""
        return self._longs[_BEATS + index]

    def note_gone(self, index: int, gone: bool) -> None:
        """The parent saw that process ``index`` is dead or stopped (or runs again), which is quicker than missing its beats."""
        self._words[_GONE + index] = gone

    def is_gone(self, index: int) -> bool:
        """Whether the parent saw process ``index`` dead or stopped."""
        return bool(self._words[_GONE + index])

    def note_away(self, index: int, away: bool) -> None:
        """Process ``index``, a device's worker, says that its device went away, or gives samples again."""
        self._words[_AWAY + index] = away

    def is_away(self, index: int) -> bool:
        """Whether the device of process ``index`` was open and went away."""
        return bool(self._words[_AWAY + index])
