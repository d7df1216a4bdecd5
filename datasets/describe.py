"""What a path holds, for ``telerig info``: as plain values, and as tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from telerig.datasets.dataset import Dataset, EpisodeFile
from telerig.datasets.files import read_json
from telerig.datasets.rawlog_container import MAGIC
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.session_folder import SessionFolder, is_changed
from telerig.hardware.errors import DataError


def describe(path: Path) -> dict[str, Any]:
    """``kind`` (session, log, dataset, episode) and what goes with it.  :raises DataError: none of these."""
    path = Path(path)
    if (path / "session.json").exists():
        return _session(path)
    if (path / "dataset.json").exists():
        return _dataset(path)
    if path.suffix == ".hdf5":
        return _episode(path)
    if path.is_file():
        return _log(path)
    what = "no such file or folder" if not path.exists() else "neither session nor dataset"
    raise DataError(f"{path}: {what} (expected session.json, dataset.json, an .hdf5 or an .mcap file)")


def _log(path: Path) -> dict[str, Any]:
    with RawLog(path) as log:
        span = log.span
        seconds = 0.0 if span is None else (span[1] - span[0]) / 1e9
        streams = {
            name: {"samples": n, "rate_hz": spec.rate_hz, "fields": [f.name for f in spec.fields]}
            for name, spec in log.specs.items()
            for n in (log.counts[name],)
        }
        return {
            "kind": "log", "path": str(path), "complete": log.complete, "seconds": seconds, "bytes": path.stat().st_size,
            "rig": log.meta.get("rig"), "embodiment": (log.meta.get("embodiment") or {}).get("name"), "streams": streams,
            "episode": log.episode,
        } | ({} if log.complete else _hint(path))  # fmt: skip


def _session(path: Path) -> dict[str, Any]:
    folder = SessionFolder.open(path)
    episodes = []
    unclosed = [p.name for p in folder.session_logs() if not _ends(p)] + [p.name for p in folder.partials()]
    for log in (*folder.logs(), *sorted(folder.bin.glob("*.mcap"))):
        side = folder.sidecar(log)
        facts: dict[str, Any] = read_json(side) if side.exists() else {"name": log.stem, "interrupted": True}
        if not side.exists() or is_changed(log, facts):
            unclosed.append(log.name)
        keys = ("name", "task", "outcome", "kept", "interrupted", "duration_s", "lost")
        entry: dict[str, Any] = {k: facts.get(k) for k in keys} | {"bytes": log.stat().st_size}
        entry["samples"] = sum(int(s.get("count", 0)) for s in (facts.get("streams") or {}).values())
        episodes.append(entry)
    info = folder.info
    hint = _hint(path) if unclosed else {}
    return {
        "kind": "session", "path": str(path), "rig": info.get("rig"), "simulated": info.get("simulated"),
        "embodiment": (info.get("embodiment") or {}).get("name"), "episodes": episodes,
        "unclosed": unclosed, "versions": info.get("versions"),
    } | hint  # fmt: skip


def _hint(path: Path) -> dict[str, str]:
    return {"hint": f"cut short, or being written; keep what is left: telerig repair {path}"}


def _ends(log: Path) -> bool:
    """Whether a log ends with the magic bytes it began with; its inside is not read."""
    with log.open("rb") as file:
        size, magic = file.seek(0, 2), len(MAGIC)
        file.seek(max(0, size - magic))
        return size > magic and file.read() == MAGIC


def _dataset(path: Path) -> dict[str, Any]:
    data = Dataset.open(path)
    keys = (
        "rows",
        "rate_hz",
        "target",
        "joints",
        "tasks",
        "outcomes",
        "skipped",
        "failed",
        "content_hash",
        "statistics",
    )
    return {
        "kind": "dataset", "path": str(path), "embodiment": data.meta["embodiment"].get("name"),
        "cameras": sorted(data.meta["cameras"]), "depth_cameras": sorted(data.meta["depth_cameras"]),
        "episodes": [{k: e[k] for k in ("name", "rows", "outcome", "task", "verdict", "bytes")} for e in data.meta["episodes"]],
    } | {k: data.meta[k] for k in keys}  # fmt: skip


def _episode(path: Path) -> dict[str, Any]:
    episode = EpisodeFile(path)
    try:
        return {
            "kind": "episode", "path": str(path), "rows": episode.rows, "task": episode.task, "outcome": episode.outcome,
            "cameras": list(episode.cameras), "keys": list(episode.keys()), "quality": episode.meta["quality"],
        }  # fmt: skip
    finally:
        episode.close()


def tables(found: dict[str, Any]) -> Iterator[Any]:
    """What :func:`describe` found, as rich tables."""
    from rich.table import Table

    def table(title: str, rows: list[tuple[Any, ...]], *columns: str) -> Any:
        out = Table(
            *columns, title=title or None, title_justify="left", show_header=bool(columns), box=None, pad_edge=False
        )
        for row in rows:
            out.add_row(*("" if v is None else str(v) for v in row))
        return out

    plain = [(k, v) for k, v in found.items() if not isinstance(v, list | dict)]
    plain += [
        (k, ", ".join(map(str, v))) for k, v in found.items() if isinstance(v, list) and v and isinstance(v[0], str)
    ]
    yield table("", [row for row in plain if row[0] not in ("path", "keys")])
    rows: list[tuple[Any, ...]]
    if found["kind"] == "session":
        rows = [
            (
                e["name"],
                _state(e),
                e["task"],
                f"{e['duration_s'] or 0:.1f}",
                e["samples"],
                e["lost"],
                f"{e['bytes'] / 1e6:.1f}",
            )
            for e in found["episodes"]
        ]
        yield table("episodes", rows, "episode", "outcome", "task", "s", "samples", "lost", "MB")
    elif found["kind"] == "log":
        rows = [(n, s["samples"], f"{s['rate_hz']:g}", ", ".join(s["fields"])) for n, s in found["streams"].items()]
        yield table("streams", rows, "stream", "samples", "nominal Hz", "fields")
    elif found["kind"] == "dataset":
        rows = [(e["name"], e["rows"], e["outcome"], e["verdict"], e["task"]) for e in found["episodes"]]
        yield table("episodes", rows, "episode", "rows", "outcome", "quality", "task")
    else:
        streams = found["quality"]["streams"]
        rows = [
            (n, s["samples"], s["rate_hz"], s["max_age_ms"], s["invalid_rows"], s["lost"]) for n, s in streams.items()
        ]
        yield table("streams", rows, "stream", "samples", "Hz", "max age ms", "invalid rows", "lost")
        yield table("warnings", [(w,) for w in found["quality"]["warnings"]])


def _state(episode: dict[str, Any]) -> str:
    if episode["interrupted"]:
        return "interrupted"
    return str(episode["outcome"] or "kept") if episode["kept"] else "discarded"
