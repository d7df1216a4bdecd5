"""How a robot on its own feet goes down when the session ends."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.legs import Balance, LegMode
from telerig.teleop import body
from telerig.teleop.body import LOWER_M_S, REST_NS

from .walker import HEIGHTS, Walker, firmware, standing

pytest.importorskip("onnxruntime")


def test_it_goes_down_no_faster_than_by_the_pedals_though_the_policy_has_no_slew(tmp_path: Path) -> None:
    walker = Walker(tmp_path, rise_s=0.5, settle_s=0.2)
    with walker.session:
        walker.engage()
        walker.run(1.2)
        walker.wishes.clear()
        for axis in walker.body._drive.policy._shaper._axes:
            axis._step = axis._brake = math.inf  # as homie_g1's manifest, which gives no slew
        walker.body.lower(walker.session.clock.now())
        walker.run(0.7, Balance.LIMP)
        heights = np.array(walker.wishes)[:, 3]
    assert heights.min() == HEIGHTS[0]
    assert np.diff(heights).min() >= -LOWER_M_S / 50 - 1e-9


def test_with_a_policy_that_knows_no_height_it_stands_for_a_second_and_is_let_go(tmp_path: Path) -> None:
    walker = Walker(tmp_path, heights=False, rise_s=0.5, settle_s=0.2)
    with walker.session:
        walker.engage()
        walker.run(1.2)
        walker.body.lower(walker.session.clock.now())
        walker.run(REST_NS / 1e9 - 0.1)
        assert walker.state is Balance.LOWERING
        walker.run(0.2, Balance.LIMP)
        assert walker.state is Balance.LIMP


def test_an_estop_damps_it_on_the_way_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "LOWER_M_S", 0.02)  # nobody waits for its end: 4 s
    with standing(tmp_path) as walker:
        walker.body.lower(walker.session.clock.now())
        walker.run(0.1)
        walker.session.control.press_estop()
        walker.run(0.5)
        assert walker.state is Balance.LOWERING  # for the rest of its time: it may still get down
        walker.run(0.7, Balance.LIMP)
        assert walker.state is Balance.LIMP
        assert firmware(walker).leg_mode is LegMode.DAMP
        assert walker.body._wish[3] > HEIGHTS[0]
        assert "e-stop" in walker.happened("body.limp")[-1]
