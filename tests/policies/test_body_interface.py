"""A manifest beside a file that says what it was made for: whatever is wrong in it is named, and nothing starts."""

from __future__ import annotations

import json

import pytest

from telerig.hardware.embodiment import load_embodiment
from telerig.policies.body.interface import KEY, interface
from telerig.policies.body.load import body_policy

from .body_refusal import refusal, spoil, swap


@pytest.fixture(scope="module")
def g1():
    return load_embodiment("g1_like")


def _full(tables):
    """The toy's tables with every optional number said."""
    tables["observation"] |= {"clip": 30.0, "history": 1}
    tables["command"] |= {"rest_below": 0.02}
    tables["command"]["vy"]["response"] = [[0.1, 0.0], [0.4, 0.4]]
    tables["clock"] |= {"at_rest": "fixed", "rest_phase": 3.0, "restart": True}
    return tables


def _other_history(tables):
    """Same sizes: one term with two steps instead of another of the same width."""
    tables["observation"]["layout"] = "term"
    tables["observation"]["terms"][2]["history"] = 2
    tables["observation"]["terms"].pop(3)


TERMS = ("observation", "terms")
WRONG = [
    (spoil([*TERMS, 0, "scale"], [1.0, 1.0, 0.25]), "observation scale: element 2 (command yaw_rate) is 0.25"),
    (
        spoil([*TERMS, 2, "scale"], 0.5),
        "observation scale: element 4 (angular_velocity x) is 0.5 in the manifest, 0.25",
    ),
    (spoil([*TERMS, 5, "scale"], 0.050001), "observation scale: element 31 (joint_velocity left_hip_pitch_joint)"),
    (spoil([*TERMS, 1, "bias"], -1.0), "observation bias: element 3 (command height) is -1 in the manifest, -2"),
    (spoil([*TERMS, 0, "items"], ["vy", "vx", "yaw_rate"]), "observation elements: element 0 is 'command vy'"),
    (spoil([*TERMS, 7, "phases"], [1]), "observation elements: element 64 is 'clock_sin 1'"),
    (lambda t: swap(t["observation"]["terms"], 4, 5), "observation terms: element 4 is 'joint_velocity 21'"),
    (_other_history, "observation terms: 9 in the manifest, 10 in the model file"),
    (spoil(["observation", "clip"], 5.0), "observation clip: element 0 is 5 in the manifest, 30 in the model file"),
    (lambda t: t["observation"].pop("clip"), "observation clip: element 0 is 'none' in the manifest, 30"),
    (spoil(["observation", "layout"], "term"), "observation layout: element 0 is 'term'"),
    (spoil(["observation", "order"], "newest_first"), "observation layout: element 1 is 'newest_first'"),
    (spoil(["observation", "fill"], "repeat"), "observation layout: element 2 is 'repeat'"),
    (spoil(["action", "scale"], 0.25), "action scale: element 0 (left_hip_pitch_joint) is 0.25"),
    (spoil(["action", "clip"], 1.0), "action clip: element 0 is 1 in the manifest, 6 in the model file"),
    (lambda t: t["action"].pop("clip"), "action clip: element 0 is 'none' in the manifest, 6"),
    (spoil(["action", "overridden"], "zero"), "last action of overridden joints: element 0 is 'zero'"),
    (spoil(["joints", 3, "kp"], 299.0), "kp: element 3 (left_knee_joint) is 299 in the manifest, 300"),
    (spoil(["joints", 3, "kd"], 5.0), "kd: element 3 (left_knee_joint) is 5 in the manifest, 6"),
    (spoil(["joints", 0, "torque"], 1.0), "torque: element 0 (left_hip_pitch_joint) is 1 in the manifest, 88"),
    (spoil(["joints", 15, "default"], 0.5), "default pose: element 15 (left_shoulder_yaw_joint) is 0.5"),
    (lambda t: swap(t["joints"], 13, 17), "joints: element 13 is 'right_shoulder_pitch_joint'"),
    (spoil(["rate_hz"], 100), "rate: element 0 is 100 in the manifest, 50 in the model file"),
    (spoil(["command", "vx", "range"], [-0.5, 1.5]), "command range: element 1 (vx highest) is 1.5"),
    (spoil(["command", "height", "home"], 0.7), "command home: element 3 (height) is 0.7"),
    (lambda t: t["command"]["yaw_rate"].pop("slew"), "command slew: element 2 (yaw_rate) is 'none' in the manifest, 2"),
    (spoil(["command", "rest_below"], 0.05), "command rest_below: element 0 is 0.05"),
    (spoil(["command", "vx", "stop_below"], 0.3), "command stop_below: element 0 (vx) is 0.3"),
    (
        spoil(["command", "vy", "response"], [[0.2, 0.0], [0.4, 0.4]]),
        "command response: element 1 (vy) is '[[0.2, 0.0]",
    ),
    (spoil(["clock", "period_s"], 2.0), "clock: element 0 (period_s) is 2 in the manifest, 0.8"),
    (spoil(["clock", "at_rest"], "run"), "clock: element 1 (at_rest) is 'run' in the manifest, 'fixed'"),
    (spoil(["clock", "rest_phase"], 1.0), "clock: element 2 (rest_phase) is 1 in the manifest, 3"),
    (spoil(["clock", "restart"], False), "clock: element 3 (restart) is 'goes on' in the manifest, 'restarts'"),
    (spoil(["clock", "offsets"], [0.0, 3.0]), "clock: element 5 (offset 1) is 3 in the manifest"),
    (lambda t: t.pop("reference"), "reference: 0 in the manifest, 14 in the model file"),
    (lambda t: t["reference"]["gait"].pop(), "reference: 13 in the manifest, 14 in the model file"),
    (spoil(["reference", "height_table", "height", 1], 0.51), "reference: element 0 (height_table) is"),
    (spoil(["reference", "factors", "reach", "value"], [2.0, 1.1]), "reference: element 1 (factors reach) is"),
    (spoil(["reference", "gait", 2, "joints", "left_hip_roll_joint"], 0.29), "reference: element 4 (gait 2) is"),
    (spoil(["reference", "gait", 3, "factors"], ["reach"]), "reference: element 5 (gait 3) is"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[m[:48] for _, m in WRONG])
def test_whatever_is_wrong_in_a_manifest_is_named(tmp_path, body_toy, g1, change, message):
    right = _full(body_toy.recipe())
    model = body_toy.onnx(metadata={KEY: json.dumps(interface(body_toy.manifest(right)))})
    body_policy(body_toy.write(tmp_path, right, model), g1)
    change(right)
    text = refusal(body_toy.write(tmp_path, right, model), g1)
    assert text.startswith("body policy toy: toy.onnx: ")
    assert message in text


def test_what_a_manifest_may_say_otherwise(tmp_path, body_toy, g1):
    """Words about it, and the same numbers spelt out: none of it changes what the robot does."""
    model = body_toy.onnx(metadata={KEY: json.dumps(interface(body_toy.manifest()))})
    tables = body_toy.recipe()
    tables["title"], tables["source"] = "another", "elsewhere"
    tables["action"]["scale"] = [0.3] * 12
    tables["action"]["joints"] = body_toy.LEGS
    tables["observation"]["terms"][4]["joints"] = [j["name"] for j in tables["joints"]]
    body_policy(body_toy.write(tmp_path, tables, model), g1)


def test_a_file_that_says_less_than_it_must(tmp_path, body_toy, g1):
    said = interface(body_toy.manifest())
    said.pop("observation scale")
    text = refusal(body_toy.write(tmp_path, model=body_toy.onnx(metadata={KEY: json.dumps(said)})), g1)
    assert text.endswith("the model file does not say its 'observation scale': export it again")


def _seen_is_driven(tables, joints):
    """A policy that sees the twelve joints that it drives; its outputs' order is said on its own."""
    tables["action"]["joints"] = joints
    del tables["joints"][12:]
    tables["model"]["inputs"] = 49


def test_holosomas_files_order_what_is_seen_too(tmp_path, body_toy, g1):
    right = body_toy.recipe()
    _seen_is_driven(right, body_toy.LEGS)
    model = body_toy.onnx(inputs=49, metadata={"dof_names": json.dumps(body_toy.LEGS)})
    body_policy(body_toy.write(tmp_path, right, model), g1)
    swap(right["joints"], 0, 6)
    text = refusal(body_toy.write(tmp_path, right, model), g1)
    assert "joints: element 0 is 'right_hip_pitch_joint' in the manifest, 'left_hip_pitch_joint' in the model" in text
    swap(right["joints"], 0, 6)
    right["observation"]["terms"][5]["joints"] = [*body_toy.LEGS[6:], *body_toy.LEGS[:6]]
    text = refusal(body_toy.write(tmp_path, right, model), g1)
    assert "joints of joint_velocity: element 0 is 'right_hip_pitch_joint' in the manifest" in text


def _names(joints):
    return [joint["name"] for joint in joints]


ORDERS = [
    (lambda t: swap(t["joints"], 0, 6), "[[joints]] has 'right_hip_pitch_joint' before 'left_hip_pitch_joint'"),
    (lambda t: swap(t["joints"], 3, 4), "[[joints]] has 'left_ankle_pitch_joint' before 'left_knee_joint'"),
    (
        lambda t: t["action"].update(joints=_names([*t["joints"][6:12], *t["joints"][:6]])),
        "[action] joints has 'right_hip_pitch_joint' before 'left_hip_pitch_joint'",
    ),
    (
        lambda t: t["observation"]["terms"][4].update(joints=_names([*t["joints"][:13], *t["joints"][17:], *t["joints"][13:17]])),
        "joints of joint_position (term 4) has 'right_shoulder_pitch_joint' before 'left_shoulder_pitch_joint'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), ORDERS, ids=[m[:48] for _, m in ORDERS])
def test_an_unusual_order_must_be_said_where_the_file_says_nothing(tmp_path, body_toy, g1, change, message):
    tables = body_toy.recipe()
    change(tables)
    assert message in refusal(body_toy.write(tmp_path, tables), g1)
    tables["model"]["unusual_order"] = True
    body_policy(body_toy.write(tmp_path, tables), g1)


def test_limbs_may_be_interleaved(tmp_path, body_toy, g1):
    """Some simulators list joints by their depth, left before right: that is no mistake."""
    tables = body_toy.recipe()
    legs, rest = tables["joints"][:12], tables["joints"][12:]
    tables["joints"] = [*(legs[side * 6 + k] for k in range(6) for side in range(2)), *rest]
    body_policy(body_toy.write(tmp_path, tables), g1)
