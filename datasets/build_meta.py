"""What a built dataset says about itself and its episodes: everything in its files that is not a measurement."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import telerig
from telerig.datasets.assemble import Assembled, BuildOptions
from telerig.datasets.quality import report
from telerig.datasets.rawlog_calibration import intrinsics
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.session_folder import SessionFolder
from telerig.datasets.sources import Source
from telerig.datasets.statistics import Statistics

DATASET_VERSION = 1


@dataclass
class BuildReport:
    """What was built.

    :param skipped: recorded episodes that were left out, by reason.
    :param failed: episodes that cannot be aligned, with the reason (they are left out, too).
    """

    out: Path
    episodes: int = 0
    rows: int = 0
    seconds: float = 0.0
    bytes: int = 0
    warnings: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    content_hash: str = ""

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self) | {"out": str(self.out)}


def episode_meta(
    source: Source, log: RawLog, episode: Assembled, options: BuildOptions, tables: dict[str, Any]
) -> dict[str, Any]:
    """An episode's ``meta``: where it comes from, what its columns are, and how good it is."""
    side = source.sidecar
    losses = {n: int(s.get("lost") or 0) for n, s in (side.get("streams") or {}).items()}
    return {
        "schema_version": DATASET_VERSION,
        "software": f"telerig {telerig.__version__}",
        "source": {
            "session": source.session.path.resolve().name,
            "episode": side["name"],
            "sha256": side.get("sha256"),
        },
        "rig": log.meta.get("rig", ""),
        "simulated": bool(log.meta.get("simulated", False)),
        "task": side.get("task", ""),
        "outcome": side.get("outcome"),
        "cause": side.get("cause"),
        "embodiment": tables,
        "surroundings": log.meta.get("surroundings") or {},
        "target": episode.roles.target,
        "joints": list(episode.roles.joints),
        "unit": episode.roles.unit,
        "low": None if episode.roles.low is None else list(episode.roles.low),
        "high": None if episode.roles.high is None else list(episode.roles.high),
        "base": None
        if episode.roles.base is None
        else list(log.specs[f"{episode.roles.base}/sent"].array("data").axes),
        "rate_hz": options.rate_hz,
        "clock": options.clock,
        "interpolated": options.interpolate,
        "rows": len(episode.rows),
        "cameras": {c: _camera(log, s, source.session) for c, s in episode.roles.cameras.items()},
        "depth_cameras": {c: _camera(log, s, source.session) for c, s in episode.roles.depths.items()}
        if options.depth
        else {},
        "streams": {n: t.spec.to_json() for n, t in episode.tracks.items()},
        "epoch_offset_ns": log.meta.get("epoch_offset_ns"),
        "versions": log.meta.get("versions", {}),
        "calibration": log.meta.get("calibration", {}),
        "events": episode.events,
        "quality": report(episode, losses),
    }


def _camera(log: RawLog, stream: str, session: SessionFolder) -> dict[str, Any]:
    """Intrinsics as declared by the camera, extrinsics (pose in a robot frame) as calibrated, None where unknown."""
    blob = log.specs[stream].blobs[0]
    calibration = log.meta.get("calibration", {}).get(stream.split("/", 1)[0], {})
    extrinsics = calibration.get("extrinsics") if isinstance(calibration, dict) else None
    return {
        "stream": stream,
        "frame": blob.frame,
        "intrinsics": intrinsics(log.specs[stream]),
        "extrinsics": extrinsics if extrinsics is not None else blob.meta.get("extrinsics"),
    }


def entry(name: str, path: Path, episode: Assembled, meta: dict[str, Any]) -> dict[str, Any]:
    """An episode's line in ``dataset.json``."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "name": name,
        "file": f"episodes/{path.name}",
        "rows": len(episode.rows),
        "outcome": meta["outcome"],
        "task": meta["task"],
        "source": meta["source"],
        "verdict": meta["quality"]["verdict"],
        "bytes": path.stat().st_size,
        "sha256": digest,
    }


def content_hash(entries: Sequence[dict[str, Any]]) -> str:
    """SHA-256 over the episode files' own hashes, in order."""
    return hashlib.sha256("\n".join(e["sha256"] for e in entries).encode()).hexdigest()


def dataset_meta(
    meta: dict[str, Any],
    entries: list[dict[str, Any]],
    total: dict[str, Statistics],
    options: BuildOptions,
    outcome: str,
    result: BuildReport,
) -> dict[str, Any]:
    """``dataset.json``.

    :param meta: of any episode; what is taken from it is the same in all.
    :param total: statistics over all episodes.
    """
    shared = (
        "software",
        "embodiment",
        "target",
        "joints",
        "unit",
        "low",
        "high",
        "base",
        "rate_hz",
        "clock",
        "interpolated",
    )
    return {key: meta[key] for key in shared} | {
        "schema_version": DATASET_VERSION,
        "cameras": meta["cameras"],
        "depth_cameras": meta["depth_cameras"],
        "simulated": meta["simulated"],
        "outcome": outcome,
        "rows": result.rows,
        "tasks": sorted({e["task"] for e in entries}),
        "outcomes": {str(o): sum(e["outcome"] == o for e in entries) for o in {e["outcome"] for e in entries}},
        "skipped": result.skipped,
        "failed": result.failed,
        "statistics": {key: value.summary() for key, value in total.items()},
        "episodes": entries,
        "content_hash": result.content_hash,
    }
