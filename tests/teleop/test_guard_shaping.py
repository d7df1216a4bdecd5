"""The guard's shaping half: what each state sends, where a motion begins and how it ends."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.commands import Command, Mode, Source
from telerig.teleop.guard_shaping import SLOW
from telerig.teleop.states import MATCH_TOLERANCE_RAD, Inputs, Machine, State

from .guard_shaper import ARM, BASE, DT, T0, TICK, Rig


def test_what_each_state_sends() -> None:
    modes = {}
    for state in State:
        rig = Rig(ARM, BASE)
        out = rig.tick(state, {ARM: (0.1, 0.2, 0.1), BASE: (0.0, 0.0, 0.0, 0.74)})
        modes[state] = (out[ARM.name].mode, out[BASE.name].mode)
        assert [c.t_issued for c in out.values()] == [rig.now, rig.now]
    position, base = Mode.JOINT_POSITION, Mode.BASE_VELOCITY_HEIGHT
    assert modes == {
        State.IDLE: (Mode.HOLD, base),
        State.HOMING: (position, base),
        State.MATCHING: (position, base),
        State.ENGAGED: (position, base),
        State.HOLD: (Mode.HOLD, base),
        State.DAMPED: (Mode.DAMP, base),
        State.ESTOP: (Mode.DAMP, Mode.DAMP),  # it has never moved
    }


def test_estop_holds_and_damps_0_9_s_after_the_last_motion_and_stops_a_base_at_once() -> None:
    rig = Rig(ARM, BASE)
    want = {ARM: (0.5, 0.2, 0.1), BASE: (1.0, 0.0, 0.8, 0.5)}
    rig.tick(State.MATCHING, want, 100)
    rig.tick(State.ENGAGED, want, 100)
    height = rig.sent[-1][BASE.name].data[3]
    assert rig.sent[-1][BASE.name].data[0] > 0.5
    rig.sent.clear()
    rig.tick(State.ESTOP, want, 179)
    assert {s[ARM.name].mode for s in rig.sent} == {Mode.HOLD}
    for sent in rig.sent:
        assert sent[BASE.name].source is Source.GUARD
        np.testing.assert_allclose(sent[BASE.name].data, (0.0, 0.0, 0.0, height), atol=BASE.velocity[3] * DT)
    for _ in range(300):
        assert {c.mode for c in rig.tick(State.ESTOP, want).values()} == {Mode.DAMP}


@pytest.mark.parametrize("held", [1, 100, 178])
def test_estop_after_a_hold_does_not_hold_longer(held: int) -> None:
    rig = Rig(ARM, BASE)
    rig.tick(State.ENGAGED, {ARM: (0.1, 0.2, 0.1), BASE: BASE.home}, 5)
    rig.tick(State.HOLD, n=held)
    assert rig.tick(State.ESTOP, n=179 - held)[ARM.name].mode is Mode.HOLD
    assert rig.tick(State.ESTOP)[ARM.name].mode is Mode.DAMP


def test_matching_starts_at_the_measured_pose_and_ramps_slowly_then_engages_at_full_speed() -> None:
    rig = Rig(start=(-1.0, 0.0, 0.5))
    goal = (1.0, 0.5, 1.2)
    rig.tick(State.IDLE, {ARM: goal})
    assert rig.verdict.mismatch == pytest.approx(2.0)
    rig.tick(State.MATCHING, {ARM: goal}, 300)
    path = rig.path()[1:]
    speed = np.diff(np.vstack([(-1.0, 0.0, 0.5), path]), axis=0) / DT
    assert np.abs(speed).max() == pytest.approx(SLOW)
    assert path[0][0] - -1.0 <= SLOW * DT + 1e-9
    assert rig.verdict.mismatch == pytest.approx(2.0 - 1.5 * SLOW, abs=0.01)
    out = rig.tick(State.ENGAGED, {ARM: goal}, 200)
    np.testing.assert_allclose(out[ARM.name].data, goal, atol=1e-9)
    assert np.abs(np.diff(rig.path(), axis=0) / DT).max() > 2.0
    assert out[ARM.name].source is Source.OPERATOR


def test_homing_arrives_and_says_so() -> None:
    rig = Rig(start=(0.3, 0.2, 0.1))
    rig.tick(State.HOMING)
    assert not rig.shaper.homed
    out = rig.tick(State.HOMING, n=220)
    assert rig.shaper.homed
    np.testing.assert_allclose(out[ARM.name].data, ARM.home, atol=1e-6)
    assert out[ARM.name].source is Source.GUARD
    assert np.abs(np.diff(rig.path(), axis=0)).max() <= SLOW * DT + 1e-12
    rig.tick(State.IDLE)
    assert not rig.shaper.homed


def test_a_new_engagement_starts_where_the_robot_is_now() -> None:
    rig = Rig()
    rig.tick(State.MATCHING, {ARM: (0.5, 0.2, 0.1)}, 100)
    rig.tick(State.HOLD, {ARM: (0.5, 0.2, 0.1)}, 5)
    rig.measured[ARM.name] = np.array((-0.7, 0.1, 0.3))  # pushed away meanwhile
    out = rig.tick(State.MATCHING, {ARM: (0.5, 0.2, 0.1)})
    np.testing.assert_allclose(out[ARM.name].data, (-0.7, 0.1, 0.3), atol=SLOW * DT)


@pytest.mark.parametrize(
    ("joint", "gap", "matches"), [("c", 0.5, True), ("c", 0.9, False), ("a", 0.5, False), ("a", 0.1, True)]
)
def test_a_finger_kept_from_its_goal_by_an_object_matches_but_no_arm_that_does_not_follow(
    joint: str, gap: float, matches: bool
) -> None:
    target = dataclasses.replace(ARM, gripping=("c",))
    rig = Rig(target)
    goal = np.array((0.0, 0.2, 0.1)) + np.where(np.array(ARM.names) == joint, gap, 0.0)
    for _ in range(1000):  # five seconds: sent has long arrived, measured never leaves
        rig.measured[ARM.name] = np.array((0.0, 0.2, 0.1))
        rig.tick(State.MATCHING, {target: goal})
    assert rig.path()[-1] == pytest.approx(goal)
    assert (rig.verdict.mismatch <= MATCH_TOLERANCE_RAD) is matches


def test_the_base_walks_only_when_engaged_and_comes_to_rest_within_its_limits() -> None:
    rig = Rig(ARM, BASE)
    want = {ARM: (0.0, 0.2, 0.1), BASE: (1.0, 0.0, 0.8, 0.5)}
    rig.tick(State.MATCHING, want, 100)
    assert rig.sent[-1][BASE.name].data[:3] == pytest.approx(0.0)
    assert rig.verdict.mismatch >= 1.0  # pedals pressed: not matched
    assert rig.sent[-1][BASE.name].data[3] == pytest.approx(0.74 - 0.05, abs=0.003)
    rig.tick(State.ENGAGED, want, 400)
    np.testing.assert_allclose(rig.sent[-1][BASE.name].data, (1.0, 0.0, 0.8, 0.5), atol=1e-9)
    height = rig.sent[-1][BASE.name].data[3]
    rig.tick(State.HOLD, want, 200)
    np.testing.assert_allclose(rig.sent[-1][BASE.name].data, (0.0, 0.0, 0.0, height), atol=1e-9)
    assert rig.sent[-1][BASE.name].source is Source.GUARD
    path = rig.path(BASE.name)
    assert (np.abs(np.diff(path, axis=0)) / DT <= np.array(BASE.velocity) + 1e-9).all()
    assert (np.abs(np.diff(path, 2, axis=0)) / DT**2 <= np.array(BASE.acceleration) + 1e-6).all()


def test_a_base_whose_commands_stop_comes_to_rest_even_if_nobody_says_hold() -> None:
    rig = Rig(ARM, BASE)
    rig.tick(State.MATCHING, {ARM: (0.0, 0.2, 0.1), BASE: BASE.home})
    rig.tick(State.ENGAGED, {ARM: (0.0, 0.2, 0.1), BASE: (1.0, 0.0, 0.0, 0.7)}, 200)
    assert rig.sent[-1][BASE.name].data[0] == pytest.approx(1.0)
    rig.tick(State.ENGAGED, {ARM: (0.0, 0.2, 0.1)}, 200)
    assert rig.verdict.silent == BASE.name
    np.testing.assert_allclose(rig.sent[-1][BASE.name].data, (0.0, 0.0, 0.0, 0.7), atol=1e-9)


def test_sequence_numbers_rise_and_ttl_is_never_longer_than_the_default() -> None:
    rig = Rig()
    slow = Command(1, ARM.name, Mode.JOINT_POSITION, np.zeros(3), Source.POLICY, T0 + TICK, (T0, T0), 900_000_000)
    out = rig.tick(State.MATCHING, {ARM: slow})
    assert out[ARM.name].ttl_ns == 100_000_000
    assert (out[ARM.name].source, out[ARM.name].t_inputs) == (Source.POLICY, (T0, T0))
    for state in State:
        rig.tick(state)
    assert np.diff([s[ARM.name].seq for s in rig.sent]).tolist() == [1] * len(State)


PRESSES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([False, False, True]), st.booleans(), st.integers(1, 150)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(PRESSES)
def test_in_estop_there_is_a_hold_then_damping_within_0_9_s_and_never_back(
    presses: list[tuple[bool, bool, bool, int]],
) -> None:
    """As the state machine leads there: (enable, stop, reset, ticks) one after another."""
    rig, machine, entered, last = Rig(), Machine(T0), 0, Mode.HOLD
    for enable, stop, reset, ticks in presses:
        for _ in range(ticks):
            status = machine.step(
                rig.now + TICK, Inputs(enable=enable, stop=stop, reset=reset, mismatch=0.0, home=True)
            )
            mode = rig.tick(status.state, {ARM: (0.1, 0.2, 0.1)})[ARM.name].mode
            if status.state is State.ESTOP:
                entered = rig.now if status.changed else entered
                assert mode in (Mode.HOLD, Mode.DAMP)
                assert mode is Mode.DAMP or last is not Mode.DAMP
                assert mode is Mode.DAMP or rig.now - entered < 900_000_000
            last = mode
