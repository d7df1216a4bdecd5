"""Writing files so that a reader, or the next start after a crash, sees the old content or the new, never half."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telerig.hardware.errors import DataError


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder last through a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside the file, fsync, rename over it, fsync the folder."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, indented, one trailing newline: the same value gives the same bytes."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """:func:`write_atomic` of a JSON object."""
    write_atomic(path, json_bytes(value))


def read_json(path: Path) -> dict[str, Any]:
    """:raises DataError: no such file, or not one JSON object."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not JSON: {error}")
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds {type(value).__name__}, not one JSON object")
    return value
