"""Replacing a folder as a whole: readers see the old one or the new one, never a mixture."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable
from pathlib import Path

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


def replace_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Write a folder beside ``path`` with ``fill``, sync it to disk and put it in ``path``'s place.

    On Linux the exchange is atomic (``renameat2``); elsewhere the old folder is moved aside first.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.parent / f".{path.name}.new-{os.getpid()}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        fill(new)
        for item in (*new.rglob("*"), new):
            _sync(item)
        if not path.exists():
            new.rename(path)
        elif not _exchange(new, path):
            old = path.parent / f".{path.name}.old-{os.getpid()}"
            path.rename(old)
            new.rename(path)
            shutil.rmtree(old)
        _sync(path.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two paths atomically; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0)
