"""What the simulator's own log says about a stop: pure functions of recorded joint speeds and modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.wire.simbus import RobotMode

STILL_RAD_S = 0.05
STOP_LIMIT_MS = 250.0
DAMP_LIMIT_MS = 1100.0
LIMP = (RobotMode.TORQUE_OFF, RobotMode.DAMP)
POSITION = RobotMode.POSITION
TOLD_LIMIT_MS = 200.0
BACK_LIMIT_MS = 1000.0
WATCH_S = 1.4


@dataclass(frozen=True, slots=True)
class Verdict:
    """One stop.

    :param speed: rad/s of the fastest joint when it happened.
    :param stopped_ms: until the first instant from which every joint stayed under 0.05 rad/s until the robot was damped
        for good (arms that are damped sink by their weight, which nobody commands); infinite if it did not come to rest
        before that.
    :param damped_ms: until the robot was damped or off, for good; infinite if it was not.
    :param orphans: processes that were left 2 s after the command line was killed.
    :param told_ms: until the operator's screen showed that the robot holds and, where a device was unplugged, which; None
        where nobody looked.
    :param back_ms: from the device's return to its being open; None where none was away.
    :param resumed: the robot moved, or was about to, when something came back, though nobody had pressed *enable* anew.
    :param went_on: of a device that nobody requires: whether the robot was driven all the time, the device's return
        included; None where it has to stop.
    :param latched: of an e-stop: whether it was still set at the end; None of everything else.
    :param continued: of a process that was stopped: whether it went on before anybody killed it; None of everything else.
    """

    speed: float
    stopped_ms: float
    damped_ms: float
    orphans: int = 0
    told_ms: float | None = None
    back_ms: float | None = None
    resumed: bool = False
    went_on: bool | None = None
    latched: bool | None = None
    continued: bool | None = None

    @property
    def failed(self) -> bool:
        """Whether a limit is exceeded."""
        slow = (self.told_ms or 0.0) > TOLD_LIMIT_MS or (self.back_ms or 0.0) > BACK_LIMIT_MS
        stopped = self.stopped_ms <= STOP_LIMIT_MS and self.damped_ms <= DAMP_LIMIT_MS
        right = stopped if self.went_on is None else self.went_on
        return not right or self.orphans > 0 or slow or self.resumed or self.latched is False


def judge(log: NDArray[Any], at: int, watch_s: float = WATCH_S, again: int | None = None) -> Verdict:
    """What happened after the instant ``at``.

    :param log: records of :func:`telerig.drivers.mujoco.motion_log.read_motion_log`.
    :param again: when a loop that had been stopped went on: it holds from then, so the time until damped counts from then.
    :returns: infinite times where the log ends before ``watch_s`` have passed, because then nobody knows.
    """
    before = log[log["t"] <= at]
    speed = float(before["speed"][-1]) if before.size else 0.0
    end = at + int(watch_s * 1e9)
    after = log[(log["t"] > at) & (log["t"] <= end)]
    if not log.size or int(log["t"][-1]) < end:
        return Verdict(speed, math.inf, math.inf)
    limp = _limp(after)
    driven = np.flatnonzero(~limp)
    first = int(driven[-1]) + 1 if driven.size else 0  # from this record on it is damped, if there is such a record
    damped = math.inf
    if first < len(after):
        damped = max(0.0, (int(after["t"][first]) - (at if again is None else again)) / 1e6)
    fast = np.flatnonzero(after["speed"][:first] >= STILL_RAD_S)
    last = int(fast[-1]) if fast.size else -1
    stands = last < first - 1 if first else speed < STILL_RAD_S  # else it was damped, or the log ended, in motion
    stopped = (int(after["t"][last]) - at) / 1e6 if fast.size else 0.0
    return Verdict(speed, stopped if stands else math.inf, damped)


def _limp(log: NDArray[Any]) -> NDArray[np.bool_]:
    limp: NDArray[np.bool_] = (log["mode"] == LIMP[0]) | (log["mode"] == LIMP[1])
    return limp


def moved_again(log: NDArray[Any], since: int) -> bool:
    """Whether a robot that had stopped was driven, or moved without being limp, after an instant, up to the log's end.

    A robot that is told positions is driven, even if the position is where it is.
    """
    after = log[log["t"] > since]
    moved = (after["mode"] == POSITION) | (~_limp(after) & (after["speed"] >= STILL_RAD_S))
    return bool(moved.any())


def driven_all_along(log: NDArray[Any], at: int, until: int) -> bool:
    """Whether the robot was driven from one instant to the other without a break, and moved in the last second."""
    between = log[(log["t"] > at) & (log["t"] <= until)]
    last = between[between["t"] > until - 1_000_000_000]
    if not len(last) or int(log["t"][-1]) < until:
        return False
    return bool((between["mode"] == POSITION).all() and last["speed"].max() >= STILL_RAD_S)


def summary(verdicts: Sequence[Verdict], spontaneous: Sequence[str] = ()) -> dict[str, Any]:
    """``n``, the worst of each time, how often what happened; a time of None stands for "never".

    :param spontaneous: why the robot had stopped by itself before anything was done to it, each time.
    """
    stops = all(v.went_on is None for v in verdicts)
    worst: dict[str, float] = {}
    for key in ("stopped_ms", "damped_ms", "told_ms", "back_ms"):
        known = [t for v in verdicts if (t := getattr(v, key)) is not None]
        if known and (stops or key not in ("stopped_ms", "damped_ms")):
            worst[key] = max(known)
    return {
        "n": len(verdicts),
        **{k: round(v, 1) if math.isfinite(v) else None for k, v in worst.items()},
        **({} if stops else {"went_on": sum(bool(v.went_on) for v in verdicts)}),
        **{
            key: sum(known)
            for key in ("latched", "continued")
            if (known := [value for v in verdicts if (value := getattr(v, key)) is not None])
        },
        "orphans": sum(v.orphans for v in verdicts),
        "resumed": sum(v.resumed for v in verdicts),
        "spontaneous": len(spontaneous),
        **({"spontaneous_why": sorted(set(spontaneous))} if spontaneous else {}),
        "failures": sum(v.failed for v in verdicts),
    }
