"""Single keys from a terminal, without waiting for Enter; nothing where there is no terminal."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from typing import Any


class Keyboard:
    """A context manager; :meth:`keys` returns what was typed since, "" without a terminal."""

    def __init__(self) -> None:
        self._saved: list[Any] | None = None

    def __enter__(self) -> Keyboard:
        if sys.stdin.isatty():
            self._saved = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)

    @property
    def present(self) -> bool:
        """Whether somebody can type."""
        return self._saved is not None

    def keys(self, timeout_s: float) -> str:
        """Characters typed, waiting at most so long for the first."""
        if self._saved is None:
            return ""
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], timeout_s)
        return os.read(sys.stdin.fileno(), 32).decode(errors="ignore") if ready else ""
