"""telerig bench deadman --into: rows join those of an earlier run, and what is no result is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from telerig.hardware.errors import ConfigError
from telerig.teleop.bench import deadman, deadman_moment
from telerig.teleop.bench.deadman_judge import Verdict
from telerig.teleop.cli.main import main


def figures(failures: int = 0, **row: Any) -> dict[str, Any]:
    counts = {"orphans": 0, "resumed": 0, "spontaneous": 0, "failures": failures}
    return {"n": 20, "stopped_ms": 100.0, "damped_ms": 1000.0, **row, **counts}


EARLIER = {
    "estop": figures(),
    "loop/KILL": figures(3, stopped_ms=300.0, commit="older", machine={"cores": 9}),
    "moments": 20,
    "stopped_ms": 300.0,
    "damped_ms": 1000.0,
    "failures": 3,
    "commit": "old",
    "version": "0.0.9",
    "machine": {"cores": 2},
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is struck, in place of a session that is.  Every row is measured at commit ``new``."""
    struck: list[str] = []

    def strike(stand: Any, rng: Any, target: str, name: str, early: bool) -> Any:
        struck.append(deadman.row(target, name))
        return deadman_moment.Struck(Verdict(1.0, 120.0, 950.0))

    monkeypatch.setattr(deadman, "strike", strike)
    monkeypatch.setattr(deadman, "origin", lambda: {"commit": "new", "version": "0.1.0"})
    return struck


@pytest.mark.parametrize("before", ["", "told on the way\n{}\n"])
def test_rows_are_put_into_an_earlier_result(
    tmp_path: Path, measured: list[str], before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "all.json"
    file.write_text(before + json.dumps(EARLIER, indent=None if before else 1))
    bench = deadman.DeadmanBench(2, rows=("loop/KILL", "pedals"))
    deadman.run_deadman_bench(bench, True, file)
    assert measured == ["pedals"] * 2 + ["loop/KILL"] * 2
    result = json.loads(file.read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    rows = {name: row for name, row in result.items() if isinstance(row, dict)}
    assert {name: row["commit"] for name, row in rows.items()} == {"estop": "old", "loop/KILL": "new", "pedals": "new"}
    assert rows["estop"] == figures() | {"commit": "old", "machine": {"cores": 2}}
    assert rows["loop/KILL"]["stopped_ms"] == 120.0
    assert rows["loop/KILL"]["machine"]["cores"] != 9
    assert (result["stopped_ms"], result["damped_ms"], result["failures"], result["moments"]) == (120.0, 1000.0, 0, 2)
    assert "commit" not in result
    assert [f.name for f in tmp_path.iterdir()] == ["all.json"]
    measured.clear()
    deadman.run_deadman_bench(deadman.DeadmanBench(2, rows=("released",)), False, file)  # what it wrote it takes
    assert list(json.loads(file.read_text()))[:4] == ["estop", "loop/KILL", "pedals", "released"]


def test_a_file_that_is_not_there_yet_is_made(tmp_path: Path, measured: list[str]) -> None:
    file = tmp_path / "new.json"
    deadman.run_deadman_bench(deadman.DeadmanBench(1, rows=("estop",)), False, file)
    assert json.loads(file.read_text())["estop"]["commit"] == "new"


def test_the_figures_in_the_documentation_are_such_a_result() -> None:
    figures_file = Path(__file__).parents[2] / "docs" / "figures" / "bench_deadman.json"
    rows = deadman.read_rows(figures_file, deadman.ROWS)
    assert rows
    assert all(row["commit"] for row in rows.values())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "neither the file nor its last line"),
        ("[1]", "neither the file nor its last line"),
        ("{}", "it has no rows"),
        (json.dumps({"moments": 20, "failures": 0}), "it has no rows"),
        (json.dumps({"rate_hz": 200.0}), "'rate_hz' is no row"),  # of another benchmark
        (json.dumps({"estop": figures(), "loop/TERM": figures()}), "'loop/TERM' is no row"),
        (json.dumps({"estop": 3}), "'estop' holds int"),
        (json.dumps({"estop": {"n": 20}}), "'estop' has resumed = None"),
        (json.dumps({"estop": figures(stopped_ms=math.nan)}), "'estop' has stopped_ms = nan"),
        (json.dumps({"estop": figures(told_ms="soon")}), "'estop' has told_ms = 'soon'"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_is_no_result_is_refused_before_anything_is_measured(
    tmp_path: Path, measured: list[str], content: str | bytes, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = file.read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["bench", "deadman", "--rows", "estop", "--moments", "1", "--into", str(file)])
    told = capsys.readouterr().err.strip().splitlines()
    assert (ended.value.code, len(told), measured) == (2, 1, [])
    assert words in told[0]
    assert file.read_bytes() == before


def test_a_folder_that_is_not_there_is_told_before_anything_is_measured(tmp_path: Path, measured: list[str]) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        deadman.run_deadman_bench(deadman.DeadmanBench(1, rows=("estop",)), False, tmp_path / "no" / "a.json")
    assert not measured
