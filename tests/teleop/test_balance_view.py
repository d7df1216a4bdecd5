"""What the loop makes of the newest ``DEVICE/balance``."""

from __future__ import annotations

import math

import pytest

from telerig.hardware.legs import Balance
from telerig.teleop.balance_view import BalanceView
from telerig.teleop.states import State
from telerig.teleop.stream import LocalReader, LocalStream
from tests.teleop.test_screen_body import RIG, SPEC, balance


@pytest.fixture
def stream() -> LocalStream:
    return LocalStream(SPEC)


@pytest.fixture
def view(stream: LocalStream) -> BalanceView:
    return BalanceView(RIG, {SPEC.name: LocalReader(stream)})


def test_arms_are_slowed_while_it_stands_off_balance_and_most_where_nobody_knows(
    stream: LocalStream, view: BalanceView
) -> None:
    for state in (Balance.BALANCING, Balance.LOWERING):
        for tilt, calm in ((0.0, 1.0), (21.0, 0.6), (80.0, 0.2), (math.nan, 0.2)):
            stream.write(balance(state, tilt))
            assert view.look(State.ENGAGED).calm == pytest.approx(calm)


def test_arms_are_not_slowed_while_its_gantry_carries_it(stream: LocalStream, view: BalanceView) -> None:
    assert view.look(State.IDLE).calm == 1.0
    for tilt in (40.0, math.nan):
        stream.write(balance(Balance.LIMP, tilt))
        assert view.look(State.IDLE).calm == 1.0


def test_what_must_stop_a_motion_is_named(stream: LocalStream, view: BalanceView) -> None:
    assert view.look(State.ENGAGED).trouble is None
    for state, idle, engaged in (
        (Balance.BALANCING, None, None),
        (Balance.LIMP, None, "robot/legs: they are limp"),
        (Balance.FALLEN, "robot/legs: the robot fell", "robot/legs: the robot fell"),
    ):
        stream.write(balance(state))
        assert (view.look(State.IDLE).trouble, view.look(State.ENGAGED).trouble) == (idle, engaged)
        assert view.look(State.IDLE).standing == (state is Balance.BALANCING)
