"""What Ctrl-C, SIGTERM and a hang-up do to a command that moves a robot: it ends in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from telerig.teleop.control import ControlBlock


class Asked:
    """Whether a signal asked to end.  Not a ``threading.Event``: a handler that comes while one is being set waits for ever."""

    def __init__(self) -> None:
        self.to_end = False


@contextmanager
def interruptible() -> Iterator[Asked]:
    """Ctrl-C, SIGTERM and a hang-up ask, so that a session ends in order; a second Ctrl-C is an impatient one."""
    asked = Asked()

    def ask(number: int, _: object) -> None:
        if number == signal.SIGINT and asked.to_end:
            raise KeyboardInterrupt
        asked.to_end = True  # a closing terminal hangs up twice: its shell does, and the kernel

    with _handled(ask, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield asked


@contextmanager
def ends_in_order(control: ControlBlock) -> Iterator[None]:
    """SIGTERM and a hang-up end a session that is still starting, and do not disturb one that is ending already."""

    def ask(*_: object) -> None:
        if not control.stopping:
            control.ask_to_stop()
            raise KeyboardInterrupt

    with _handled(ask, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def _handled(handler: Callable[[int, object], None], *numbers: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [n for n in numbers if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]  # nohup
    before = {n: signal.signal(n, handler) for n in heeded}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
