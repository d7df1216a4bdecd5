"""telerig bench deadman: the judge notices every kind of failure, and the summary counts it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from telerig.drivers.mujoco.motion_log import RECORD
from telerig.hardware.wire.simbus import RobotMode
from telerig.teleop.bench.deadman_judge import Verdict, driven_all_along, judge, moved_again, summary

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
