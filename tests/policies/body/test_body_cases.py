"""The bars of ``telerig eval-body``, written down a second time: nobody loosens one by accident."""

from __future__ import annotations

import pytest

from telerig.policies.body.evaluation.cases import CASES, Case
from telerig.policies.body.evaluation.full_model import World

# name: command (vx, vy, yaw rate, height), up of 20, what is tracked, within, what else is special about it
BARS = {
    "stand": ((0, 0, 0, 0.74), 20, "height", 0.015, {}),
    "height_0.60": ((0, 0, 0, 0.60), 20, "height", 0.015, {}),
    "height_0.45": ((0, 0, 0, 0.45), 20, "height", 0.015, {}),
    "height_0.34": ((0, 0, 0, 0.34), 20, "height", 0.015, {}),
    "forward_0.5": ((0.5, 0, 0, 0.74), 20, "share", 0.05, {}),
    "forward_0.8": ((0.8, 0, 0, 0.74), 20, "share", 0.10, {}),
    "backward_0.3": ((-0.3, 0, 0, 0.74), 20, "share", 0.05, {}),
    "sideways_0.3": ((0, 0.3, 0, 0.74), 20, "share", 0.10, {}),
    "yaw_0.5": ((0, 0, 0.5, 0.74), 20, "share", 0.10, {}),
    "yaw_0.8": ((0, 0, 0.8, 0.74), 20, "share", 0.10, {}),
    "forward_0.4_yaw_0.4": ((0.4, 0, 0.4, 0.74), 20, "share", 0.10, {}),
    "forward_0.4_height_0.60": ((0.4, 0, 0, 0.60), 20, "speed", 0.05, {}),
    "forward_0.4_height_0.50": ((0.4, 0, 0, 0.50), 18, "speed", 0.05, {}),
    "push_0.5_standing": ((0, 0, 0, 0.74), 20, None, None, {"push": 0.5}),
    "push_0.8_standing": ((0, 0, 0, 0.74), 18, None, None, {"push": 0.8}),
    "push_0.5_forward_0.5": ((0.5, 0, 0, 0.74), 20, None, None, {"push": 0.5}),
    "push_0.8_forward_0.5": ((0.5, 0, 0, 0.74), 18, None, None, {"push": 0.8}),
    "payload_1kg_forward_0.5": ((0.5, 0, 0, 0.74), 20, None, None, {"world": World(hand_mass=1.0)}),
    "friction_0.4_forward_0.5": ((0.5, 0, 0, 0.74), 20, None, None, {"world": World(friction=0.4)}),
    "delay_20ms_forward_0.5": ((0.5, 0, 0, 0.74), 20, None, None, {"delay_s": 0.02}),
    "waist_free_forward_0.5": ((0.5, 0, 0, 0.74), 18, None, None, {"world": World(waist_free=True)}),
    "random_60s": ((0, 0, 0, 0.74), 19, None, None, {"seconds": 60.0, "random": True}),
    "dead_band_vx": ((0.05, 0, 0, 0.74), 20, None, 0.05, {"grid": (0.03, 0.05, 0.1, 0.2, 0.3)}),
    "dead_band_yaw": ((0, 0, 0.1, 0.74), 20, None, 0.1, {"grid": (0.05, 0.1, 0.2, 0.3, 0.4)}),
}


def test_there_are_these_rows() -> None:
    assert [c.name for c in CASES] == list(BARS)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_row_asks_for_what_the_table_says(case: Case) -> None:
    command, up, tracked, within, special = BARS[case.name]
    assert case == Case(case.name, command, up / 20, tracked, within, **special)  # type: ignore[arg-type]
    assert special.get("seconds", 10.0) == case.seconds  # the defaults too
    assert (Case("x").push, Case("x").delay_s, Case("x").random, Case("x").grid) == (0.0, 0.0, False, ())
