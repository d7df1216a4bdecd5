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


def episode_files(path: Path) -> list[Path]:
    """The recordings behind a path, in order: a log or ``.hdf5`` is itself, a session or dataset is all its episodes.

    A session without closed episodes is its open ones, else its ``session.mcap`` (events and states only).

    :raises DataError: none of these, or nothing was recorded.
    """
    if path.is_file():
        if path.suffix not in (".mcap", ".partial", ".hdf5", ".h5"):
            raise DataError(f"{path}: not a recording; a session, an .mcap log, a dataset or an .hdf5 episode is right")
        return [path]
    if (path / "session.json").exists():
        closed = sorted((path / "episodes").glob("*.mcap"))
        found = closed or sorted((path / "episodes").glob("*.partial")) or sorted(path.glob("session*.mcap"))
    elif (path / "dataset.json").exists():
        found = sorted((path / "episodes").glob("*.hdf5"))
    elif path.is_dir():
        found = sorted(p for p in path.glob("*") if p.suffix in (".mcap", ".hdf5"))
    else:
        raise DataError(f"{path}: no such file or folder")
    if not found:
        raise DataError(f"{path}: holds no recording (expected session.json, dataset.json, .mcap or .hdf5 files)")
    return found


def choose_episodes(path: Path, numbers: Sequence[int] = ()) -> list[Path]:
    """Those of :func:`episode_files` with these numbers (as in their names); no numbers: all.

    :raises DataError: there is no such episode; the text says which there are.
    """
    found = episode_files(path)
    by_number = {int(p.name.split(".", 1)[0]): p for p in found if p.name.split(".", 1)[0].isdigit()}
    for number in numbers:
        if number not in by_number:
            have = f"{min(by_number)} to {max(by_number)}" if by_number else "none"
            raise DataError(f"{path}: has no episode {number} (it has {have})")
    return [by_number[n] for n in numbers] if numbers else found
