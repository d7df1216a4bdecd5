"""What ``telerig demo --ci`` insists on: that the closing table is whole and possible, not that anything succeeded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_LOST = 0.01  # share of samples; on a machine that also does other work
MIN_RATE = 0.75  # share of the rig's rate


def complaints(result: Mapping[str, Any], rate_hz: float, episodes: int, rollouts: int) -> list[str]:
    """What is wrong with a demo's figures, one line each; none if they can be true.

    :param result: what ``demo`` returns.
    :param rate_hz: the rig's control rate.
    """
    rendered, due = result["frames"]
    training, dataset = result["training"], result["dataset"]
    checks = {
        f"loop rate {result['loop_rate_hz']} Hz of {rate_hz:g}": MIN_RATE
        < (result["loop_rate_hz"] or 0.0) / rate_hz
        < 1.01,
        f"period error p99 {result['period_error_ms_p99']} ms": 0.0 < (result["period_error_ms_p99"] or 0.0) < 1e3,
        f"latency p99 {result['latency_ms_p99']} ms": 0.0 < (result["latency_ms_p99"] or 0.0) < 1e3,
        f"{result['samples']} samples in {result['recorded_seconds']} s": result["samples"] > 10 * rate_hz,
        f"{result['lost_samples']} samples lost": 0 <= result["lost_samples"] <= MAX_LOST * result["samples"],
        f"{rendered} frames rendered of {due}": 0 < rendered <= due + 2 * episodes * 2,  # both ends of an episode
        f"operator: {result['operator_success']} of {episodes} trials": result["operator_success"][1] == episodes,
        f"policy: {result['policy_success']} of {rollouts} rollouts": result["policy_success"][1] == rollouts,
        f"dataset of {dataset['episodes']} episodes, {dataset['rows']} rows": 0 < dataset["episodes"] <= episodes
        and dataset["rows"] > 0,
        f"training: {training['steps']} steps, loss {training['loss']}": training["steps"] > 0
        and math.isfinite(training["loss"]),
    }
    missing = [f"{name}: {path} is not there" for name, path in result["paths"].items() if not Path(path).exists()]
    return [what for what, fine in checks.items() if not fine] + missing
