"""Rows of the dead man's test from several runs in one file, each naming the commit and machine it was measured with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telerig.datasets.files import write_atomic
from telerig.hardware.errors import ConfigError

TIMES = ("stopped_ms", "damped_ms", "told_ms", "back_ms")
COUNTS = ("resumed", "orphans", "spontaneous", "failures")
BESIDE = {*TIMES, *COUNTS, "moments", "commit", "version", "machine", "note"}  # what a result holds besides its rows
NOTE = "one run a row; rows name their commits"


def totals(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The worst of each time over rows that have it (None: never), and the sum of each count."""

    def worst(key: str) -> float | None:
        values = [row[key] for row in rows.values() if key in row]
        return None if None in values else max(values, default=0.0)

    times = {key: worst(key) for key in TIMES if any(key in row for row in rows.values())}
    return {**times, **{key: sum(row[key] for row in rows.values()) for key in COUNTS}}


def read_rows(path: Path, known: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The rows of a result: the file itself or its last line is the object.  {}: there is no such file yet.

    A row that does not name its commit and machine has the result's.

    :param known: names that a row may have.
    :raises ConfigError: the file's folder does not exist, or the file is not such a result.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"--into {path}: there is no folder {path.parent}")
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"--into {path}: cannot be read: {error}")
    found = _object(text)
    if found is None:
        raise ConfigError(f"--into {path}: neither the file nor its last line is one JSON object")
    rows = {name: value for name, value in found.items() if name not in BESIDE}
    for name, value in rows.items():
        if (wrong := _wrong(name, value, known)) is not None:
            raise ConfigError(f"--into {path}: not a result of telerig bench deadman: {wrong}")
    if not rows:
        raise ConfigError(f"--into {path}: not a result of telerig bench deadman: it has no rows")
    made = _made(found)
    return {name: {**row, **{k: v for k, v in made.items() if k not in row}} for name, row in rows.items()}


def joined(kept: Mapping[str, Mapping[str, Any]], fresh: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Rows that were kept and those of a fresh result, which win, as one result.

    :param kept: of :func:`read_rows`;  ``fresh``: of one run, its commit and machine beside its rows.
    """
    new = {name: {**value, **_made(fresh)} for name, value in fresh.items() if name in known}
    rows: dict[str, Any] = {**kept, **new}
    moments = min(row["n"] for row in rows.values())
    return {**rows, "moments": moments, **totals(rows), "version": fresh["version"], "note": NOTE}


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """The whole file anew, atomically.  :raises ConfigError: it cannot be written."""
    try:
        write_atomic(path, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ConfigError(f"--into {path}: cannot be written: {error}")


def _object(text: str) -> dict[str, Any] | None:
    for part in (text, (text.strip().splitlines() or [""])[-1]):
        try:
            found = json.loads(part)
        except ValueError:
            continue
        return found if isinstance(found, dict) else None
    return None


def _made(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("commit", "machine") if key in result}


def _wrong(name: str, row: Any, known: tuple[str, ...]) -> str | None:
    """What is wrong with a row, or None."""
    if name not in known:
        return f"{name!r} is no row of it"
    if not isinstance(row, dict):
        return f"{name!r} holds {type(row).__name__}"
    counts = [key for key in ("n", *COUNTS) if not isinstance(row.get(key), int) or row[key] < 0]
    times = [key for key in TIMES if not _is_time(row.get(key))]
    if bad := counts + times:
        return f"{name!r} has {bad[0]} = {row.get(bad[0])!r}"
    return None


def _is_time(value: Any) -> bool:
    """None stands for "never"; a row that lacks a time has none."""
    return value is None or (isinstance(value, int | float) and math.isfinite(value) and value >= 0)
