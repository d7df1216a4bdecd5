"""Work that is spread over processes, each on one thread; results do not depend on how many there are."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from telerig.teleop import realtime

Order = TypeVar("Order")
Result = TypeVar("Result")


def _begin(parent: int) -> None:
    """A process of the pool dies with the command (a killed evaluation must not go on), and computes on one thread."""
    realtime.die_with_parent(parent)
    _one_thread()


def _one_thread() -> None:
    """There are as many processes as cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["LP_NUM_THREADS"] = "1"


def spread(
    work: Callable[[Order], Result],
    orders: Sequence[Order],
    processes: int,
    cost: Callable[[Order], float] = lambda order: 0.0,
) -> Iterator[tuple[int, Result]]:
    """Each order's index and result, in the order they finish.  What has not begun when one fails, never does.

    :param work: a function at the top of a module: it is found by name in the other processes.
    :param processes: 0: one a core; 1: in this process, one order after another.
    :param cost: the dearest begin first, lest one process finishes alone.
    """
    count = min(processes or len(os.sched_getaffinity(0)), len(orders))
    _one_thread()
    if count <= 1:
        for i, order in enumerate(orders):
            yield i, work(order)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=spawn, initializer=_begin, initargs=(os.getpid(),)) as pool:
        dearest = sorted(range(len(orders)), key=lambda i: -cost(orders[i]))
        futures = {pool.submit(work, orders[i]): i for i in dearest}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
