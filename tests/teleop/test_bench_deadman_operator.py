"""telerig bench deadman: the operator's hands and foot, and what the operator is told on the screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from telerig.hardware.embodiment import load_embodiment
from telerig.teleop.bench.hands import COME_HOME_RAD_S, HeldHand
from telerig.teleop.bench.screen_log import event_shown, state_shown
from telerig.teleop.states import State

MS = 1_000_000


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


def test_what_a_narrow_screen_breaks_is_still_read() -> None:
    """A path that does not fit behind the source begins a line of its own, as rich breaks it."""
    path = "/tmp/a/folder/of/some/length/ports/exo"
    old, new = ("   12.0  exo: ", f"{path}: [Errno 5]", "Input/output error"), ("   15.3  exo: ", f"{path}: [Errno 5]")
    chunks = [
        (100, frame("ENGAGED", *old)),
        (300, frame("HOLD", "   15.2  glove: ", f"{path}: [Errno 5]", *old)),
        (500, frame("HOLD", new[0])),  # its line, but not yet what it says
        (600, frame("HOLD", *new, *old)),
    ]
    assert event_shown(chunks, 200, "exo", f"{path}: [Errno 5] Input"[:48]) == 600
    assert event_shown(chunks, 200, "exo", "another text") is None
