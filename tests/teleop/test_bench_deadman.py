"""telerig bench deadman: the judge notices every kind of failure, and the system does not fail."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.drivers.mujoco.motion_log import RECORD
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.wire.simbus import RobotMode
from telerig.teleop.bench import deadman, deadman_moment
from telerig.teleop.bench.deadman_judge import Verdict, driven_all_along, judge, moved_again, summary
from telerig.teleop.bench.deadman_stand import Stand
from telerig.teleop.bench.hands import COME_HOME_RAD_S, HeldHand
from telerig.teleop.bench.screen_log import event_shown, state_shown
from telerig.teleop.cli.main import main
from telerig.teleop.states import State

MS = 1_000_000
HOLD, DAMP, POSITION = RobotMode.HOLD, RobotMode.DAMP, RobotMode.POSITION


def log(*parts: tuple[int, float, RobotMode]) -> Any:
    """A motion log in 5 ms periods from −100 ms on: (until ms, speed, mode) after another."""
    rows = []
    t = -100
    for until, speed, mode in parts:
        while t < until:
            rows.append((t * MS, speed, mode, 0))
            t += 5
    return np.array(rows, RECORD)


STOP = ((5, 1.0, POSITION), (120, 1.1, POSITION), (160, 0.4, HOLD), (1000, 0.01, HOLD))


def test_a_robot_that_stands_and_then_sinks_damped_is_safe() -> None:
    found = judge(log(*STOP, (1600, 0.3, DAMP)), 0)
    assert found == Verdict(1.0, 155.0, 1000.0)
    assert not found.failed


@pytest.mark.parametrize(
    ("tail", "stopped", "damped"),
    [
        (((2000, 0.01, HOLD),), 155.0, math.inf),  # never damped
        (((1200, 0.01, HOLD), (2000, 0.3, DAMP)), 155.0, 1200.0),  # too late
        (((1000, 0.01, HOLD), (1005, 0.06, HOLD), (1050, 0.01, HOLD), (2000, 0.0, DAMP)), 1000.0, 1050.0),  # once more
        (((1020, 0.3, HOLD), (2000, 0.0, DAMP)), math.inf, 1020.0),  # damped while it moved
        (((1020, 0.3, DAMP), (1050, 0.01, HOLD), (2000, 0.3, DAMP)), 1015.0, 1050.0),  # sank, was held, sank
        (((1100, 0.0, DAMP), (1110, 0.0, HOLD), (2000, 0.0, DAMP)), 155.0, 1110.0),  # damped, but not for good
        (((1300, 0.0, DAMP),), math.inf, math.inf),  # the log ends: nobody knows
    ],
)
def test_every_other_end_is_a_failure(tail: Any, stopped: float, damped: float) -> None:
    found = judge(log(*STOP, *tail), 0)
    assert (found.stopped_ms, found.damped_ms, found.failed) == (stopped, damped, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"told_ms": 210.0},
        {"told_ms": math.inf},
        {"back_ms": 1001.0},
        {"back_ms": math.inf},
        {"resumed": True},
        {"latched": False},
    ],
    ids=str,
)
def test_a_device_that_comes_back_late_or_moves_the_robot_is_a_failure(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"told_ms": 20.0, "back_ms": 250.0, "resumed": False, "latched": True}
    assert not Verdict(1.0, 155.0, 1000.0, **good).failed
    bad = Verdict(1.0, 155.0, 1000.0, **(good | wrong))
    assert bad.failed
    row = summary([Verdict(1.0, 155.0, 1000.0, **good), bad])
    assert row["failures"] == 1
    told = {key: 1 if key == "latched" else None if value == math.inf else value for key, value in wrong.items()}
    assert all(row[key] == value for key, value in told.items())


@pytest.mark.parametrize(
    ("tail", "moved"),
    [
        (((2500, 0.3, DAMP),), False),  # it sinks
        (((1500, 0.3, DAMP), (2500, 0.01, HOLD)), False),
        (((1500, 0.3, DAMP), (2005, 0.0, POSITION), (2500, 0.0, DAMP)), True),  # for one period, to where it is
        (((1500, 0.3, DAMP), (2005, 0.1, HOLD), (2500, 0.0, DAMP)), True),
        (((1400, 0.0, POSITION), (2500, 0.0, DAMP)), False),  # before that instant
    ],
)
def test_a_robot_that_moves_after_a_return_is_seen_in_its_log(tail: Any, moved: bool) -> None:
    assert moved_again(log(*STOP, *tail), 1400 * MS) is moved


def test_a_loop_that_goes_on_damps_from_then() -> None:
    found = judge(log(*STOP, (1450, 0.01, HOLD), (2500, 0.3, DAMP)), 0, 1.9, again=500 * MS)
    assert found == Verdict(1.0, 155.0, 950.0)
    assert judge(log(*STOP, (1700, 0.01, HOLD), (2500, 0.3, DAMP)), 0, 1.9, again=500 * MS).failed


@pytest.mark.parametrize(
    ("parts", "driven"),
    [
        (((3000, 1.0, POSITION),), True),
        (((2990, 1.0, POSITION),), False),  # the log ends
        (((1000, 1.0, POSITION), (1005, 1.0, HOLD), (3000, 1.0, POSITION)), False),
        (((1000, 1.0, POSITION), (3000, 0.0, POSITION)), False),  # driven, it is said, but not moved
    ],
)
def test_a_robot_that_goes_on_is_driven_without_a_break(parts: Any, driven: bool) -> None:
    assert driven_all_along(log(*parts), 0, 2990 * MS) is driven


@pytest.mark.parametrize("damped", [5, 50])
def test_a_robot_that_goes_limp_in_motion_never_stopped(damped: int) -> None:
    found = judge(log((damped, 1.0, POSITION), (1600, 0.01, DAMP)), 0)
    assert (found.stopped_ms, found.damped_ms, found.failed) == (math.inf, damped, True)


def test_a_robot_that_stood_may_be_damped_at_once() -> None:
    found = judge(log((5, 0.01, HOLD), (1600, 0.4, DAMP)), 0)
    assert (found.stopped_ms, found.damped_ms, found.failed) == (0.0, 5.0, False)


def test_the_rows_are_what_is_asked_for() -> None:
    every = [deadman.row(t, n) for t, n in deadman.DeadmanBench().plan]
    assert set(every) == {*deadman.CAUSES, *(f"{t}/{s}" for t in deadman.TARGETS for s in deadman.SIGNALS)}
    bench = deadman.DeadmanBench(targets=("cli",), signals=("KILL",), causes=("estop",))
    assert bench.plan == [("", "estop"), ("cli", "KILL")]
    assert deadman.DeadmanBench(rows=("loop/KILL", "pedals")).plan == [("", "pedals"), ("loop", "KILL")]


def test_the_worst_moment_counts() -> None:
    row = summary([Verdict(1.0, 100.0, 1000.0), Verdict(1.0, 260.0, 1000.0), Verdict(1.0, 90.0, 950.0, orphans=1)])
    assert row == {
        "n": 3,
        "stopped_ms": 260.0,
        "damped_ms": 1000.0,
        "orphans": 1,
        "resumed": 0,
        "spontaneous": 0,
        "failures": 2,
    }
    assert summary([Verdict(1.0, math.inf, math.inf)])["stopped_ms"] is None  # JSON knows no infinity


def test_a_robot_that_need_not_stop_has_to_go_on() -> None:
    good = Verdict(1.0, math.inf, math.inf, told_ms=90.0, back_ms=250.0, went_on=True)
    assert not good.failed
    bad = replace(good, went_on=False)
    assert bad.failed
    assert replace(good, told_ms=210.0).failed
    row = summary([good, bad])
    assert (row["went_on"], row["failures"], row["told_ms"]) == (1, 1, 90.0)
    assert "stopped_ms" not in row


def test_stops_that_nobody_asked_for_are_counted_and_named() -> None:
    row = summary([Verdict(1.0, 100.0, 1000.0)], ["HOLD: exo_left", "HOLD: exo_left"])
    assert (row["spontaneous"], row["spontaneous_why"], row["failures"]) == (2, ["HOLD: exo_left"], 0)


def test_what_was_latched_and_continued_is_counted() -> None:
    stop = Verdict(1.0, 100.0, 1000.0)
    assert summary([replace(stop, latched=True), replace(stop, latched=False)])["latched"] == 1
    row = summary([replace(stop, continued=True), replace(stop, continued=False)])
    assert (row["continued"], row["failures"], "latched" in row) == (1, 0, False)


class Newest:
    """A stream with one sample."""

    def __init__(self, **data: Any) -> None:
        self._data = data

    def latest(self) -> Newest:
        return self

    def array(self, name: str) -> Any:
        return np.array(self._data[name])


def hand_sees(state: State, enable: bool, position: Any) -> Any:
    streams = {"session/state": Newest(state=int(state)), "session/operator": Newest(enable=int(enable))}
    return {**streams, "robot/state": Newest(position=position)}


def test_the_foot_stays_on_the_pedal_when_only_the_e_stop_may_stop() -> None:
    hand = HeldHand("g1_like", {"exo_left": ["left_arm"]}, pedals="pedals")
    hanging = np.zeros(100)

    def foot(enable: bool) -> float:
        return float(hand.step(0, hand_sees(State.ENGAGED, enable, hanging))["pedals"]["switches"][0])

    assert [foot(True), foot(False), foot(True)] == [1.0, 0.0, 1.0]
    hand.foot_stays = True
    assert foot(False) == 1.0
    hand.foot_stays = False
    assert foot(False) == 0.0


def test_the_arms_begin_where_the_robot_is_and_come_home() -> None:
    hand = HeldHand("g1_like", {"exo_left": ["left_arm"]}, amplitude=0.0)
    robot = load_embodiment("g1_like")
    names, group = robot.target("robot", "upper").names, robot.group("left_arm")
    home = np.array(group.home)
    away = np.clip(home + 0.2, group.low, group.high)
    position = np.zeros(len(names))
    position[[names.index(j) for j in group.joints]] = away

    def arm(ms: int, state: State) -> Any:
        return np.array(hand.step(ms * MS, hand_sees(state, True, position))["exo_left"]["angle"])

    np.testing.assert_allclose(arm(10, State.DAMPED), away)
    position[:] = 0.0  # from now on the robot follows the arms
    np.testing.assert_allclose(arm(20, State.MATCHING), away)
    np.testing.assert_allclose(arm(120, State.ENGAGED), np.maximum(away - 0.1 * COME_HOME_RAD_S, home))
    np.testing.assert_allclose(arm(1120, State.ENGAGED), home)


def frame(state: str, *lines: str) -> bytes:
    """One picture as rich draws it on a terminal, over the one before."""
    over = "\r\x1b[2K\x1b[1A\x1b[2K"
    rows = [f"{over}│  \x1b[37;42m {state} \x1b[0m  why: what to do   │", *(f"\x1b[1;31m{x}\x1b[0m  " for x in lines)]
    return ("\r\n".join(rows) + "\r\n").encode()


def test_the_operator_is_told_when_it_stands_on_the_screen() -> None:
    old, new = "   12.0  exo: exo is gone", "   15.3  exo: exo is gone"
    cut = len(frame("HOLD")) // 2
    chunks = [
        (100, frame("ENGAGED", old)),
        (300, frame("ENGAGED", "   15.2  loop: HOLD exo", old)),  # the event of before, and another's
        (400, frame("HOLD")[:cut]),
        (500, frame("HOLD")[cut:]),  # complete only now
        (600, frame("HOLD", old, new)),
    ]
    assert state_shown(chunks, 200) == 500
    assert state_shown(chunks, 200, "HOLD") == 500
    assert state_shown(chunks, 200, "ESTOP") is None
    assert event_shown(chunks, 200, "exo", "exo is gone") == 600
    assert event_shown(chunks, 200, "glove", "exo is gone") is None
    assert state_shown(chunks[:2], 200) is None


def test_what_nobody_can_stop_is_refused() -> None:
    for key in ("targets", "signals", "causes", "rows"):
        with pytest.raises(ConfigError, match=f"--{key} nonsense"):
            deadman.DeadmanBench(**{key: ("nonsense",)})


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


@pytest.mark.realtime
@pytest.mark.timeout(240)
def test_the_simulated_robot_stops_whatever_stops(tmp_path: Path) -> None:
    """Order and causes; times have their limits in the benchmark, on a machine that does nothing else."""
    stand, rng = Stand(tmp_path), random.Random(0)
    try:
        rows = (("", "estop"), ("", "exo_right"), ("recorder", "STOP"), ("loop", "STOP"), ("cli", "KILL"))
        for target, name in rows:
            verdict = deadman_moment.strike(stand, rng, target, name).verdict
            assert not verdict.resumed, target
            assert verdict.continued is (True if name == "STOP" else None), target
            assert verdict.latched is (True if name == "estop" else None), target
            if name == "exo_right":
                assert max(verdict.told_ms or math.inf, verdict.back_ms or math.inf) < math.inf
            assert verdict.speed > 0.05, target
            assert verdict.stopped_ms < verdict.damped_ms < math.inf, target
            assert verdict.orphans == 0, target
    finally:
        stand.close()
