"""telerig bench deadman: the judge notices every kind of failure, and the system does not fail."""

from __future__ import annotations

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
