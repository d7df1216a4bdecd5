"""Single keys from a terminal, without waiting for Enter; nothing where there is no terminal.

A terminal may go away: its window is closed, a connection breaks.  That is read as ``q``, and what is written to it
from then on goes nowhere, so that a session still ends in order.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from typing import Any

QUIT = "q"


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
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)
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
            typed = os.read(sys.stdin.fileno(), 32) if ready else None
        except OSError:  # EIO
            typed = b""
        if typed == b"":
            self.forget_lost_terminals()
            return QUIT
        return typed.decode(errors="ignore") if typed else ""

    def forget_lost_terminals(self) -> None:
        """Let what would still be written to a terminal that went away go nowhere, instead of failing."""
        lost = [fd for fd in self._terminals if not os.isatty(fd)]
        for fd in lost:
            nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(nowhere, fd)
            os.close(nowhere)
            self._terminals.remove(fd)
