"""Honest statistics for success rates: Wilson's interval and McNemar's exact test on paired seeds.

E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209; Q. McNemar, Psychometrika 12 (1947) 153.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a success probability; (0, 1) without trials.

    :raises ValueError: not 0 ≤ successes ≤ trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / trials
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / scale
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Two-sided exact p-value that two policies differ, from outcomes on the same seeds in the same order.

    Only seeds on which they disagree count; 1.0 when there is none.

    :raises ValueError: the lists are not equally long.
    """
    if len(first) != len(second):
        raise ValueError(f"paired outcomes need equal numbers, not {len(first)} and {len(second)}")
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    n = only_first + only_second
    tail = sum(comb(n, k) for k in range(min(only_first, only_second) + 1)) / 2**n
    return min(1.0, 2.0 * float(tail))
