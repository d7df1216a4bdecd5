"""``telerig demo --walk``: its figures, and the operator on the walking rig with a policy that only stands."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.hardware.errors import ConfigError
from telerig.policies.demo_figures import recording_figures
from telerig.policies.demo_table import show_walk
from telerig.policies.demo_walk import WalkRequest, blind, complaints, demo_walk, told
from telerig.policies.evaluate import Report
from telerig.policies.rollout import Outcome, rollout, rollout_spec
from telerig.teleop.rig import load_rig
from telerig.teleop.virtual import VirtualSession

from .walker import stiff_policy

RIG = Path(__file__).parents[2] / "rigs" / "homie_g1_walk.toml"
REQUEST = WalkRequest(RIG, Path("out"), episodes=4, rollouts=3)


def outcome(success: bool, missing: str = "", fell: bool = False) -> Outcome:
    return Outcome(1, success, 30.04, True, (), "", missing, fell)


@pytest.fixture
def result() -> dict[str, Any]:
    trials = [
        {"success": True, "reason": "", "missing": ""},
        {"success": False, "reason": "", "missing": "set down"},
        {"success": False, "reason": "fell", "missing": "carry"},
        {"success": False, "reason": "the operator did not begin", "missing": ""},
    ]
    report = Report((outcome(True), outcome(False, "pick up"), outcome(False, "carry", True)))
    figures = {"loop_rate_hz": 199.0, "samples": 30_000, "lost_samples": 2, "recorded_episodes": 2}
    return {**told(trials, report), **figures, "trials": trials}


def test_successes_and_where_the_others_failed(result: dict[str, Any]) -> None:
    assert result["operator_success"] == [1, 4]
    assert result["operator_failed_at"] == {"set down": 1, "carry: fell": 1, "the operator did not begin": 1}
    assert result["virtual_success"] == [1, 3]
    assert result["virtual_failed_at"] == {"pick up": 1, "carry: fell": 1}
    assert result["virtual_interval95"] == [0.061, 0.792]
    assert told([], None)["operator_interval95"] == []


def test_ci_complains_of_what_cannot_be_true_and_of_no_failure(result: dict[str, Any]) -> None:
    assert complaints(result, 200.0, REQUEST) == []
    for key, value in (
        ("operator_success", [1, 3]), ("virtual_success", [3, 4]), ("loop_rate_hz", 120.0), ("lost_samples", 400),
        ("lost_samples", -1), ("recorded_episodes", 1),
    ):  # fmt: skip
        assert len(complaints(copy.deepcopy(result) | {key: value}, 200.0, REQUEST)) == 1
    nothing = result | {"loop_rate_hz": None, "samples": 0, "lost_samples": 0, "recorded_episodes": 0}
    assert complaints(nothing, 200.0, REQUEST) == ["0 episodes kept, 2 ended by the operator"]
    fell = nothing | {"trials": [{"success": False, "reason": "fell", "missing": "carry"}] * 4}
    assert complaints(fell, 200.0, REQUEST) == ["0 episodes kept, 0 ended by the operator"]


def test_nothing_kept_is_null_in_json_and_a_dash_in_the_table(
    result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = recording_figures(load_rig(RIG.with_name("homie_g1.toml")), tmp_path, tmp_path, "robot/upper")
    assert json.loads(json.dumps(figures, allow_nan=False))["loop_rate_hz"] is None
    rest = {"seconds": 1.0, "body_policy": "none", "stages_s": {}, "paths": {}}
    show_walk({**result, **figures, **rest, "machine": {"cores": 2, "load": 0.0, "sched": "other"}})
    shown = capsys.readouterr().err
    assert "nan" not in shown
    assert "- Hz, period error p99 - ms" in shown


def test_a_rig_whose_robot_is_held_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not stand on its own feet"):
        demo_walk(WalkRequest(RIG.with_name("homie_g1.toml"), tmp_path / "out"))


def test_the_operator_stands_up_begins_and_walks_by_the_pedals(tmp_path: Path) -> None:
    """The stander goes nowhere; what it is told comes from pedals and exoskeletons."""
    pytest.importorskip("mujoco")
    pytest.importorskip("onnxruntime")
    rig = blind(load_rig(RIG, body=stiff_policy(tmp_path)))
    assert not {"head", "front"} & set(rig.devices)
    told_base: list[np.ndarray] = []

    def note(session: VirtualSession) -> None:
        sample = session.readers["robot/base/sent"].latest()
        if sample is not None:
            told_base.append(sample.array("data").copy())

    spec = rollout_spec(rig, "operator", 3, limit_s=2.0)
    first = rollout(spec, note)
    assert first.engaged
    assert not first.success
    assert not first.fell
    assert first.missing == "walk to the shelf"
    assert first.seconds == pytest.approx(2.0, abs=0.02)
    assert max(b[0] for b in told_base) == pytest.approx(0.35, abs=0.05)
    assert min(b[0] for b in told_base) >= 0.0
