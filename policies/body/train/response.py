"""What a trained policy achieves of what it is given: measured in the full model, written into its manifest.

A policy that is told 0.8 m/s may walk at 0.77, and in a squat slower still: it balances speed against falling.  The
manifest's ``response`` tables let the runtime give what achieves the wish (docs/body.md, "Dead bands").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from telerig.policies.body.evaluation.cases import STAND_M, Case
from telerig.policies.body.train.config import BodyConfig

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)  # of a command's range
AXES = ("vx", "vy", "yaw_rate")
LOW_M, MIDDLE_M = 0.50, 0.60  # strides reach less far in a deep squat; from which height on is measured half way down
UPRIGHT_M = 0.70  # taken for that height where nothing was measured half way, or upright and low are alike:
ALIKE = 0.03  # of the speed
SQUAT_M_S = 0.4  # the speed that has to come out right half way down
AHEAD_M_S = 0.4  # people turn on the spot, and while they walk:
WEIGHTS = (2 / 3, 1 / 3)  # what a turn achieves is a mean of both; on the spot the errors are larger
DIGITS = 4
MIDDLE = "response_middle"  # decides where the other two are mixed; not itself in a manifest
UP_SHARE = 0.95  # robots that must stay up for a figure to count


@dataclass(frozen=True, slots=True)
class Point:
    """``size`` of ``key``'s command, and the cases that say what it achieves."""

    axis: str
    key: str
    sign: float
    size: float
    cases: tuple[Case, ...]


def points(config: BodyConfig) -> list[Point]:
    """What is measured: both directions of ``vx``, upright and low, forward also half way; ``vy`` and ``yaw_rate`` to the left.

    Left is taken to be as right: telerig trains with mirror symmetry.
    """
    curves = [
        ("vx", "response", config.vx[1], STAND_M), ("vx", "response_back", config.vx[0], STAND_M),
        ("vx", "response_low", config.vx[1], LOW_M), ("vx", "response_low_back", config.vx[0], LOW_M),
        ("vx", MIDDLE, config.vx[1], MIDDLE_M),
        ("vy", "response", config.vy[1], STAND_M), ("yaw_rate", "response", config.yaw[1], STAND_M),
    ]  # fmt: skip
    found = []
    for axis, key, end, height in curves:
        for size in np.round(np.array(SHARES) * abs(end), DIGITS).tolist():
            commands = [[math.copysign(size, end) if axis == a else 0.0 for a in AXES]]
            if axis == "yaw_rate":
                commands.append([AHEAD_M_S, 0.0, math.copysign(size, end)])
            cases = tuple(Case(f"{key} {c} {height}", (c[0], c[1], c[2], height)) for c in commands)
            found.append(Point(axis, key, math.copysign(1.0, end), size, cases))
    return [point for point in found if point.size > 0]


def responses(wanted: Sequence[Point], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The manifest's ``response`` tables of each velocity, and under ``command`` the heights between which upright and low
    ones are mixed, from the rows of ``evaluate`` by case.

    What achieves nothing is where a curve begins; it stops before the first figure that too few robots stayed up for, and
    leaves out those that do not rise.  An axis with no figure left is left out; where only going back has none, negative
    wishes are given as they are, and where none is had low, the upright ones count there too.
    """
    found: dict[str, dict[str, Any]] = {}
    middle: list[list[float]] = []
    for axis, key in dict.fromkeys((p.axis, p.key) for p in wanted):
        own = [p for p in wanted if (p.axis, p.key) == (axis, key)]
        curve = _rising([[p.size, _achieved(p, rows)] for p in own])
        if key == MIDDLE:
            middle = curve
            continue
        if len(curve) < 2 and key.endswith("_back"):
            curve = [[0.0, 0.0], [own[-1].size, own[-1].size]]
        needs = {"response_low": "response", "response_low_back": "response_low", "response_back": "response"}.get(key)
        if len(curve) > 1 and (needs is None or needs in found.get(axis, {})):
            found.setdefault(axis, {})[key] = curve
    forward = found.get("vx", {})
    if "response_low" in forward:
        upright = _upright(forward["response"], middle, forward["response_low"])
        found["command"] = {"low_heights": [upright, LOW_M]}
    return found


def _upright(upright: Sequence[list[float]], middle: Sequence[list[float]], low: Sequence[list[float]]) -> float:
    """Down to which height (m) upright figures hold, so that the mix at ``MIDDLE_M`` is what was measured there."""
    if len(middle) < 2:
        return UPRIGHT_M
    speed = min(SQUAT_M_S, *(curve[-1][1] for curve in (upright, middle, low)))
    at_top, at_middle, at_bottom = (np.interp(speed, *np.array(curve).T[::-1]) for curve in (upright, middle, low))
    if abs(at_bottom - at_top) < ALIKE * speed:
        return UPRIGHT_M
    most = (STAND_M - MIDDLE_M) / (STAND_M - LOW_M)
    share = np.clip((at_middle - at_top) / (at_bottom - at_top), 0.0, most)
    return round(float((MIDDLE_M - share * LOW_M) / (1.0 - share)), 3)


def _achieved(point: Point, rows: Mapping[str, Mapping[str, Any]]) -> float:
    told = [rows[case.name] for case in point.cases]
    if any(row["up"] < UP_SHARE * row["n"] for row in told):
        return float("nan")
    weights = WEIGHTS if len(told) == len(WEIGHTS) else None
    return round(point.sign * float(np.average([row[point.axis] for row in told], weights=weights)), DIGITS)


def _rising(pairs: Sequence[list[float]]) -> list[list[float]]:
    """From (what achieves nothing, 0) to where too few stayed up; a figure that does not rise is passed over."""
    curve = [[0.0, 0.0]]
    for given, achieved in pairs:
        if math.isnan(achieved):
            break
        if len(curve) == 1 and achieved <= 0.0:
            curve = [[given, 0.0]]
        elif achieved > curve[-1][1]:
            curve.append([given, achieved])
    return curve
