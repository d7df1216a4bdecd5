"""telerig bench crash: kills that must cost nothing, and an oracle that notices when they do."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from telerig.datasets.recording import RecorderCore
from telerig.datasets.session_folder import SessionInfo
from telerig.drivers.emulation_journal import RECORD, JournalWriter
from telerig.hardware.samples import Sample
from telerig.hardware.specs import NONE, ArraySpec, StreamSpec
from telerig.teleop.bench import crash
from telerig.teleop.bench.crash_build import repair_cut_files
from telerig.teleop.bench.crash_oracle import episode_missing, is_readable, messages, missing, open_lost_s

MS = 1_000_000
SPEC = StreamSpec("glove/joints", (ArraySpec("flexion", (16,)),), 100.0)


def sent(n: int) -> np.ndarray:
    """A journal of ``n`` samples, 10 ms apart."""
    out = np.zeros(n, RECORD)
    out["t_ns"], out["seq"] = np.arange(n) * 10 * MS, np.arange(n)
    return out


def test_what_is_missing_is_counted_with_and_without_numbers() -> None:
    numbers, arrivals = np.arange(200), np.arange(200) * 10 * MS + MS
    none = np.full(200, NONE)
    late = slice(None, 180)  # the last 150 ms may still be under way
    for given in (numbers, none):
        assert missing(sent(200), given[late], arrivals[late], 0, 1900 * MS) == 0
        assert missing(sent(200), given[:150], arrivals[:150], 0, 1900 * MS) == 26  # 150 … 175
        assert missing(sent(200), np.delete(given, [70, 71]), np.delete(arrivals, [70, 71]), 0, 1900 * MS) == 2
        assert missing(sent(200), given[30:], arrivals[30:], 0, 1900 * MS) == 0  # a recorder takes a moment to begin
        assert missing(sent(200), given[80:], arrivals[80:], 0, 1900 * MS) == 30
        assert missing(sent(200), given[:0], arrivals[:0], 0, 1900 * MS) == 126


def recorded(folder: Path, n: int, leave_out: int | None = None, close: bool = True) -> tuple[Path, dict[str, Path]]:
    """An episode of ``n`` samples, and the journal of what was sent."""
    journal = JournalWriter(folder / "glove.journal")
    core = RecorderCore(folder / "session", [SPEC], SessionInfo("rig", {"name": "arm", "version": 1}, 0), 0)
    core.start(0)
    for k in range(n):
        t = k * 10 * MS
        journal(t, k)
        if k != leave_out:
            core.take(SPEC.name, [Sample(SPEC.name, t + MS, t, {"flexion": np.zeros(16)}, 0, t, k)])
    journal.close()
    if close:
        log = core.keep(n * 10 * MS)
        core.close(n * 10 * MS)
        assert log is not None
        return log, {SPEC.name: folder / "glove.journal"}
    core.sync()
    (log,) = (folder / "session" / "episodes").glob("*.partial")
    return log, {SPEC.name: folder / "glove.journal"}


def test_a_lost_sample_of_a_kept_episode_is_found_out(tmp_path: Path) -> None:
    for name, left_out, expected in (("whole", None, 0), ("holed", 90, 1)):
        (tmp_path / name).mkdir()
        log, journals = recorded(tmp_path / name, 150, left_out)
        assert episode_missing(log, journals, 0, 1500 * MS) == expected


def test_an_open_log_is_read_up_to_where_it_ends(tmp_path: Path) -> None:
    log, journals = recorded(tmp_path, 100, close=False)
    assert not is_readable(log)
    whole = messages(log)
    assert whole is not None
    assert len(whole) >= 100
    lost, gaps = open_lost_s(log, journals, 0, 1200 * MS)
    assert (round(lost, 3), gaps) == (0.209, 0)  # the newest arrived at 0.991 s


def test_cut_files_are_repaired_and_a_bad_repair_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = recorded(tmp_path, 200)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert repair_cut_files([log], 5, tmp_path / "a", random.Random(1)) == (5, 0)
    monkeypatch.setattr("telerig.teleop.bench.crash_build.repair", lambda path: None)
    assert repair_cut_files([log], 5, tmp_path / "b", random.Random(1)) == (0, 5)


@pytest.mark.realtime
@pytest.mark.timeout(240)
def test_two_kills_cost_nothing_that_was_kept() -> None:
    seen: list[float] = []
    figures = crash.measure(kills=2, seed=3, progress=seen.append)
    assert figures["faults"] == []
    assert figures["kills_by_phase"] == {"mid": 1, "build": 1}
    assert (figures["closed"], figures["closed_lost"], figures["unreadable"], figures["builds_broken"]) == (1, 0, 0, 0)
    assert (figures["repaired"], figures["repair_failed"]) == (5, 0)
    assert 0 < figures["open_lost_s_max"] <= 1.0
    assert seen == sorted(seen)
