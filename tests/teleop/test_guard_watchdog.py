"""The guard's watchdog half: it stops the robot when nobody speaks, and is not talked into moving it again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.commands import Mode, Source

from .guard_worker import ARM, BASE, MS, T0, Worker


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_a_command_is_carried_out_once(worker: Worker) -> None:
    assert worker.cycle(50) == []  # before the first command the robot stays as it was opened
    (action,) = worker.send()
    assert (action.mode, action.command_seq, action.changed, action.clamped) == (Mode.JOINT_POSITION, 1, True, False)
    assert action.command is not None
    np.testing.assert_array_equal(action.command.data, (0.5, 0.5))
    assert worker.cycle(90) == []
    assert worker.codes() == []


def test_silence_holds_after_the_ttl_and_damps_a_second_after_the_command_once_each(worker: Worker) -> None:
    worker.send()
    sent = worker.now
    worker.log.clear()
    worker.cycle(3000)
    assert [(t - sent, a.mode, a.changed, a.command_seq) for t, a in worker.log] == [
        (102 * MS, Mode.HOLD, True, -1),
        (1000 * MS, Mode.DAMP, True, -1),
    ]
    assert worker.watchdog.tripped == ARM.name
    assert worker.codes() == ["guard.watchdog.hold", "guard.watchdog.damp"]


def test_a_loop_that_goes_on_after_a_suspension_cannot_resume_the_motion(worker: Worker) -> None:
    worker.send()
    worker.cycle(200)
    for _ in range(5):
        assert worker.send() == []
    assert "guard.refused.tripped" in worker.codes()
    (action,) = worker.send(mode=Mode.HOLD)
    assert (action.mode, action.changed) == (Mode.HOLD, False)
    assert worker.watchdog.tripped is None
    (action,) = worker.send()
    assert (action.mode, action.changed) == (Mode.JOINT_POSITION, True)


def test_a_base_is_rearmed_by_the_guard_s_own_command() -> None:
    worker = Worker(BASE)
    worker.send()
    worker.cycle(200)
    assert worker.send() == []
    (action,) = worker.send(source=Source.GUARD)
    assert action.mode is Mode.BASE_VELOCITY_HEIGHT


def test_commanded_hold_and_damp_are_edges_too(worker: Worker) -> None:
    worker.send()
    changes = [worker.send(mode=m)[0].changed for m in (Mode.HOLD, Mode.HOLD, Mode.DAMP, Mode.DAMP, Mode.HOLD)]
    assert changes == [True, False, True, False, True]
    worker.send(mode=Mode.HOLD)
    assert [a.mode for a in worker.cycle(3000)] == [Mode.DAMP]  # a dead loop does not hold for ever


def test_a_damped_robot_is_not_stiffened_by_silence(worker: Worker) -> None:
    worker.send(mode=Mode.DAMP)
    assert worker.cycle(3000) == []


def test_hard_clamp(worker: Worker) -> None:
    (action,) = worker.send(data=np.array((5.0, -0.5)))
    assert action.clamped
    np.testing.assert_array_equal(action.data, (1.0, -0.5))
    assert action.command is not None
    np.testing.assert_array_equal(action.command.data, (1.0, -0.5))
    assert worker.codes() == ["guard.refused.clamped"]


BAD: dict[str, dict[str, Any]] = {
    "not_finite": {"data": np.array((math.nan, 0.0))},
    "size": {"data": np.zeros(3)},
    "data": {"data": "abc"},
    "mode": {"mode": Mode.JOINT_TORQUE},
    "target": {"target": "robot/leg"},
    "future": {"t_issued": T0 + 1_000 * MS},
    "expired": {"t_issued": T0 - 200 * MS},
    "ttl": {"ttl_ns": 0},
    "type": {"t_issued": "never"},
}


@pytest.mark.parametrize("code", BAD)
def test_bad_commands_are_refused_and_do_not_keep_the_robot_alive(worker: Worker, code: str) -> None:
    worker.send()
    modes = []
    for _ in range(60):
        modes += [a.mode for a in worker.send(**BAD[code])]
    assert modes == [Mode.HOLD]
    assert f"guard.refused.{code}" in worker.codes()


def test_order(worker: Worker) -> None:
    worker.send(seq=10)
    assert worker.send(seq=9) == []
    assert worker.send(seq=10) == []
    assert worker.codes() == ["guard.refused.order"]
    assert worker.send(seq=11, t_issued=worker.now - 50 * MS) == []
    assert len(worker.send(seq=12)) == 1
    assert worker.send(seq=1) == []
    assert len(worker.send(seq=1, mode=Mode.HOLD)) == 1  # a loop that was started anew begins with a HOLD
    assert len(worker.send(seq=2)) == 1


def test_a_fault_of_its_own_holds_then_damps(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.send()
    worker.newest = worker.command()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("telerig.teleop.guard_watchdog.objection", broken)
    assert [a.mode for a in worker.cycle(2000)] == [Mode.HOLD, Mode.DAMP]
    assert "guard.refused.internal" in worker.codes()


def _garbage() -> st.SearchStrategy[dict[str, Any]]:
    numbers = st.one_of(st.integers(-(2**62), 2**62), st.none(), st.just("x"), st.floats())
    data = st.one_of(st.lists(st.floats(), max_size=3), st.none(), st.text(max_size=2), st.just([0.1, 0.2]))
    return st.fixed_dictionaries(
        {},
        optional={
            "seq": st.integers(-5, 50), "t_issued": numbers, "ttl_ns": numbers, "data": data, "source": numbers,
            "mode": st.one_of(st.sampled_from(Mode), numbers), "target": st.sampled_from(["robot/arm", "", "x"]),
        },
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_garbage(), st.booleans(), st.sampled_from([2, 4, 150, 1500])), max_size=25))
def test_never_raises_never_sends_what_is_not_finite_or_outside_and_stops_in_time(
    plan: list[tuple[dict[str, Any], bool, int]],
) -> None:
    worker = Worker()
    worker.send()
    for how, estop, gap in plan:
        worker.newest = worker.command(**how)
        actions = worker.watchdog.step(worker.now, {ARM.name: worker.newest}, estop)
        for action in actions:
            assert np.isfinite(action.data).all()
            assert (np.abs(action.data) <= 1.0).all()
            assert not (estop and action.mode not in (Mode.HOLD, Mode.DAMP))
        worker.newest = None
        worker.log.clear()
        worker.now += 2 * MS
        worker.cycle(gap)
        assert all(a.mode in (Mode.HOLD, Mode.DAMP) for _, a in worker.log)
    worker.cycle(4000)
    assert worker.watchdog._targets[0].mode is Mode.DAMP
