"""What a policy achieves of its commands is measured, and given back so that the wish comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mujoco", reason="mujoco is not installed")

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.command import CommandShaper
from telerig.policies.body.evaluation.cases import STAND_M, Case
from telerig.policies.body.load import body_policy, load_manifest
from telerig.policies.body.manifest import CommandTable
from telerig.policies.body.train import export
from telerig.policies.body.train.actor import layout
from telerig.policies.body.train.config import BodyConfig, TrainConfig
from telerig.policies.body.train.export import Trained, export_body, measured_responses
from telerig.policies.body.train.observe import N_CRITIC
from telerig.policies.body.train.response import LOW_M, MIDDLE_M, SQUAT_M_S, UPRIGHT_M, points, responses

CONFIG = BodyConfig()
AXES = ("vx", "vy", "yaw_rate")


BENDS_M = 0.67  # from which height on it is slower
Measures = Callable[[Case], Mapping[str, Any]]


def achieved(axis: str, asked: float, height: float = STAND_M, walking: bool = False) -> float:
    """A policy that is slow ahead, slower low, fast back, saturates sideways and turns less well while it walks."""
    if axis == "vx":
        low = np.clip((BENDS_M - height) / (BENDS_M - LOW_M), 0, 1)
        return (0.8 - 0.3 * low) * asked if asked > 0 else (1.2 - 0.5 * low) * asked
    if axis == "yaw_rate":
        return (1.1 if walking else 1.25) * asked
    return math.copysign(0.3 * math.tanh(abs(asked) / 0.3), asked)


def measure(case: Case, up: int = 20) -> Mapping[str, Any]:
    height, walking = case.command[3], case.command[0] != 0
    return {"n": 20, "up": up, **{a: achieved(a, v, height, walking) for a, v in zip(AXES, case.command, strict=False)}}


def found_by(told: Measures) -> dict[str, dict[str, Any]]:
    wanted = points(CONFIG)
    return responses(wanted, {case.name: told(case) for point in wanted for case in point.cases})


def shaper() -> CommandShaper:
    found = found_by(measure)
    items: dict[str, Any] = {
        axis: {"range": list(bounds), **found[axis]}
        for axis, bounds in zip(AXES, (CONFIG.vx, CONFIG.vy, CONFIG.yaw), strict=True)
    }
    items |= found["command"] | {"height": {"range": [0.32, STAND_M], "home": STAND_M}}
    return CommandShaper(CommandTable.model_validate(items), 50)


def sent(wish: float, axis: str, height: float = STAND_M) -> float:
    command = np.array([*(wish if axis == a else 0.0 for a in AXES), height])
    return float(shaper().step(command).sent[AXES.index(axis)])


@given(st.sampled_from(AXES), st.floats(-1, 1))
@settings(max_examples=80, deadline=None)
def test_the_wish_comes_out_both_ways(axis: str, share: float) -> None:
    reachable = {"vx": (-0.45, 0.76), "vy": (-0.26, 0.26), "yaw_rate": (-0.9, 0.9)}[axis]
    wish = share * (reachable[1] if share > 0 else -reachable[0])
    if abs(wish) < 0.02:
        return
    came_out = achieved(axis, sent(wish, axis))
    within = {"vx": 0.01, "vy": 0.12, "yaw_rate": 0.05}[axis]  # a turn: on the spot still a little too fast
    assert came_out == pytest.approx(wish, rel=within)


@given(st.floats(-0.31, 0.47).filter(lambda wish: abs(wish) > 0.02), st.floats(-1.4, 1.2))
@settings(max_examples=80, deadline=None)
def test_in_a_squat_the_wish_comes_out_too(wish: float, low: float) -> None:
    height = BENDS_M - low * (BENDS_M - LOW_M)
    came_out = achieved("vx", sent(wish, "vx", height), height)
    assert came_out == pytest.approx(wish, rel=0.08 if 0 < low < 1 else 0.01)


def test_what_few_survive_and_what_does_not_rise_is_left_out() -> None:
    def falls_when_fast(case: Case) -> Mapping[str, Any]:
        return measure(case, up=20 if max(map(abs, case.command[:3])) < 0.5 else 10)

    found = found_by(falls_when_fast)
    assert [given for given, _ in found["vx"]["response"]] == [0.0, 0.0475, 0.095, 0.2375, 0.475]
    assert len(found["vx"]["response_back"]) == 7
    assert found_by(lambda case: {"n": 20, "up": 20, "vx": 0.0, "vy": 0.0, "yaw_rate": 0.0}) == {}


def test_a_turn_counts_when_neither_standing_nor_walking_robots_fall() -> None:
    def falls_walking(case: Case) -> Mapping[str, Any]:
        return measure(case, up=0 if case.command[0] and case.command[2] > 0.3 else 20)

    assert [given for given, _ in found_by(falls_walking)["yaw_rate"]["response"]] == [0.0, 0.045, 0.09, 0.225]


def test_one_figure_that_does_not_rise_costs_none_of_those_behind_it() -> None:
    def noisy(case: Case) -> Mapping[str, Any]:
        return {**measure(case), "vx": 0.05 if case.command[0] == 0.095 else 0.8 * case.command[0] + 0.02}

    found = found_by(noisy)["vx"]["response"]
    assert [given for given, _ in found] == [0.0, 0.0475, 0.2375, 0.475, 0.7125, 0.95]


def test_where_a_curve_has_no_figure_no_other_is_taken_for_it() -> None:
    def falls_back(case: Case) -> Mapping[str, Any]:
        return measure(case, up=20 if case.command[0] >= 0 else 0)

    assert found_by(falls_back)["vx"]["response_back"] == [[0.0, 0.0], [0.45, 0.45]]

    def falls_low(case: Case) -> Mapping[str, Any]:
        return measure(case, up=20 if case.command[3] > LOW_M else 0)

    found = found_by(falls_low)
    assert set(found["vx"]) == {"response", "response_back"}
    assert "command" not in found


def test_half_way_down_the_speed_comes_out_as_it_was_measured_there() -> None:
    came_out = achieved("vx", sent(SQUAT_M_S, "vx", MIDDLE_M), MIDDLE_M)
    assert came_out == pytest.approx(SQUAT_M_S, rel=0.01)


@pytest.mark.parametrize(
    ("factor", "upright"),
    [(0.8, MIDDLE_M), (0.9, MIDDLE_M), (0.5, STAND_M), (0.4, STAND_M), (None, UPRIGHT_M)],
    ids=["as upright", "faster", "as low", "slower", "all fall"],
)
def test_from_which_height_on_strides_are_short_is_found_half_way_down(factor: float | None, upright: float) -> None:
    def bends(case: Case) -> Mapping[str, Any]:
        if case.command[3] != MIDDLE_M:
            return measure(case)
        return {**measure(case, up=20 if factor else 0), "vx": (factor or 1.0) * case.command[0]}

    assert found_by(bends)["command"]["low_heights"] == pytest.approx([upright, LOW_M], abs=2e-3)


def test_where_upright_and_low_are_alike_half_way_tells_nothing() -> None:
    def alike(case: Case) -> Mapping[str, Any]:
        low = {LOW_M: 0.801, MIDDLE_M: 0.78}.get(case.command[3], 0.8)
        return {**measure(case), "vx": low * case.command[0]}

    assert found_by(alike)["command"]["low_heights"] == [UPRIGHT_M, LOW_M]


def test_a_squat_in_which_it_is_faster_is_mixed_in_too() -> None:
    def faster(case: Case) -> Mapping[str, Any]:
        return {**measure(case), "vx": {LOW_M: 1.0, MIDDLE_M: 0.9}.get(case.command[3], 0.8) * case.command[0]}

    upright, low = found_by(faster)["command"]["low_heights"]
    assert low == LOW_M
    assert MIDDLE_M < upright < STAND_M


def test_a_dead_band_is_where_a_curve_begins() -> None:
    def drifts(case: Case) -> Mapping[str, Any]:
        return {**measure(case), "vx": case.command[0] - 0.06}

    pairs = found_by(drifts)["vx"]["response"]
    assert pairs[:2] == [[0.0475, 0.0], [0.095, 0.035]]


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"response_back": [[0.0, 0.0], [0.4, 0.3]]}, "response_back: there is no response that it differs from"),
        ({"response": [[0.0, 0.0], [0.4, 0.3]], "response_back": [[0.0, 0.1], [0.4, 0.3]]}, "response_back: pairs"),
        ({"response_low": [[0.0, 0.0], [0.4, 0.3]]}, "response_low: there is no response that it differs from"),
        ({"response": [[0.0, 0.0], [0.4, 0.3]], "response_low": [[0.0, 0.0], [0.4, 0.3]]}, "low_heights is missing"),
        (
            {"response": [[0.0, 0.0], [0.4, 0.3]], "response_low_back": [[0.0, 0.0], [0.4, 0.3]]},
            "there is no response_low",
        ),
    ],
)
def test_a_response_that_cannot_be_is_refused(item: Mapping[str, Any], why: str, body_toy: Any) -> None:
    tables = body_toy.recipe()
    tables["command"]["vx"] |= item
    with pytest.raises(ConfigError, match=why):
        body_toy.manifest(tables)


@pytest.mark.parametrize("low", [[0.6, 0.1], [0.5, 0.6], [0.9, 0.5]])
def test_low_lies_between_the_range_and_home(low: list[float], body_toy: Any) -> None:
    tables = body_toy.recipe()
    tables["command"]["low_heights"] = low
    with pytest.raises(ConfigError, match=r"low_heights .*: they fall, between"):
        body_toy.manifest(tables)


def _untrained() -> Trained:
    """Weights of zero."""
    config = TrainConfig()
    tensors = {slot.name: np.zeros(slot.shape, np.float32) for slot in layout(config.ppo)}
    tensors |= {"observation.mean": np.zeros(N_CRITIC), "observation.variance": np.ones(N_CRITIC)}
    return Trained(config, tensors, {"seed": 0, "steps": 0})


def test_what_was_measured_stands_in_the_exported_manifest(tmp_path: Path) -> None:
    trained = _untrained()
    found = found_by(measure)
    for name, told in (("measured", found), ("plain", None)):
        export_body(trained, tmp_path / name, "toy", responses=told)
    command = load_manifest(str(tmp_path / "measured" / "toy.toml"))[0].command
    assert command.vx is not None
    assert command.vy is not None
    assert [list(pair) for pair in command.vx.response] == found["vx"]["response"]
    assert command.vx.response_back != command.vx.response
    assert command.vy.response_back == ()
    assert command.low_heights == tuple(found["command"]["low_heights"])
    assert [list(pair) for pair in command.vx.response_low] == found["vx"]["response_low"]
    assert body_policy(str(tmp_path / "measured" / "toy.toml"), load_embodiment("g1_like")) is not None
    plain = (tmp_path / "plain" / "toy.toml").read_text()
    assert "response" not in plain


def test_what_is_measured_is_the_exported_network_without_compensation(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = _untrained()
    few = [point for point in points(trained.config.body) if point.key == "response" and point.axis == "yaw_rate"][:1]
    monkeypatch.setattr(export, "points", lambda body: few)
    seen: list[export.Request] = []
    evaluate = export.evaluate

    def watched(request: export.Request, done: Callable[[float], None]) -> Any:
        assert "response" not in Path(request.policy).read_text()
        seen.append(request)
        return evaluate(request, done)

    monkeypatch.setattr(export, "evaluate", watched)
    shares: list[float] = []
    found = measured_responses(trained, robots=1, processes=1, done=shares.append)
    assert len(seen) == 1
    assert seen[0].first_seed >= 1000, "the evaluation's own seeds"
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert found == {}, "it falls where nothing balances it"
