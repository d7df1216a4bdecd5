"""Scheduling: real-time priorities where granted, said so where refused; children that die with their parent.

Measured on two busy cores (docs/decisions/0002): a 200 Hz loop's period error p99 is 3 ms without and 0.1 ms with
``SCHED_FIFO``.  Priorities follow one order: loop 20, actuators 18, bus workers 15, emulated buses 12; cameras and
everything that renders or trains stay ordinary and nice.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOOP, ACTUATOR, BUS, EMULATED = 20, 18, 15, 12
SERIAL = 16  # the kernel's threads that carry serial bytes (kernel_workers.py): before the workers that wait for them
RECORDER = 2  # under every bus, above what renders: its rings overrun after two seconds without it
SUPERVISOR = 5  # the command line: its sign of life lets the robot move, its work is slight
RESET_ON_FORK = getattr(os, "SCHED_RESET_ON_FORK", 0)
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_TIMERSLACK = 1, 15, 29
_LIBC = ctypes.CDLL(None, use_errno=True)


def fifo(priority: int) -> bool:
    """Ask for ``SCHED_FIFO`` at a priority; False where the system refuses (no ``rtprio`` limit, no CAP_SYS_NICE).

    For the calling thread alone: what it starts begins as an ordinary process.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | RESET_ON_FORK, os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True


@contextmanager
def raised(priority: int) -> Iterator[None]:
    """The calling thread at a priority for a while, where granted; neither children nor new threads inherit it."""
    if not fifo(priority):
        yield
        return
    try:
        yield
    finally:
        _ordinary()


def _ordinary() -> None:
    """The calling thread; who is not root may not take reset-on-fork back (sched(7)), and keeps that."""
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        os.sched_setscheduler(0, os.SCHED_OTHER | RESET_ON_FORK, os.sched_param(0))


def fifo_granted() -> bool:
    """Whether real-time priorities can be had here; tried for a moment on the calling process."""
    try:
        old, param = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO | old & RESET_ON_FORK, os.sched_param(1))
        os.sched_setscheduler(0, old, param)
    except (OSError, AttributeError):
        return False
    return True


def nice(level: int) -> None:
    """Give way to others; never fails."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, level)
    except OSError:
        return


def quiet_interpreter() -> None:
    """What a control process wants of Python: no garbage collection pauses, quick hand-over between threads."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(1e-4)
    _LIBC.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def name_process(name: str) -> None:
    """The name that ``ps`` and ``top`` show (15 characters)."""
    _LIBC.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent dies, however it dies; exit at once if it is dead already."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
