"""Which code a figure was measured with, found out by the program so that nobody types it in by hand."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import telerig

NO_CODE = (":(top,exclude)docs", ":(top,exclude)tests", ":(top,exclude)*.md")  # changes there change no figure


@cache
def origin() -> dict[str, str | None]:
    """``commit``: hash of the checkout the package runs from, "+" behind it where code there is changed and not
    committed, None where it is not a checkout (or git is not there); ``version``: the package's.

    Ask when a measurement begins: the first answer is kept, because the checkout may move on meanwhile.
    """
    return {"commit": commit_of(Path(__file__).resolve()), "version": telerig.__version__}


def commit_of(source: Path) -> str | None:
    """The commit of the checkout that ``source`` (a file) is part of, as :func:`origin` gives it.

    A file that merely lies in somebody's checkout (an environment within it) is not part of it.
    """
    if _git(source.parent, "ls-files", "--error-unmatch", "--", source.name) is None:
        return None
    commit = _git(source.parent, "rev-parse", "HEAD")
    changed = _git(source.parent, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", *NO_CODE)
    return None if commit is None else commit + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # looking must not get into the way of who commits
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False, env=environment
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
