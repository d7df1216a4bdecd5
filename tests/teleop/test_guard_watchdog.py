"""The guard's watchdog half: it stops the robot when nobody speaks, and is not talked into moving it again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.commands import Command, Mode, Source, TargetSpec
from telerig.teleop.guard_watchdog import Action, Watchdog

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
ARM = TargetSpec(
    "robot/arm", Mode.JOINT_POSITION, ("a", "b"), (-1.0, -1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0)
)
BASE = TargetSpec(
    "robot/base", Mode.BASE_VELOCITY_HEIGHT, ("vx", "vy", "yaw", "h"), (-1.0, -1.0, -1.0, 0.2), (1.0, 1.0, 1.0, 0.7),
    (1.0,) * 4, (1.0,) * 4, (0.0, 0.0, 0.0, 0.7),
)  # fmt: skip


class Worker:
    """A watchdog in its worker, 2 ms a cycle, that remembers the newest command as a stream would."""

    def __init__(self, target: TargetSpec = ARM) -> None:
        self.target, self.now, self.seq = target, T0, 0
        self.watchdog = Watchdog((target,), "robot")
        self.newest: Any = None
        self.log: list[tuple[int, Action]] = []

    def command(self, **how: Any) -> Command:
        self.seq += 1
        fields = {
            "seq": self.seq, "target": self.target.name, "mode": self.target.mode,
            "data": np.full(self.target.size, 0.5),
            "source": Source.OPERATOR, "t_issued": self.now, "t_inputs": (self.now, self.now), "ttl_ns": 100 * MS,
        }  # fmt: skip
        return Command(**{**fields, **how})

    def send(self, **how: Any) -> list[Action]:
        self.now += 2 * MS
        self.newest = self.command(**how)
        return self.cycle()

    def cycle(self, ms: int = 0, estop: bool = False) -> list[Action]:
        """Cycles every 2 ms for ``ms`` (at least one); the actions of all."""
        out: list[Action] = []
        end = self.now + ms * MS
        while True:
            new = self.watchdog.step(self.now, {self.target.name: self.newest}, estop)
            self.log += [(self.now, a) for a in new]
            out += new
            if self.now >= end:
                return out
            self.now += 2 * MS

    def codes(self) -> list[str]:
        return [e.code for e in self.watchdog.drain()]


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


class Humanoid:
    """Arms and a base behind one watchdog; ``hold()`` and ``damp()`` are for both."""

    def __init__(self) -> None:
        self.now, self.seq = T0, 0
        self.watchdog = Watchdog((ARM, BASE), "robot")
        self.newest: dict[str, Command | None] = {}
        self.log: list[tuple[int, Action]] = []

    def send(self, arm: Mode, base: Source, ms: int = 2) -> None:
        """Commands to both every 2 ms for so long; the base walks forward, unless the guard stops it."""
        for _ in range(0, ms, 2):
            self.now += 2 * MS
            self.seq += 1
            rest, walk = (self.now, (self.now, self.now)), np.array((0.0 if base is Source.GUARD else 0.5, 0, 0, 0.6))
            self.newest = {
                ARM.name: Command(self.seq, ARM.name, arm, np.full(2, 0.5), Source.OPERATOR, *rest),
                BASE.name: Command(self.seq, BASE.name, BASE.mode, walk, base, *rest),
            }
            self.log += [(self.now, a) for a in self.watchdog.step(self.now, self.newest, False)]

    def alone(self, ms: int, estop: bool) -> list[tuple[int, str, Mode, bool]]:
        """What the watchdog does by itself: ms, target, what, and whether by ``hold()`` or ``damp()`` of the whole robot."""
        start, out = self.now, []
        while self.now < start + ms * MS:
            self.now += 2 * MS
            for a in self.watchdog.step(self.now, self.newest, estop):
                whole = a.command is None and a.changed
                out.append(((self.now - start) // MS, a.target, a.mode, whole))
                if a.command is not None:
                    np.testing.assert_array_equal(a.command.data, (0.0, 0.0, 0.0, 0.6))
                    assert (a.target, a.command.mode, a.command_seq) == (BASE.name, BASE.mode, -1)
        return out


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
