"""The kernel's threads that carry serial bytes, at a real-time priority while a session runs.

Whatever comes over a serial port, be it a USB adapter's or a pseudo-terminal, is handed to its reader by a thread of
the kernel's unbound work queue (``kworker/u…``), an ordinary one.  A bus worker at ``SCHED_FIFO`` 15 waits for it, and
it waits for every real-time process that keeps the cores busy: on two cores that was most of the tail of the latency
(docs/decisions/0013).  Only root may raise such a thread; everybody else's sessions run as before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from telerig.teleop import realtime

LOOK_S = 1.0  # the kernel starts such threads as it needs them, and ends them when they had nothing to do for minutes
_PF_KTHREAD = 0x00200000  # linux/sched.h
_NAME = "kworker/u"


class KernelWorkers:
    """Raises the threads there are, again and again, and puts them back at the end.

    A thread that somebody else gave a priority keeps it.

    :ivar raised: threads that run at ``SERIAL`` on this object's account.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._seen: dict[int, bool] = {}  # whether it is one of them; the names of all processes are read once
        self.raised: set[int] = set()

    def look(self) -> int:
        """Raise what is new; how many run at the priority.  Never fails: what cannot be raised stays as it is."""
        there = {int(name) for name in os.listdir(self._proc) if name.isdigit()}
        self._seen = {pid: known for pid, known in self._seen.items() if pid in there}
        for pid in there - self._seen.keys():
            self._seen[pid] = is_unbound_worker(self._proc, pid)
        self.raised &= there
        for pid in (pid for pid, is_one in self._seen.items() if is_one):
            if _raise(pid):
                self.raised.add(pid)
        return len(self.raised)

    def restore(self) -> None:
        """Make ordinary threads again of those that were raised."""
        for pid in self.raised:
            if is_unbound_worker(self._proc, pid) and _is_raised(pid):
                _schedule(pid, os.SCHED_OTHER, 0)
        self.raised.clear()


def count_raised(proc: Path = Path("/proc")) -> int:
    """How many such threads run at ``SERIAL`` now, on whosever account."""
    pids = (int(name) for name in os.listdir(proc) if name.isdigit())
    return sum(is_unbound_worker(proc, pid) and _is_raised(pid) for pid in pids)


def is_unbound_worker(proc: Path, pid: int) -> bool:
    """Whether this is a *kernel* thread of an unbound work queue; anybody may call a process by such a name."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return False
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name.startswith(_NAME) and bool(int(rest.split()[6]) & _PF_KTHREAD)


def _raise(pid: int) -> bool:
    try:
        if os.sched_getscheduler(pid) != os.SCHED_OTHER or os.getpriority(os.PRIO_PROCESS, pid) != 0:
            return False  # somebody's choice, or raised before
    except OSError:
        return False
    return _schedule(pid, os.SCHED_FIFO, realtime.SERIAL)


def _is_raised(pid: int) -> bool:
    try:
        found = os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority
    except OSError:
        return False
    return found == (os.SCHED_FIFO, realtime.SERIAL)


def _schedule(pid: int, policy: int, priority: int) -> bool:
    try:
        os.sched_setscheduler(pid, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


@contextmanager
def raised(wanted: bool = True) -> Iterator[KernelWorkers]:
    """While this lasts, serial bytes travel at ``SERIAL``, where the system lets it; a thread of its own looks."""
    workers = KernelWorkers()
    if not wanted or workers.look() == 0:  # none to be seen (a container), or refused: nothing to look for
        yield workers
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_S):
            workers.look()

    thread = threading.Thread(target=look, name="kernel workers", daemon=True)
    thread.start()
    try:
        yield workers
    finally:
        over.set()
        thread.join()
        workers.restore()
