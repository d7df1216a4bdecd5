"""What Ctrl-C, SIGTERM and a hang-up do to a command that moves a robot: it ends in order.

Ctrl-\\ is left alone, as the way out that always works: the command line is gone at once, and everybody else does what
follows from that.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from telerig.teleop.control import ControlBlock
from telerig.teleop.keyboard import forget_stuck_outputs

AGAIN_S = 1.0


class Asked:
    """Whether a signal asked to end.  Not a ``threading.Event``: a handler that comes while one is being set waits for ever."""

    def __init__(self) -> None:
        self.to_end = False


@contextmanager
def interruptible(control: ControlBlock) -> Iterator[Asked]:
    """Ctrl-C, SIGTERM and a hang-up end the session in order, whatever the main thread is stuck in.

    A second Ctrl-C is an impatient one.
    """
    asked = Asked()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def ask(number: int, _: object) -> None:
        if number == signal.SIGINT and asked.to_end:
            raise KeyboardInterrupt
        asked.to_end = True  # a closing terminal hangs up twice: its shell does, and the kernel
        forget_stuck_outputs()

    with _handled(ask, *numbers), _at_once(control.ask_to_stop, numbers):
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
def _at_once(act: Callable[[], None], numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Act as soon as one of these handled signals arrives, in a thread of its own.

    Python calls a handler when the main thread is between two of its instructions: never, while it waits for a disk.  And
    when the handler looked there may have been room in a terminal for less than is written next, so it looks again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    main = threading.get_ident()
    out, into = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(into, False)

    def listen() -> None:
        asked = False
        while True:
            if asked and not select.select([out], [], [], AGAIN_S)[0]:
                signal.pthread_kill(main, signal.SIGTERM)
            elif arrived := os.read(out, 64):
                if any(number in arrived for number in numbers):
                    asked = True
                    act()
            else:
                return

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(into)  # which ends the listener, after what had arrived
        listener.join()
        os.close(out)


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
