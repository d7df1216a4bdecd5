"""Single keys from a terminal, without waiting for Enter; nothing where there is no terminal.

A terminal may go away: its window is closed, a connection breaks.  That is read as ``q``, and what is written to it
from then on goes nowhere, so that a session still ends in order.  One that blocks (Ctrl-S, a connection that stalls) is
given up when the session has to end.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import tty
from contextlib import suppress
from typing import Any

QUIT = "q"
_KEY = re.compile(r"\x1b[\[O][0-?]*[ -/]*[@-~]|.", re.DOTALL)
REMOTE = {"SSH_CONNECTION": "ssh", "TMUX": "tmux", "STY": "screen"}
STUCK_S = 0.5


class Keyboard:
    """A context manager; :meth:`keys` returns what was typed since, "" without a terminal."""

    def __init__(self) -> None:
        self._saved: list[Any] | None = None
        self._terminals: list[int] = []

    def __enter__(self) -> Keyboard:
        self._terminals = [fd for fd in (0, 1, 2) if os.isatty(fd)]
        if sys.stdin is not None and sys.stdin.isatty():
            self._saved = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            try:
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._saved)  # a terminal may block
            except termios.error:
                self._saved = None  # it went away
        self.forget_lost_terminals()

    @property
    def present(self) -> bool:
        """Whether somebody can type."""
        return self._saved is not None

    def keys(self, timeout_s: float) -> str:
        """Characters typed, waiting at most so long for the first; ``q`` when the terminal went away."""
        if self._saved is None:
            return ""
        try:
            ready, _, _ = select.select([sys.stdin.fileno()], [], [], timeout_s)
            typed = os.read(sys.stdin.fileno(), 4096) if ready else None
        except OSError:  # EIO
            typed = b""
        if typed == b"":
            self.forget_lost_terminals()
            return QUIT
        return typed.decode(errors="ignore") if typed else ""

    def resume(self) -> None:
        """Single keys again: a shell that went on with a suspended command line left the terminal as it liked it."""
        if self._saved is not None:
            with suppress(termios.error):  # it went away
                tty.setcbreak(sys.stdin.fileno(), termios.TCSANOW)

    def forget_lost_terminals(self) -> bool:
        """Let what would still be written to a terminal that went away go nowhere, instead of failing; whether one did."""
        lost = [fd for fd in self._terminals if not os.isatty(fd)]
        for fd in lost:
            to_nowhere(fd)
            self._terminals.remove(fd)
        return bool(lost)


def split_keys(typed: str) -> list[str]:
    """Key by key; what a terminal sends for an arrow or the like (ECMA-48, 5.4) is one key, not an escape and letters."""
    return _KEY.findall(typed)


def remote_terminal() -> str:
    """What stands between the operator's keys and this terminal, "" for nothing: such a link may stall with all its
    buffers open, so that nothing here blocks, fails, or tells that nobody is there."""
    return next((name for variable, name in REMOTE.items() if os.environ.get(variable)), "")


def forget_stuck_outputs() -> None:
    """Let standard output and error go nowhere where nothing can be written for half a second.

    Meant for a signal's handler: a write that was stuck there is tried again after it, by the same descriptor.
    """
    for fd in (1, 2):
        poller = select.poll()
        poller.register(fd, select.POLLOUT)
        if not poller.poll(STUCK_S * 1e3):
            to_nowhere(fd)


def to_nowhere(fd: int) -> None:
    """What is written to this descriptor from now on is lost."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nowhere, fd)
    os.close(nowhere)
