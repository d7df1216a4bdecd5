"""What the simulator's own log says about a stop: pure functions of recorded joint speeds and modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

STILL_RAD_S = 0.05
STOP_LIMIT_MS = 250.0
DAMP_LIMIT_MS = 1100.0
LIMP = (0, 1)  # RobotMode.TORQUE_OFF, RobotMode.DAMP
WATCH_S = 1.4


@dataclass(frozen=True, slots=True)
class Verdict:
    """One stop.

    :param speed: rad/s of the fastest joint when it happened.
    :param stopped_ms: until the last control period in which a joint was driven or held and faster than 0.05 rad/s.  A
        limp robot's arms sink by their weight (damped): that is no motion anybody commands, and it ends the count.
    :param damped_ms: until the robot was damped or off, for good; infinite if it was not.
    :param orphans: processes that were left 2 s after the command line was killed.
    """

    speed: float
    stopped_ms: float
    damped_ms: float
    orphans: int = 0

    @property
    def failed(self) -> bool:
        """Whether a limit is exceeded."""
        return self.stopped_ms > STOP_LIMIT_MS or self.damped_ms > DAMP_LIMIT_MS or self.orphans > 0


def judge(log: NDArray[Any], at: int, watch_s: float = WATCH_S) -> Verdict:
    """What happened after the instant ``at``.

    :param log: records of :func:`telerig.drivers.mujoco.motion_log.read_motion_log`.
    :returns: infinite times where the log ends before ``watch_s`` have passed, because then nobody knows.
    """
    before = log[log["t"] <= at]
    speed = float(before["speed"][-1]) if before.size else 0.0
    end = at + int(watch_s * 1e9)
    after = log[(log["t"] > at) & (log["t"] <= end)]
    if not log.size or int(log["t"][-1]) < end:
        return Verdict(speed, math.inf, math.inf)
    limp = (after["mode"] == LIMP[0]) | (after["mode"] == LIMP[1])
    fast = after["t"][(after["speed"] >= STILL_RAD_S) & ~limp]
    driven = after["t"][~limp]
    stopped = (int(fast[-1]) - at) / 1e6 if fast.size else 0.0
    if limp[-1]:
        first = after["t"][after["t"] > driven[-1]][0] if driven.size else after["t"][0]
        return Verdict(speed, stopped, (int(first) - at) / 1e6)
    return Verdict(speed, stopped, math.inf)


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """``n``, the worst of each, ``failures``; None stands for "never"."""
    worst = {
        "stopped_ms": max(v.stopped_ms for v in verdicts),
        "damped_ms": max(v.damped_ms for v in verdicts),
    }
    return {
        "n": len(verdicts),
        **{k: round(v, 1) if math.isfinite(v) else None for k, v in worst.items()},
        "orphans": sum(v.orphans for v in verdicts),
        "failures": sum(v.failed for v in verdicts),
    }
