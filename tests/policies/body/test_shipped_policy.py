"""The body policy that telerig ships: what lies in the folder is what was trained, and it stands, squats, walks and turns.

A few robots for a few seconds: that something is wrong (a sign, a scale, another file).  How well it does, ``telerig
eval-body`` says.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="mujoco is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from telerig.hardware.embodiment import load_embodiment
from telerig.policies.body.evaluation.cases import Case, choose
from telerig.policies.body.evaluation.evaluate import Request, evaluate
from telerig.policies.body.load import FOLDER, body_policy, load_manifest

NAME = "telerig_g1"


@pytest.fixture(scope="module")
def provenance() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{NAME}.json").read_text())
    return found


def test_the_file_is_the_one_that_was_trained_and_judged(provenance: dict[str, Any]) -> None:
    data = (FOLDER / f"{NAME}.onnx").read_bytes()
    manifest, _ = load_manifest(NAME)
    digest = hashlib.sha256(data).hexdigest()
    assert digest == provenance["sha256"] == manifest.model.sha256 == provenance["evaluation_full_model"]["sha256"]
    assert len(data) == provenance["bytes"] <= 1_000_000
    assert manifest.licence == "Apache-2.0"


def test_its_provenance_says_how_to_make_it_again(provenance: dict[str, Any]) -> None:
    assert {"config", "seed", "steps", "hours", "commit", "evaluation_full_model"} <= provenance.keys()
    assert provenance["config"]["seed"] == provenance["seed"]
    table = provenance["evaluation_full_model"]
    assert table["seeds"] == 20
    assert set(table["cases"]) == {case.name for case in choose([])}


def row(case: Case) -> dict[str, Any]:
    return evaluate(Request(NAME, cases=(case,), seeds=2, processes=1)).rows[case.name]


@pytest.mark.parametrize("height", [0.74, 0.45])
def test_it_stands_and_squats_while_the_arms_sweep(height: float) -> None:
    found = row(Case("height", (0.0, 0.0, 0.0, height), seconds=6.0, tracked="height", within=0.02))
    assert (found["up"], found["met"]) == (2, True), found


@pytest.mark.parametrize(
    ("axis", "asked"), [("vx", 0.5), ("vx", -0.3), ("vy", 0.3), ("vy", -0.3), ("yaw_rate", 0.5), ("yaw_rate", -0.5)]
)
def test_it_goes_where_it_is_told(axis: str, asked: float) -> None:
    axes = ("vx", "vy", "yaw_rate")
    command = np.zeros(4)
    command[axes.index(axis)], command[3] = asked, 0.74
    found = row(Case("go", tuple(command.tolist()), seconds=7.0, tracked="share", within=0.3))
    assert found["up"] == 2, found
    assert found[axis] == pytest.approx(asked, rel=0.3), found
    for other in axes:
        if other != axis:
            assert abs(found[other]) < 0.12, found


def test_a_wrong_scale_is_refused_with_the_term_that_differs(tmp_path: Any) -> None:
    text = (FOLDER / f"{NAME}.toml").read_text().replace(f'file = "{NAME}.onnx"', f'file = "{FOLDER / NAME}.onnx"')
    wrong = tmp_path / "wrong.toml"
    assert "scale = 0.25" in text
    wrong.write_text(text.replace("scale = 0.25", "scale = 0.5", 1))
    with pytest.raises(Exception, match=r"observation scale.*angular_velocity"):
        body_policy(str(wrong), load_embodiment("g1_like"))
