"""What a policy achieves of its commands is measured, and given back so that the wish comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mujoco", reason="mujoco is not installed")

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.command import CommandShaper
from telerig.policies.body.load import body_policy, load_manifest
from telerig.policies.body.manifest import CommandTable
from telerig.policies.body.train import evaluation
from telerig.policies.body.train.actor import Networks, layout
from telerig.policies.body.train.config import BodyConfig, TrainConfig
from telerig.policies.body.train.evaluation import Case
from telerig.policies.body.train.export import Trained, export_body, measured_responses
from telerig.policies.body.train.observe import N_ACTOR, N_CRITIC
from telerig.policies.body.train.ppo import Learner
from telerig.policies.body.train.response import responses

CONFIG = BodyConfig()
AXES = ("vx", "vy", "yaw_rate")


def achieved(axis: str, asked: float) -> float:
    """A policy that is slow ahead, fast back, and saturates sideways."""
    if axis == "vx":
        return 0.8 * asked if asked > 0 else 1.2 * asked
    return math.copysign(0.3 * math.tanh(abs(asked) / 0.3), asked) if axis == "vy" else asked


def measure(case: Case, up: int = 20) -> Mapping[str, Any]:
    return {"n": 20, "up": up, **{a: achieved(a, v) for a, v in zip(AXES, case.command, strict=False)}}


def shaper() -> CommandShaper:
    found = responses(CONFIG, measure)
    items = {
        axis: {"range": list(bounds), **found[axis]}
        for axis, bounds in zip(AXES, (CONFIG.vx, CONFIG.vy, CONFIG.yaw), strict=True)
    }
    return CommandShaper(CommandTable.model_validate(items), 50)


@given(st.sampled_from(AXES), st.floats(-1, 1))
@settings(max_examples=80, deadline=None)
def test_the_wish_comes_out_both_ways(axis: str, share: float) -> None:
    reachable = {"vx": (-0.45, 0.76), "vy": (-0.26, 0.26), "yaw_rate": (-0.9, 0.9)}[axis]
    wish = share * (reachable[1] if share > 0 else -reachable[0])
    if abs(wish) < 0.02:
        return
    command = np.array([wish if axis == a else 0.0 for a in (*AXES, "height")])
    sent = float(shaper().step(command).sent[AXES.index(axis)])
    assert achieved(axis, sent) == pytest.approx(wish, rel=0.12 if axis == "vy" else 0.01)


def test_what_few_survive_and_what_does_not_rise_is_left_out() -> None:
    def falls_when_fast(case: Case) -> Mapping[str, Any]:
        return measure(case, up=20 if max(map(abs, case.command[:3])) < 0.5 else 10)

    found = responses(CONFIG, falls_when_fast)
    assert [given for given, _ in found["vx"]["response"]] == [0.0, 0.0475, 0.095, 0.2375, 0.475]
    assert len(found["vx"]["response_back"]) == 7

    def stands(case: Case) -> Mapping[str, Any]:
        return {"n": 20, "up": 20, "vx": 0.0, "vy": 0.0, "yaw_rate": 0.0}

    assert responses(CONFIG, stands) == {}


def test_one_figure_that_does_not_rise_costs_none_of_those_behind_it() -> None:
    def noisy(case: Case) -> Mapping[str, Any]:
        return {**measure(case), "vx": 0.05 if case.command[0] == 0.095 else 0.8 * case.command[0] + 0.02}

    found = responses(CONFIG, noisy)["vx"]["response"]
    assert [given for given, _ in found] == [0.0, 0.0475, 0.2375, 0.475, 0.7125, 0.95]


def test_where_going_back_has_no_figure_it_is_not_taken_for_going_ahead() -> None:
    def falls_back(case: Case) -> Mapping[str, Any]:
        return measure(case, up=20 if case.command[0] >= 0 else 0)

    assert responses(CONFIG, falls_back)["vx"]["response_back"] == [[0.0, 0.0], [0.45, 0.45]]


def test_a_dead_band_is_where_a_curve_begins() -> None:
    def drifts(case: Case) -> Mapping[str, Any]:
        return {**measure(case), "vx": case.command[0] - 0.06}

    pairs = responses(CONFIG, drifts)["vx"]["response"]
    assert pairs[:2] == [[0.0475, 0.0], [0.095, 0.035]]


def test_how_far_it_is_is_told() -> None:
    shares: list[float] = []
    responses(CONFIG, measure, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"response_back": [[0.0, 0.0], [0.4, 0.3]]}, "there is no response that it differs from"),
        ({"response": [[0.0, 0.0], [0.4, 0.3]], "response_back": [[0.0, 0.1], [0.4, 0.3]]}, "response_back: pairs"),
    ],
)
def test_a_response_that_cannot_be_is_refused(item: Mapping[str, Any], why: str, body_toy: Any) -> None:
    tables = body_toy.recipe()
    tables["command"]["vx"] |= item
    with pytest.raises(ConfigError, match=why):
        body_toy.manifest(tables)


def test_what_was_measured_stands_in_the_exported_manifest(tmp_path: Path) -> None:
    config = TrainConfig()
    tensors = {slot.name: np.zeros(slot.shape, np.float32) for slot in layout(config.ppo)}
    tensors |= {"observation.mean": np.zeros(N_CRITIC), "observation.variance": np.ones(N_CRITIC)}
    trained = Trained(config, tensors, {"seed": 0, "steps": 0})
    found = responses(config.body, measure)
    for name, told in (("measured", found), ("plain", None)):
        export_body(trained, tmp_path / name, "toy", responses=told)
    command = load_manifest(str(tmp_path / "measured" / "toy.toml"))[0].command
    assert command.vx is not None
    assert command.vy is not None
    assert [list(pair) for pair in command.vx.response] == found["vx"]["response"]
    assert command.vx.response_back != command.vx.response
    assert command.vy.response_back == ()
    assert body_policy(str(tmp_path / "measured" / "toy.toml"), load_embodiment("g1_like")) is not None
    plain = (tmp_path / "plain" / "toy.toml").read_text()
    assert "response" not in plain


def test_the_network_that_is_measured_is_the_one_that_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    config, rng = TrainConfig(), np.random.default_rng(0)
    learner = Learner(config.ppo, 3)
    with torch.no_grad():
        learner.flat += 0.1 * torch.from_numpy(rng.standard_normal(learner.flat.shape, np.float32))
    tensors = {k.removeprefix("model."): v.numpy() for k, v in learner.tensors().items() if k.startswith("model.")}
    mean, variance = rng.normal(0, 0.3, N_CRITIC), rng.uniform(0.1, 2.0, N_CRITIC)
    tensors |= {"observation.mean": mean, "observation.variance": variance}
    used: list[Networks] = []

    def run(_: object, case: Case, networks: Networks, seed: int) -> Mapping[str, Any]:
        used.append(networks)
        return measure(case)

    monkeypatch.setattr(evaluation.CaseEnv, "run", run)
    measured_responses(Trained(config, tensors, {}), robots=1)
    seen = rng.standard_normal((5, N_CRITIC), np.float32)
    normal = ((seen - mean) / np.sqrt(variance)).astype(np.float32)
    with torch.no_grad():
        wanted = learner.network("actor", torch.from_numpy(normal[:, :N_ACTOR])).numpy()
    np.testing.assert_allclose(used[0].act(seen), wanted, atol=2e-4)


def test_a_policy_that_does_nothing_but_its_reference_is_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "SECONDS", 1.6)  # the way is tested here, not the policy
    monkeypatch.setattr(evaluation, "MEASURED_S", 1.2)
    config = TrainConfig()
    tensors = {slot.name: np.zeros(slot.shape, np.float32) for slot in layout(config.ppo)}
    tensors |= {"observation.mean": np.zeros(N_CRITIC), "observation.variance": np.ones(N_CRITIC)}
    shares: list[float] = []
    found = measured_responses(Trained(config, tensors, {}), robots=2, done=shares.append)
    assert len(shares) == 24
    assert set(found) <= set(AXES)  # it falls where nothing balances it
