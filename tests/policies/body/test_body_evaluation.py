"""The small evaluation while training: what it asks, and that it tells up from down."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from telerig.policies.body.train.actor import Networks, size
from telerig.policies.body.train.config import PpoConfig, TrainConfig
from telerig.policies.body.train.evaluation import CASES, STAND_M, CaseEnv
from telerig.policies.body.train.joints import N_LEGS, UPPER_HOME
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
