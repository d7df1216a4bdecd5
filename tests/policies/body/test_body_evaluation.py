"""The small evaluation while training: what it asks, and that it tells up from down."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from telerig.hardware.embodiment import load_embodiment
from telerig.policies.body.train.actor import Networks, size
from telerig.policies.body.train.config import PpoConfig, TrainConfig
from telerig.policies.body.train.evaluation import CASES, SECONDS, STAND_M, CaseEnv
from telerig.policies.body.train.joints import LEGS, N_LEGS, UPPER_HOME
from telerig.policies.body.train.observe import N_CRITIC
from telerig.policies.body.train.pose import HeightTable
from telerig.policies.commands.train_body_display import evaluation_table

CONFIG = TrainConfig()
BY_NAME = {c.name: c for c in CASES}


class Still(Networks):
    """The reference alone."""

    def __init__(self) -> None:
        config = PpoConfig()
        flat, one = np.zeros(size(config), np.float32), np.ones(N_CRITIC, np.float32)
        super().__init__(config, flat, 0 * one, one)


def test_a_policy_that_does_nothing_falls_and_is_said_to(table: HeightTable) -> None:
    cases = CaseEnv(CONFIG, table, 2)
    found = cases.run(BY_NAME["stand"], Still(), 0)
    assert (found["n"], found["up"], found["vx"], found["tilt_deg_max"]) == (2, 0, None, None)
    assert found == cases.run(BY_NAME["stand"], Still(), 0)
    out = io.StringIO()
    Console(file=out, width=120).print(evaluation_table(50, {"stand": found}))
    assert "0/2" in out.getvalue()


def test_how_the_first_robot_went_is_kept_for_a_picture(table: HeightTable) -> None:
    cases = CaseEnv(CONFIG, table, 2)
    plain, kept = (cases.run(BY_NAME["forward_0.5"], Still(), 0, keep) for keep in (False, True))
    track = kept.pop("track")
    assert kept == plain
    n = round(SECONDS / cases.prepare(BY_NAME["stand"], 0).dt)
    names = [j for g in load_embodiment("g1_like").groups for j in g.joints]
    assert (track.base.shape, track.joints.shape, track.wish.shape, track.done.shape) == (
        (n, 7), (n, len(names)), (n, 4), (n, 4)
    )  # fmt: skip
    assert (track.times[0], track.times[-1]) == pytest.approx((SECONDS / n, SECONDS))
    assert track.base[0, 2] == pytest.approx(STAND_M, abs=0.05)
    assert track.base[-1, 2] < 0.5  # it fell
    legs, _ = table.at(np.array([STAND_M]))
    np.testing.assert_allclose(track.joints[0][[names.index(j) for j in LEGS]], legs[0], atol=0.1)
    assert track.wish[-1, 0] == pytest.approx(0.5)


def test_cases_begin_standing_and_are_then_asked(table: HeightTable) -> None:
    cases = CaseEnv(CONFIG, table, 2)
    env = cases.prepare(BY_NAME["forward_0.5"], 0)
    np.testing.assert_array_equal(env.state.command, [[0, 0, 0, STAND_M]] * 2)
    assert not env.state.stepping.any()
    assert np.abs(env.state.arm_size[:, 1:]).min() >= 0.5
    assert np.abs(env.state.observation[:, 10:22]).max() < 0.07  # legs where the reference has them, a little shaken
    still = cases.prepare(BY_NAME["forward_0.5_still"], 0)
    env.step(np.zeros((2, N_LEGS)))
    np.testing.assert_allclose(still.state.arm_target, np.tile(UPPER_HOME, (2, 1)))


def test_cases_cover_walking_and_standing() -> None:
    assert {c.name for c in CASES if not c.walking} == {
        "stand",
        "height_0.60",
        "height_0.45",
        "height_0.34",
        "push_0.5",
    }
