"""What a recording really holds, read back from its logs and the emulators' journals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from telerig.datasets.rawlog_reader import RawLog
from telerig.teleop.bench.loop_bench import arm_streams, latencies_ms, percentiles
from telerig.teleop.bench.losses import lost_samples, recorded_counts
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import Rig


def recording_figures(
    rig: Rig,
    session: Path,
    journals: Path,
    target: str,
    progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
) -> dict[str, Any]:
    """Loop rate and jitter, latency, samples and losses, frames, over all kept episodes of a session.

    :param progress: wraps the episodes' logs, to show a bar.
    :return: None for what cannot be known, because nothing was kept.
    """
    plans = plan_devices(rig)
    devices = {n: p.streams[0].name for n, p in plans.items() if p.device.rig.emulate}
    cameras = {s.name: s.rate_hz for p in plans.values() for s in p.streams if s.name.endswith("/color")}
    errors, latency, spans, ticks = [], [], [], 0
    samples = lost = frames = 0
    due = 0.0
    for log in progress(sorted((session / "episodes").glob("*.mcap"))):
        with RawLog(log) as raw:
            fields = raw.columns("loop/ticks").fields
            started, wanted = fields["started"].ravel().astype(np.int64), fields["due"].ravel().astype(np.int64)
            latency.append(latencies_ms(raw, target, arm_streams(rig)))
            frames += sum(raw.counts.get(c, 0) for c in cameras)
        if started.size < 2:
            continue
        span = (started[-1] - started[0]) / 1e9
        errors.append(np.abs(started - wanted) / 1e6)
        spans.append(span)
        ticks += started.size - 1
        due += sum(span * rate for rate in cameras.values())
        samples += sum(recorded_counts(log).values())
        lost += sum(lost_samples(journals, devices, log).values())
    error, delay = (percentiles(np.concatenate(found or [np.array([])])) for found in (errors, latency))
    return {
        "loop_rate_hz": round(ticks / sum(spans), 3) if spans else None,
        "period_error_ms_p99": _known(error["p99"]),
        "latency_ms_p99": _known(delay["p99"]),
        "latency_ms_p50": _known(delay["p50"]),
        "samples": samples,
        "lost_samples": lost,
        "frames": [frames, round(due)],
        "recorded_episodes": len(spans),
        "recorded_seconds": round(sum(spans), 1),
    }


def read_back(rig: Rig, session: Path, run: Path) -> dict[str, Any]:
    """:func:`recording_figures` of an emulated humanoid's session and the journals beside it, with a progress bar."""
    from telerig.datasets.progress import bar

    reading = bar("reading back", lambda log: log.stem)
    return recording_figures(rig, session, run / "journals", "robot/upper", reading)


def _known(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None
