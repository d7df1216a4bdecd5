"""What a figure was measured on, and how much of it was used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from telerig.hardware.clock import RealClock
from telerig.teleop import realtime

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """``cores``, ``load`` (1 min) and ``sched`` (whether real-time priorities are granted)."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "sched": "fifo" if realtime.fifo_granted() else "other",
    }


def stolen_seconds() -> float:
    """CPU time that other guests of the same host have taken from this machine so far, s, all cores; 0 on real iron."""
    with open("/proc/stat") as file:
        fields = file.readline().split()
    return int(fields[8]) * _TICK_S if len(fields) > 8 else 0.0


def timer_floor_ms(clock: RealClock, seconds: float = 3.0) -> dict[str, float]:
    """How late this machine wakes a thread of the loop's priority that does nothing else: no loop here can be better.

    Wakes 200 times a second on absolute deadlines; ``p99`` and ``max``, ms.
    """
    late = []
    with realtime.raised(realtime.LOOP):
        due = clock.now()
        for _ in range(round(seconds * 200)):
            due += 5_000_000
            clock.sleep_until(due)
            late.append((clock.now() - due) / 1e6)
    late.sort()
    return {"p99": round(late[int(0.99 * len(late))], 4), "max": round(late[-1], 4)}


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU time used so far by each process, s (Linux ``/proc``); processes that are gone count 0."""
    used: dict[str, float] = {}
    for name, pid in pids.items():
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            used[name] = (int(fields[11]) + int(fields[12])) * _TICK_S
        except OSError:
            used[name] = 0.0
    return used
