"""What a figure was measured on, and how much of it was used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from telerig.teleop import realtime

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """``cores``, ``load`` (1 min) and ``sched`` (whether real-time priorities are granted)."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "sched": "fifo" if realtime.fifo_granted() else "other",
    }


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
