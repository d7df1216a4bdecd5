"""What a trained policy achieves of what it is given: measured on the training model, written into its manifest.

A policy that is told 0.8 m/s may walk at 0.77: it balances speed against falling.  The manifest's ``response`` tables let
the runtime give what achieves the wish (docs/body.md, "Dead bands").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from telerig.policies.body.train.config import BodyConfig
from telerig.policies.body.train.evaluation import STAND_M, Case

SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)  # of a command's range
AXES = ("vx", "vy", "yaw_rate")
DIGITS = 4
UP_SHARE = 0.95  # robots that must stay up for a figure to count


class Measures(Protocol):
    """Does a case and says how it went: mean velocities of robots that stayed up (``evaluation.CaseEnv.run``)."""

    def __call__(self, case: Case) -> Mapping[str, Any]: ...


def responses(
    config: BodyConfig, measure: Measures, done: Callable[[float], None] = lambda share: None
) -> dict[str, dict[str, list[list[float]]]]:
    """``response`` and, forward and back being different for a walker, ``response_back`` of each velocity.

    Left is taken to be as right: telerig trains with mirror symmetry.  What achieves nothing is where a curve begins; it
    stops before the first figure that too few robots stayed up for, and leaves out those that do not rise.  An axis with no
    figure left is left out; where only going back has none, negative wishes are given as they are.
    """
    wanted = _commands(config)
    found: dict[str, dict[str, list[list[float]]]] = {}
    count, n = 0, sum(len(given) for _, _, given in wanted)
    for axis, sign, given in wanted:
        pairs = []
        for size in given:
            command = [0.0, 0.0, 0.0, STAND_M]
            command[AXES.index(axis)] = sign * size
            told = measure(Case("response", (command[0], command[1], command[2], command[3])))
            count += 1
            done(count / n)
            pairs.append([round(size, DIGITS), _achieved(told, axis, sign)])
        curve = _rising(pairs)
        if sign > 0 and len(curve) > 1:
            found[axis] = {"response": curve}
        elif sign < 0 and axis in found:
            found[axis]["response_back"] = curve if len(curve) > 1 else [[0.0, 0.0], [given[-1], given[-1]]]
    return found


def _commands(config: BodyConfig) -> list[tuple[str, float, tuple[float, ...]]]:
    """Axis, sign, sizes."""

    def sizes(most: float) -> tuple[float, ...]:
        return tuple(float(v) for v in np.round(np.array(SHARES) * most, DIGITS))

    found = [
        ("vx", 1.0, config.vx[1]), ("vx", -1.0, -config.vx[0]), ("vy", 1.0, config.vy[1]), ("yaw_rate", 1.0, config.yaw[1]),
    ]  # fmt: skip
    return [(axis, sign, sizes(most)) for axis, sign, most in found if most > 0]


def _achieved(told: Mapping[str, Any], axis: str, sign: float) -> float:
    if told["up"] < UP_SHARE * told["n"]:
        return float("nan")
    return round(sign * float(told[axis]), DIGITS)


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
