"""The guard's watchdog half and the e-stop: a hold at once, damping 0.9 s after the last motion, latched."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.commands import Mode, Source
from telerig.teleop.guard_watchdog import Watchdog

from .guard_worker import ARM, BASE, MS, Humanoid, Worker


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_estop_holds_at_once_and_damps_0_9_s_later_whatever_is_sent(worker: Worker) -> None:
    worker.send()
    sent = worker.now
    worker.now += 2 * MS
    worker.log.clear()
    for mode in (Mode.JOINT_POSITION, Mode.HOLD, Mode.DAMP, Mode.JOINT_POSITION):
        worker.newest = worker.command(mode=mode)
        worker.cycle(400, estop=True)
    assert [(t - sent, a.mode, a.changed, a.command_seq) for t, a in worker.log] == [
        (2 * MS, Mode.HOLD, True, -1),
        (900 * MS, Mode.DAMP, True, -1),
    ]
    assert worker.codes() == ["guard.estop"]


def test_estop_takes_its_course_though_its_word_is_cleared_and_the_loop_dead(worker: Worker) -> None:
    worker.send()
    sent = worker.now
    worker.log.clear()
    worker.cycle(100, estop=True)
    worker.cycle(3000)
    assert [(t - sent, a.mode) for t, a in worker.log] == [(0, Mode.HOLD), (900 * MS, Mode.DAMP)]


@pytest.mark.parametrize("holding", [100, 600])
def test_estop_while_holding_does_not_hold_longer(worker: Worker, holding: int) -> None:
    worker.send()
    sent = worker.now
    while worker.now - sent < holding * MS:
        worker.send(mode=Mode.HOLD)
    worker.log.clear()
    worker.cycle(3000, estop=True)
    assert [(a.mode, a.changed) for _, a in worker.log] == [(Mode.HOLD, False), (Mode.DAMP, True)]
    assert worker.log[-1][0] - sent == 900 * MS


def test_estop_damps_at_once_what_has_stood_for_longer(worker: Worker) -> None:
    worker.send()
    sent = worker.now
    while worker.now - sent < 900 * MS:
        worker.send(mode=Mode.HOLD)
    worker.log.clear()
    worker.cycle(3000, estop=True)
    assert [(a.mode, a.changed) for _, a in worker.log] == [(Mode.DAMP, True)]


def test_estop_leaves_a_damped_robot_damped(worker: Worker) -> None:
    worker.send()
    worker.send(mode=Mode.DAMP)  # long before the 0.9 s are over
    assert [(a.mode, a.changed) for a in worker.cycle(3000, estop=True)] == [(Mode.DAMP, False)]


def test_estop_needs_a_command_issued_after_its_reset(worker: Worker) -> None:
    worker.send()
    (action,) = worker.cycle(estop=True)
    assert (action.mode, action.changed) == (Mode.HOLD, True)
    assert [a.mode for a in worker.cycle(1000, estop=True)] == [Mode.DAMP]
    worker.newest = worker.command(mode=Mode.HOLD)
    assert worker.cycle(50, estop=True) == []
    during = worker.command(mode=Mode.HOLD)
    worker.now += 2 * MS
    assert worker.cycle() == []  # the word is cleared; nothing happens by itself
    worker.newest = during
    assert worker.cycle() == []
    assert worker.send() == []  # a position is not what comes first
    (action,) = worker.send(mode=Mode.HOLD)
    assert (action.mode, action.changed) == (Mode.HOLD, True)
    assert worker.send()[0].mode is Mode.JOINT_POSITION
    codes = worker.codes()
    assert codes.count("guard.estop") == 1
    assert "guard.refused.estop" in codes


def test_estop_before_any_command(worker: Worker) -> None:
    assert [a.mode for a in worker.cycle(100, estop=True)] == [
        Mode.DAMP
    ]  # nobody knows it to move: a limp arm stays limp


@pytest.mark.parametrize("base", [Source.OPERATOR, Source.GUARD])  # engaged; homing, or an agent without a base
def test_estop_stands_a_base_at_its_height_at_once_and_damps_it_with_the_arms(base: Source) -> None:
    robot = Humanoid()
    robot.send(Mode.JOINT_POSITION, base, 50)
    assert robot.alone(2000, estop=True) == [
        (2, ARM.name, Mode.HOLD, True),
        (2, BASE.name, Mode.HOLD, False),
        (900, ARM.name, Mode.DAMP, True),
        (900, BASE.name, Mode.DAMP, True),
    ]


@pytest.mark.parametrize("estop", [False, True])
def test_a_base_that_is_stopped_does_not_stiffen_damped_arms(estop: bool) -> None:
    robot = Humanoid()
    robot.send(Mode.JOINT_POSITION, Source.OPERATOR)
    robot.send(Mode.DAMP, Source.GUARD, 200)
    assert not [a for a in robot.alone(3000, estop) if a[2] is Mode.HOLD and a[3]]


def test_a_base_that_the_guard_keeps_at_rest_does_not_count_as_motion() -> None:
    robot = Humanoid()
    robot.send(Mode.JOINT_POSITION, Source.OPERATOR)
    robot.send(Mode.HOLD, Source.GUARD, 1000)
    assert [(t, mode) for t, _, mode, _ in robot.alone(2000, estop=True)] == [(2, Mode.DAMP)] * 2


SENT = st.sampled_from([None, Mode.JOINT_POSITION, Mode.JOINT_POSITION, Mode.HOLD, Mode.DAMP])
PHASES = st.lists(st.tuples(SENT, st.integers(1, 300)), max_size=6)


@settings(max_examples=150, deadline=None)
@given(PHASES, PHASES, st.integers(1, 700))
def test_estop_holds_at_once_damps_within_0_9_s_and_is_latched(
    before: list[tuple[Mode | None, int]], after: list[tuple[Mode | None, int]], pressed: int
) -> None:
    """Whatever was and is sent; ``pressed``: cycles of 2 ms until the word is cleared, which nobody answers."""
    worker = Worker()
    for mode, cycles in before:
        for _ in range(cycles):
            if mode is None:
                worker.now += 2 * MS
                worker.cycle()
            else:
                worker.send(mode=mode)
    was = worker.watchdog._targets[0].mode
    worker.log.clear()
    start, sent = worker.now + 2 * MS, iter([mode for mode, cycles in after for _ in range(cycles)])
    for _ in range(pressed):
        worker.now += 2 * MS
        if (mode := next(sent, None)) is not None:
            worker.newest = worker.command(mode=mode)
        worker.cycle(estop=True)
    worker.cycle(1000)
    assert all(a.mode in (Mode.HOLD, Mode.DAMP) and a.command is None for _, a in worker.log)
    assert worker.log[0][0] == start  # at once
    modes = [a.mode for _, a in worker.log]
    assert modes in ([Mode.HOLD, Mode.DAMP], [Mode.DAMP])
    assert modes == [Mode.DAMP] if was in (None, Mode.DAMP) else True
    assert worker.log[-1][0] - start <= 900 * MS


def test_a_base_on_legs_is_never_damped_for_silence() -> None:
    robot = Humanoid()
    robot.watchdog = Watchdog((ARM, BASE), "robot", standing=(BASE.name,))
    robot.send(Mode.JOINT_POSITION, Source.OPERATOR, 50)
    done = robot.alone(5000, estop=False)
    assert [(target, mode) for _, target, mode, _ in done] == [
        (ARM.name, Mode.HOLD),
        (BASE.name, Mode.HOLD),
        (ARM.name, Mode.DAMP),
    ]
    assert max(t for t, target, _, _ in done if target == BASE.name) <= 102
    assert [(t, target, mode) for t, target, mode, _ in robot.alone(100, estop=True)] == [
        (2, ARM.name, Mode.DAMP),
        (2, BASE.name, Mode.DAMP),
    ]


def test_a_fall_damps_at_once() -> None:
    robot = Humanoid()
    robot.watchdog = Watchdog((ARM, BASE), "robot", standing=(BASE.name,))
    robot.send(Mode.JOINT_POSITION, Source.OPERATOR, 50)
    robot.watchdog.fell()
    assert [(t, mode) for t, _, mode, _ in robot.alone(2000, estop=True)] == [(2, Mode.DAMP), (2, Mode.DAMP)]
