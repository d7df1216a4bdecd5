"""Figures name the commit they were measured at, by themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from telerig.teleop.bench.origin import commit_of, origin


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "teleop").mkdir()
    (tmp_path / "docs").mkdir()
    for name in ("teleop/a.py", "teleop/b.py", "docs/figures.json", "README.md"):
        (tmp_path / name).write_text("1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_the_commit_and_whether_code_was_changed(checkout: Path) -> None:
    source, head = checkout / "teleop" / "a.py", git(checkout, "rev-parse", "HEAD")
    assert commit_of(source) == head
    (checkout / "docs" / "figures.json").write_text("")  # where the figure is about to be written
    (checkout / "README.md").write_text("2\n")
    (checkout / "out.json").write_text("not tracked")
    assert commit_of(source) == head
    (checkout / "teleop" / "b.py").write_text("2\n")
    assert commit_of(source) == head + "+"


def test_an_environment_within_somebody_elses_checkout_has_no_commit(checkout: Path) -> None:
    installed = checkout / ".venv" / "machine.py"
    installed.parent.mkdir()
    installed.write_text("")
    assert commit_of(installed) is None


def test_without_git_or_a_checkout_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_of(tmp_path / "a.py") is None
    monkeypatch.setenv("PATH", "")
    assert commit_of(Path(__file__)) is None


def test_the_first_answer_is_kept() -> None:
    assert set(origin()) == {"commit", "version"}
    assert origin() is origin()
