"""What the operator's screen says of a robot on its own feet."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.legs import Balance, balance_stream, legs_of
from telerig.hardware.samples import Sample
from telerig.teleop.body_rig import BodyRig
from telerig.teleop.screen import Screen
from telerig.teleop.screen_body import MEANING, STYLES, body_line
from telerig.teleop.session import Session
from telerig.teleop.stream import LocalStream
from tests.teleop.test_screen import Streams

SPEC = balance_stream("robot", legs_of(load_embodiment("g1_like")))
RIG = BodyRig("robot", "some")


def balance(state: Balance, tilt_deg: float = 0.0, wish: tuple[float, ...] = (0, 0, 0, 0.74), **more: Any) -> Sample:
    told = {"state": state, "tilt": math.radians(tilt_deg), "wish": wish, **more}
    data = {a.name: np.broadcast_to(np.asarray(told.get(a.name, 0), a.dtype), a.shape).copy() for a in SPEC.arrays}
    return Sample(SPEC.name, 0, 0, data)


def line(*args: Any, **more: Any) -> str:
    return body_line(balance(*args, **more), RIG.calm).plain


def test_every_state_has_words_and_a_colour() -> None:
    assert set(MEANING) == set(STYLES) == set(Balance)
    for state in Balance:
        assert MEANING[state] in line(state)


def test_what_it_is_asked_is_said_while_it_balances() -> None:
    assert "stands, 0.74 m high" in line(Balance.BALANCING)
    told = line(Balance.BALANCING, wish=(0.4, -0.1, 0.5, 0.6))
    assert "forward 0.40 m/s, right 0.10 m/s, turn left 0.50 rad/s, 0.60 m high" in told
    assert "back 0.30 m/s" in line(Balance.BALANCING, wish=(-0.3, 0, 0, 0.74))
    assert "high" not in line(Balance.RISING)


def test_arms_that_are_slowed_are_said() -> None:
    assert "speed" not in line(Balance.BALANCING, 5)
    assert "tilt  21°  arms at 60% speed" in line(Balance.BALANCING, 21)
    assert "tilt   ?°  arms at 20% speed" in line(Balance.BALANCING, math.nan)  # as the loop does
    for state in (Balance.RISING, Balance.FALLEN):
        assert "speed" not in line(state, 80)
        assert "tilt  80°" in line(state, 80)
    assert "tilt" not in line(Balance.LIMP, math.nan)


@pytest.mark.parametrize("legged", [True, False])
def test_the_line_is_on_the_screen_of_a_walker_only(legged: bool) -> None:
    session, console = Streams(), Console(width=100, record=True, file=None)
    session.memories[SPEC.name] = LocalStream(SPEC)
    screen = Screen(cast(Session, session), "rig", False, "", body=RIG if legged else None)
    with console.capture() as shown:
        console.print(screen.render(console))
    assert ("body  waiting" in shown.get()) == legged
    session.memories[SPEC.name].write(balance(Balance.FALLEN, 80))
    with console.capture() as shown:
        console.print(screen.render(console))
    assert ("body  fell" in shown.get()) == legged
