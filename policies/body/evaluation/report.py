"""From trials to the table: figures a case, and which bars are met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from telerig.policies.body.evaluation.cases import Case
from telerig.policies.body.evaluation.trial import Trial

_NAMES = ("vx", "vy", "yaw_rate", "height")
HALF = 0.5  # of a command: what achieves less counts as nothing


def row(case: Case, trials: Sequence[Trial]) -> dict[str, Any]:
    """A case's figures: ``n``, ``up``, ``tracking_error``, ``tilt_deg_max``, means over those that stayed up, the bar.

    ``tracking_error`` is the mean over robots of what ``bar.of`` says: height error m, share of the commanded velocities (the
    worse of two), or speed error m/s.
    """
    standing = [t for t in trials if t.up]
    errors = [tracking_error(case, t) for t in standing]
    error = round(float(np.mean(errors)), 4) if errors else None
    needed = math.ceil(case.up * len(trials) - 1e-9)
    met = len(standing) >= needed and (case.within is None or (error is not None and error <= case.within))
    means = np.mean([t.mean for t in standing], axis=0) if standing and not case.random else None
    return {
        "n": len(trials), "up": len(standing), "tracking_error": error,
        "tilt_deg_max": round(max(t.tilt_deg for t in standing), 1) if standing else None,
        "asked": dict(zip(_NAMES, case.command, strict=True)) if not case.random else None,
        **({k: round(float(v), 4) for k, v in zip(_NAMES, means, strict=True)} if means is not None else {}),
        "height_error": round(float(np.mean([t.height_error for t in standing])), 4) if standing else None,
        "down_s": [round(t.down_s, 2) for t in trials if t.down_s is not None],
        "bar": {"up": needed, "within": case.within, "of": case.measure}, "met": met,
    }  # fmt: skip


def tracking_error(case: Case, trial: Trial) -> float:
    """How far one robot is off what it was asked; see :func:`row`."""
    asked, done = np.array(case.command[:3]), np.array(trial.mean[:3])
    moved = np.abs(asked) > 0
    if case.measure == "height":
        return trial.height_error
    off = np.abs(done - asked)[moved]
    return float(off.max() if case.tracked == "speed" else (off / np.abs(asked[moved])).max())


def dead_band_row(case: Case, trials: Mapping[float, Sequence[Trial]]) -> dict[str, Any]:
    """The dead band: the largest command of the grid of which less than half is achieved; 0 if there is none."""
    axis = _NAMES[int(np.argmax(np.abs(case.command[:3])))]
    points, everyone = [], [t for group in trials.values() for t in group]
    for given, group in trials.items():
        found = [t.mean[_NAMES.index(axis)] for t in group if t.up]
        points.append((given, round(float(np.mean(found)), 4) if found else None))
    nothing = [given for given, achieved in points if achieved is None or achieved < HALF * given]
    band, up = max(nothing, default=0.0), [t for t in everyone if t.up]
    return {
        "n": len(everyone), "up": len(up), "tracking_error": None,
        "tilt_deg_max": round(max(t.tilt_deg for t in up), 1) if up else None,
        "dead_band": band, "axis": axis, "given_achieved": points,
        "down_s": [round(t.down_s, 2) for t in everyone if t.down_s is not None],
        "bar": {"up": None, "within": case.within, "of": "dead_band"}, "met": band < (case.within or math.inf),
    }  # fmt: skip


def skipped_row(case: Case, lacking: str) -> dict[str, Any]:
    """A case that the policy cannot be asked."""
    return {
        "n": 0, "up": 0, "tracking_error": None, "tilt_deg_max": None, "skipped": f"takes no command {lacking}",
        "bar": {"up": None, "within": case.within, "of": case.measure}, "met": False,
    }  # fmt: skip


def summary(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as ``cases``, and which bars are met and missed."""
    met = [name for name, r in rows.items() if r["met"]]
    return {"cases": dict(rows), "bars": {"met": met, "missed": [name for name in rows if name not in met]}}
