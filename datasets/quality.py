"""What is wrong with an episode, found when it is built: gaps, losses, stale rows, dead joints, frozen images, idleness.

Checks are per stream and per joint: whole-vector tests miss a single dead joint (RoboMIND's published data show it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.assemble import Assembled, Track
from telerig.datasets.rawlog_schema import IMAGE, kind_of

GAP_PERIODS = 4.0
RATE_SHARE = 0.9  # of the nominal rate
STUCK = 1e-4  # rad: a joint that was told to move further than this and did not
TOLD = 0.02  # rad
IDLE_SPEED = 0.01  # rad/s
IDLE_S = 1.0
MIN_SPAN_S = 0.5  # a rate of fewer seconds says little
FROZEN_FRAMES = 5  # the same bytes this often in a row: real sensors have noise


def report(episode: Assembled, losses: dict[str, int]) -> dict[str, Any]:
    """The quality report of one episode, plain values for JSON.

    ``verdict`` is ``pass`` or ``warn``; ``warnings`` are lines for people, each naming the stream or joint.

    :param losses: samples that the recorder's taps lost, by stream.
    """
    warnings: list[str] = []
    streams = {name: _stream(name, track, losses.get(name, 0), warnings) for name, track in episode.tracks.items()}
    stuck = _stuck(episode)
    warnings += [f"{joint} was told to move and did not" for joint in stuck]
    idle = _idle(episode)
    warnings += [f"idle for {idle[k]:.1f} s at the {k}" for k in ("start", "end") if idle[k] > IDLE_S]
    return {
        "verdict": "warn" if warnings else "pass",
        "warnings": warnings,
        "streams": streams,
        "stuck_joints": stuck,
        "idle_s": idle,
        "lost": sum(losses.values()),
    }


def _stream(name: str, track: Track, lost: int, warnings: list[str]) -> dict[str, Any]:
    columns, aligned = track.columns, track.aligned
    seen = aligned.seen
    ages = aligned.age_ns[seen] / 1e6
    span = (int(columns.t_sample.max()) - int(columns.t_sample.min())) / 1e9 if len(columns) > 1 else 0.0
    gaps = np.diff(np.sort(columns.t_sample)) / 1e9
    out: dict[str, Any] = {
        "samples": len(columns),
        "rate_hz": round((len(columns) - 1) / span, 3) if span > 0 else 0.0,
        "max_gap_s": round(float(gaps.max()), 6) if len(gaps) else 0.0,
        "max_age_ms": round(float(ages.max()), 3) if len(ages) else None,
        "invalid_rows": int((~track.valid).sum()),
        "repeated_rows": int(aligned.repeated.sum()),
        "lost": lost,
        "missing": _missing(columns.seq),
        "invalid_samples": int((~columns.valid.all(axis=1)).sum()),
    }
    if lost:
        warnings.append(f"{name}: {lost} samples lost while recording")
    if _is_regular(track):
        if gaps.size and out["max_gap_s"] > GAP_PERIODS / track.spec.rate_hz:
            warnings.append(f"{name}: a gap of {1e3 * out['max_gap_s']:.0f} ms")
        if span > MIN_SPAN_S and out["rate_hz"] < RATE_SHARE * track.spec.rate_hz:
            warnings.append(f"{name}: {out['rate_hz']:.1f} Hz instead of {track.spec.rate_hz:g}")
    if out["invalid_samples"]:
        warnings.append(f"{name}: {out['invalid_samples']} samples with invalid elements")
    if track.blobs is not None and kind_of(track.spec) == IMAGE:
        out["frozen_frames"] = _frozen(track)
        if out["frozen_frames"] >= FROZEN_FRAMES:
            warnings.append(f"{name}: the same image {out['frozen_frames'] + 1} times in a row")
    return out


def _is_regular(track: Track) -> bool:
    """Streams of a device or a command path come at their rate; `session/…` come when something happens."""
    return not track.spec.name.startswith(("session/", "recorder/"))


def _missing(seq: NDArray[np.int64]) -> int:
    """Numbers missing in the stream's own count (taps report the same losses as they happen)."""
    if len(seq) < 2 or (seq < 0).any():
        return 0
    return int(seq.max() - seq.min() + 1 - len(np.unique(seq)))


def _frozen(track: Track) -> int:
    """The longest run of repeated images, counted in frames (0: never twice the same)."""
    assert track.blobs is not None
    longest = run = 0
    for i in range(1, len(track.columns)):
        same = track.sizes[i] == track.sizes[i - 1] and track.blobs(i) == track.blobs(i - 1)
        run = run + 1 if same else 0
        longest = max(longest, run)
    return longest


def _stuck(episode: Assembled) -> list[str]:
    """Joints whose command moved and whose measurement did not."""
    sent, measured = episode.arrays["action/sent"], episode.arrays["puppet/joint_position"]
    if len(sent) < 2:
        return []
    told = np.nanmax(sent, axis=0) - np.nanmin(sent, axis=0)
    moved = np.nan_to_num(np.nanmax(measured, axis=0) - np.nanmin(measured, axis=0))
    return [j for j, t, m in zip(episode.roles.joints, told, moved, strict=True) if t > TOLD and m < STUCK]


def _idle(episode: Assembled) -> dict[str, float]:
    """Seconds at both ends in which no sent joint moved faster than :data:`IDLE_SPEED`."""
    rows, sent = episode.rows, episode.arrays["action/sent"]
    if len(rows) < 2:
        return {"start": 0.0, "end": 0.0}
    speed = np.abs(np.diff(sent, axis=0)).max(axis=1) / (np.diff(rows) / 1e9)
    moving = np.flatnonzero(speed > IDLE_SPEED)
    total = float(rows[-1] - rows[0]) / 1e9
    if not len(moving):
        return {"start": round(total, 3), "end": round(total, 3)}
    start, end = rows[moving[0]] - rows[0], rows[-1] - rows[moving[-1] + 1]
    return {"start": round(float(start) / 1e9, 3), "end": round(float(end) / 1e9, 3)}
