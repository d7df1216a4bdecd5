"""Which sessions a path means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from telerig.hardware.errors import DataError


def expand_sessions(paths: Sequence[Path]) -> list[Path]:
    """Session folders: each path is one, or a folder that holds some (sorted by name).

    :raises DataError: a path is neither.
    """
    found: list[Path] = []
    for path in paths:
        if (path / "session.json").exists():
            found.append(path)
            continue
        inside = sorted(p.parent for p in path.glob("*/session.json"))
        if not inside:
            what = "no such folder" if not path.exists() else "not a session folder, and holds none (no session.json)"
            raise DataError(f"{path}: {what}")
        found += inside
    return found
