"""Sessions to a dataset: a folder with one HDF5 file an episode.  Pure and repeatable: the same logs, the same bytes.

The dataset is made beside its final place and renamed when it is whole, so a killed build leaves either nothing or all.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from telerig.datasets.assemble import BuildOptions, assemble
from telerig.datasets.build_meta import BuildReport, content_hash, dataset_meta, entry, episode_meta
from telerig.datasets.episode_file import episode_statistics, write_episode
from telerig.datasets.files import sync_folder, write_json
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.roles import Roles, find_roles
from telerig.datasets.sources import Source, select
from telerig.datasets.statistics import Statistics
from telerig.hardware.embodiment import parse_embodiment
from telerig.hardware.errors import ConfigError, DataError


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
            meta = episode_meta(source, log, episode, options, tables)
            statistics = episode_statistics(episode)
            write_episode(path, episode, statistics, meta, options.depth)
        entries.append(entry(name, path, episode, meta))
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
    write_json(folder / "dataset.json", dataset_meta(meta, entries, total, options, outcome, result))


def _signature(roles: Roles) -> Any:
    """What must be the same in all of a dataset's episodes; the rest may vary."""
    return replace(roles, numeric=())
