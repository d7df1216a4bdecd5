"""Sessions to a dataset: a folder with one HDF5 file an episode.  Pure and repeatable: the same logs, the same bytes.

The dataset is made beside its final place and renamed when it is whole, so a killed build leaves either nothing or all.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import telerig
from telerig.datasets.assemble import Assembled, BuildOptions, assemble
from telerig.datasets.episode_file import episode_statistics, write_episode
from telerig.datasets.files import read_json, sync_folder, write_json
from telerig.datasets.quality import report
from telerig.datasets.rawlog_calibration import intrinsics
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.roles import Roles, find_roles
from telerig.datasets.session_folder import SessionFolder
from telerig.datasets.statistics import Statistics
from telerig.hardware.embodiment import parse_embodiment
from telerig.hardware.errors import ConfigError, DataError

DATASET_VERSION = 1
OUTCOMES = ("all", "success")


@dataclass(frozen=True, slots=True)
class Source:
    """A recorded episode that is to be built."""

    session: SessionFolder
    log: Path
    sidecar: dict[str, Any]


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


def select(sessions: Sequence[Path], outcome: str = "all") -> tuple[list[Source], dict[str, int]]:
    """The kept episodes of some sessions, in order, and how many others there are, by reason.

    :param outcome: ``success`` (only those labelled so) or ``all`` (every kept one, labelled or not).
    :raises ConfigError: no session, one twice, or an unknown outcome.
    :raises DataError: a folder is not a session, or a closed log lacks its sidecar.
    """
    if outcome not in OUTCOMES:
        raise ConfigError(f"--outcome {outcome}: choose one of {', '.join(OUTCOMES)}")
    resolved = [Path(p).resolve() for p in sessions]
    if not resolved or len(set(resolved)) < len(resolved):
        raise ConfigError("give at least one session, each once")
    found: list[Source] = []
    skipped: dict[str, int] = {}
    for path in sessions:
        session = SessionFolder.open(path)
        for log in session.logs():
            if not session.sidecar(log).exists():
                raise DataError(f"{log}: was never finished; run: telerig repair {path}")
            sidecar = read_json(session.sidecar(log))
            reason = _reason(sidecar, outcome)
            if reason:
                skipped[reason] = skipped.get(reason, 0) + 1
            else:
                found.append(Source(session, log, sidecar))
        if session.partials():
            skipped["not closed (telerig repair)"] = skipped.get("not closed (telerig repair)", 0) + len(
                session.partials()
            )
        if n := len(list(session.bin.glob("*.mcap"))):
            skipped["discarded"] = skipped.get("discarded", 0) + n
    return found, skipped


def _reason(sidecar: dict[str, Any], outcome: str) -> str | None:
    if sidecar.get("interrupted"):
        return "interrupted"
    if not sidecar.get("kept"):
        return "discarded"
    if outcome == "success" and sidecar.get("outcome") != "success":
        return "not labelled success"
    return None


def build(
    sessions: Sequence[Path],
    out: Path,
    options: BuildOptions | None = None,
    outcome: str = "all",
    progress: Callable[[Iterable[Source]], Iterable[Source]] = iter,
) -> BuildReport:
    """Build a dataset.

    :param out: a new or empty folder.
    :param progress: wraps the episodes, to show a bar.
    :raises ConfigError: ``out`` is not empty, or the arguments do not fit the recordings.
    :raises DataError: nothing to build, sessions of different embodiments, or a damaged log.
    """
    options = options or BuildOptions()
    if options.clock not in ("sample", "arrival"):
        raise ConfigError(f"--clock {options.clock}: choose sample or arrival")
    if not 0 < options.rate_hz <= 1000:
        raise ConfigError(f"--rate {options.rate_hz:g}: rows a second, more than 0 and at most 1000")
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: is not empty; nothing is overwritten, give a new folder with --out")
    sources, skipped = select(sessions, outcome)
    if not sources:
        reasons = ", ".join(f"{n} {why}" for why, n in skipped.items()) or "none recorded"
        raise DataError(f"no episode to build: {reasons}")
    tables = _one_embodiment(sources)
    building = out.with_name(f".{out.name}.building")
    shutil.rmtree(building, ignore_errors=True)  # what a killed build left
    (building / "episodes").mkdir(parents=True)
    result = BuildReport(out, skipped=skipped)
    try:
        _build_all(building, sources, tables, options, outcome, progress, result)
        if out.exists():
            out.rmdir()
        building.rename(out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync_folder(out.resolve().parent)
    return result


def _one_embodiment(sources: Sequence[Source]) -> dict[str, Any]:
    tables: dict[str, Any] | None = None
    for source in sources:
        found = source.session.info.get("embodiment") or {}
        if tables is None:
            tables = found
        elif (found.get("name"), found.get("version")) != (tables.get("name"), tables.get("version")):
            this, other = (f"{t.get('name')} version {t.get('version')}" for t in (found, tables))
            raise DataError(
                f"{source.session.path}: recorded with embodiment {this}, the sessions before it with {other}: "
                "build one dataset each"
            )
    return tables or {}


def _build_all(
    folder: Path,
    sources: Sequence[Source],
    tables: dict[str, Any],
    options: BuildOptions,
    outcome: str,
    progress: Callable[[Iterable[Source]], Iterable[Source]],
    result: BuildReport,
) -> None:
    embodiment = parse_embodiment(tables) if "groups" in tables else None
    roles: Roles | None = None
    entries: list[dict[str, Any]] = []
    total: dict[str, Statistics] = {}
    meta: dict[str, Any] = {}
    for source in progress(sources):
        with RawLog(source.log) as log:
            try:
                found = find_roles(log.specs, options.target)
                episode = assemble(log, found, options, embodiment)
            except DataError as error:
                result.failed.append(str(error).replace(str(source.log), source.log.name))
                continue
            if roles is not None and _signature(found) != _signature(roles):
                raise DataError(f"{source.log}: has other joints or cameras than the episodes before it")
            roles = found
            name = f"{len(entries) + 1:06d}"
            path = folder / "episodes" / f"{name}.hdf5"
            meta = _episode_meta(source, log, episode, options, tables)
            statistics = episode_statistics(episode)
            write_episode(path, episode, statistics, meta, options.depth)
        entries.append(_entry(name, path, episode, meta))
        for key, part in statistics.items():
            total[key] = total[key] + part if key in total else part
        result.rows += len(episode.rows)
        result.seconds += len(episode.rows) / options.rate_hz
        result.bytes += path.stat().st_size
        result.warnings += [f"{source.log.name}: {w}" for w in meta["quality"]["warnings"]]
    if not entries:
        raise DataError(f"no episode could be built: {result.failed[0]}")
    result.episodes = len(entries)
    result.content_hash = content_hash(entries)
    write_json(folder / "dataset.json", _dataset_meta(meta, entries, total, options, outcome, result))


def _signature(roles: Roles) -> Any:
    """What must be the same in all of a dataset's episodes; the rest may vary."""
    return replace(roles, numeric=())


def _episode_meta(
    source: Source, log: RawLog, episode: Assembled, options: BuildOptions, tables: dict[str, Any]
) -> dict[str, Any]:
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


def _entry(name: str, path: Path, episode: Assembled, meta: dict[str, Any]) -> dict[str, Any]:
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


def _dataset_meta(
    meta: dict[str, Any],
    entries: list[dict[str, Any]],
    total: dict[str, Statistics],
    options: BuildOptions,
    outcome: str,
    result: BuildReport,
) -> dict[str, Any]:
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
