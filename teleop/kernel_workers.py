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
PROC = Path("/proc")
_PF_KTHREAD = 0x00200000  # linux/sched.h
_NAME = b"kworker/u"
_FIFO = os.SCHED_FIFO | realtime.RESET_ON_FORK  # what it starts (the kernel's helpers, core dumps) is ordinary


class KernelWorkers:
    """Raises the threads there are, again and again, and puts them back at the end.

    A thread that somebody else gave a priority keeps it.  One at ``SERIAL`` with reset-on-fork is another session's, or
    was left by one that was killed: every session that ends puts it back, and one that still runs raises it again.

    :ivar raised: threads that run at ``SERIAL``.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._others: set[int] = set()  # what is none of them: programs' names are not read again and again
        self._doubtful: set[int] = set()  # neither, at its first look: a thread has its name a moment after its number
        self.raised: set[int] = set()

    def look(self) -> int:
        """Raise what is new; how many run at the priority.  Never fails: what cannot be raised stays as it is."""
        there = process_ids(self._proc)
        self._others &= there
        ours = {pid for pid in there - self._others if is_unbound_worker(self._proc, pid)}
        rest = there - self._others - ours
        self._others |= rest & self._doubtful
        self._doubtful = rest - self._others
        self.raised &= ours
        for pid in ours:
            raised = _is_raised(pid)
            if raised and pid in self.raised:
                continue
            if (raised or _is_ordinary(pid)) and _schedule(pid, _FIFO, realtime.SERIAL):
                self.raised.add(pid)  # one by one: Ctrl-C may come between them
            else:
                self.raised.discard(pid)
        return len(self.raised)

    def restore(self) -> None:
        """Make ordinary threads again of those that were raised."""
        for pid in list(self.raised):  # a thread that was not waited for may still be looking
            if is_unbound_worker(self._proc, pid) and _is_raised(pid):
                _schedule(pid, os.SCHED_OTHER, 0)
        self.raised = set()


def count(proc: Path = PROC) -> dict[str, int]:
    """How many such threads run at ``SERIAL`` now (``fifo``), on whosever account, and how many are ordinary (``other``)."""
    found = [pid for pid in process_ids(proc) if is_unbound_worker(proc, pid)]
    return {"fifo": sum(map(_is_raised, found)), "other": sum(map(_is_ordinary, found))}


def process_ids(proc: Path) -> set[int]:
    """Of all processes there are; none where that cannot be read."""
    try:
        return {int(name) for name in os.listdir(proc) if name.isdigit()}
    except OSError:
        return set()


def is_unbound_worker(proc: Path, pid: int) -> bool:
    """Whether this is a *kernel* thread of an unbound work queue; anybody may call a process by such a name."""
    try:
        stat = (proc / str(pid) / "stat").read_bytes()  # a name is any bytes
    except OSError:
        return False
    name, _, rest = stat.partition(b"(")[2].rpartition(b")")
    return name.startswith(_NAME) and bool(int(rest.split()[6]) & _PF_KTHREAD)


def _is_ordinary(pid: int) -> bool:
    try:
        return os.sched_getscheduler(pid) == os.SCHED_OTHER and os.getpriority(os.PRIO_PROCESS, pid) == 0
    except OSError:
        return False


def _is_raised(pid: int) -> bool:
    try:
        found = os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority
    except OSError:
        return False
    return found == (_FIFO, realtime.SERIAL)


def _schedule(pid: int, policy: int, priority: int) -> bool:
    try:
        os.sched_setscheduler(pid, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


@contextmanager
def raised(wanted: bool = True, proc: Path = PROC) -> Iterator[KernelWorkers]:
    """While this lasts, serial bytes travel at ``SERIAL``, where the system lets it; a thread of its own looks."""
    workers, over = KernelWorkers(proc), threading.Event()
    thread = threading.Thread(target=_keep_looking, args=(workers, over), name="kernel workers", daemon=True)
    try:
        if wanted and workers.look():  # none: refused, or not to be seen (a container), and nothing to look for
            thread.start()
        yield workers
    finally:
        over.set()
        try:
            if thread.ident is not None:
                thread.join()
        finally:
            workers.restore()


def _keep_looking(workers: KernelWorkers, over: threading.Event) -> None:
    realtime.fifo(realtime.SUPERVISOR)  # as the process's other threads: none of them waits for one that is ordinary
    while not over.wait(LOOK_S):
        workers.look()
