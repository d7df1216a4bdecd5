"""Body policies' manifests: what does not fit is named; those that telerig comes with fit."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.checks import check, check_embodiment
from telerig.policies.body.load import body_policy, body_policy_names, load_manifest
from telerig.policies.body.observation import term_sizes

from .body_refusal import refusal, spoil

HOLOSOMA = ("holosoma_g1_fastsac", "holosoma_g1_ppo")


@pytest.fixture(scope="module")
def g1():
    return load_embodiment("g1_like")


WRONG = [
    (spoil(["colour"], 1), "colour: unknown key"),
    (spoil(["rate_hz"], "50"), "rate_hz: input should be a valid number (it says '50')"),
    (spoil(["format"], 2), "format: input should be 1 (it says 2)"),
    (spoil(["joints", 3, "default"], float("nan")), "joints.3.default: input should be a finite number"),
    (spoil(["joints", 3, "kp"], 3000.0), "joints.3.kp: input should be less than or equal to 1000 (it says 3000.0)"),
    (spoil(["joints", 3, "kd"], 0.0), "joints.3.kd: input should be greater than 0 (it says 0.0)"),
    (spoil(["joints", 3, "kp"], 501.0), "body policy toy: kp of left_knee_joint is 501, g1_like's limit is 500"),
    (spoil(["joints", 9, "kd"], 20.5), "body policy toy: kd of right_knee_joint is 20.5, g1_like's limit is 20"),
    (spoil(["joints", 3, "name"], "left_hip_yaw_joint"), "[[joints]] lists 'left_hip_yaw_joint' twice"),
    (spoil(["joints", 20, "name"], "tail_joint"), "joint 'tail_joint' is not one of g1_like's"),
    (
        spoil(["joints", 4, "default"], 1.2),
        "default of left_ankle_pitch_joint is 1.2 rad, its range is [-0.8626, 0.5136]",
    ),
    (spoil(["joints", 3, "torque"], 200.0), "torque of left_knee_joint is 200.0 N m, g1_like's limit is 139.0"),
    (lambda t: t["joints"][0].pop("kd"), "[action] drives 'left_hip_pitch_joint', whose kd is missing"),
    (lambda t: t["joints"].pop(0), "[action] drives 11 joints, [model] outputs says 12"),
    (spoil(["action", "joints"], ["tail_joint"]), "[action] drives 'tail_joint', which is not in [[joints]]"),
    (spoil(["action", "scale"], [0.3, 0.2]), "[action] scale has 2 numbers, one or 12 are right"),
    (spoil(["action", "scale"], 0.0), "[action] scale must be positive"),
    (
        lambda t: t["observation"]["terms"].pop(3),
        "observation terms are 64 numbers (command 3, command 1, angular_velocity 3, joint_position 21, joint_velocity 21, "
        "last_action 12, clock_sin 1, clock_cos 1, walk_flag 1), [model] inputs says 67: 3 too few; "
        "not listed: projected_gravity",
    ),
    (spoil(["observation", "history"], 2), "134 numbers"),
    (spoil(["observation", "terms", 3, "term"], "gravity"), "observation term 'gravity' is unknown; known: command,"),
    (spoil(["observation", "terms", 3, "history"], 1), "a term's own history needs layout = 'term'"),
    (lambda t: t.pop("clock"), "observation term 'clock_sin': [clock] is missing"),
    (spoil(["clock", "offsets"], []), "[clock] offsets is empty"),
    (spoil(["command", "vx", "range"], [1.0, -1.0]), "[command.vx] range: 1.0 is not below -1.0"),
    (spoil(["command", "height", "home"], 0.9), "[command.height] home 0.9 is outside its range [0.34, 0.78]"),
    (spoil(["command", "vx", "home"], 0.1), "[command.vx] home is not 0"),
    (spoil(["command", "vx", "response"], [[0.2, 0.0], [0.1, 0.3]]), "[command.vx] response: pairs (given, achieved)"),
    (
        spoil(["command", "height"], {"range": [0.1, 0.2], "home": 0.15}),
        "[0.1, 0.2] has nothing in common with g1_like's",
    ),
    (spoil(["gains"], {"kp": [1.2, 1.5]}), "gains: unknown key"),
    (spoil(["reference", "gait", 0, "phase"], 2), "[[reference.gait]] 0 phase 2: the clock has 2 phases"),
    (
        spoil(["reference", "gait", 0, "joints"], {"waist_yaw_joint": 1.0}),
        "[[reference.gait]] 0 joints: 'waist_yaw_joint'",
    ),
    (lambda t: t["reference"].pop("factors"), "[[reference.gait]] 1 factors: 'reach' is unknown"),
    (
        spoil(["reference", "factors", "reach", "value"], [1.0]),
        "[reference.factors.reach] value has 1 numbers, 2 heights",
    ),
    (
        spoil(["reference", "gait", 1, "times"], "vz"),
        "reference.gait.1.times: input should be 'vx', 'vy', 'yaw_rate' or",
    ),
    (spoil(["reference", "height_table", "height"], [0.5, 0.4, 0.7]), "[reference.height_table] height must rise"),
    (spoil(["embodiment"], "h1_like"), "is for embodiment 'h1_like', this is 'g1_like'"),
    (spoil(["model", "file"], "other.onnx"), "no model file "),
    (spoil(["model", "package"], "no_such_package_here"), "package no_such_package_here is not installed"),
    (spoil(["model", "size_bytes"], 5), "bytes, the manifest says 5"),
    (spoil(["model", "sha256"], "0" * 64), "the manifest says 000000000000…"),
    (spoil(["model", "input"], "obs"), "toy.onnx: its inputs are observation, the manifest says obs"),
    (spoil(["model", "output"], "actions"), "toy.onnx: its outputs are action, the manifest says actions"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_manifests_that_do_not_fit(tmp_path, body_toy, g1, change, message):
    tables = body_toy.recipe()
    change(tables)
    # JSON's NaN is spelt nan in TOML
    name = body_toy.write(tmp_path, tables)
    Path(name).write_text(Path(name).read_text().replace("NaN", "nan"))
    assert message in refusal(name, g1)


# The manifests that telerig comes with.
def test_those_that_telerig_knows(g1):
    assert {*HOLOSOMA, "homie_g1"} <= set(body_policy_names())
    for name in body_policy_names():
        made, _ = load_manifest(name)
        assert made.name == name
        check(made)
        check_embodiment(made, g1)
    with pytest.raises(ConfigError, match="body policy 'nobody' is unknown; known: "):
        load_manifest("nobody")


def test_holosomas_layout():
    for name in HOLOSOMA:
        made, _ = load_manifest(name)
        assert term_sizes(made) == [
            ("last_action", 29), ("angular_velocity", 3), ("command", 1), ("command", 2), ("clock_cos", 2),
            ("joint_position", 29), ("joint_velocity", 29), ("projected_gravity", 3), ("clock_sin", 2),
        ]  # fmt: skip
        assert made.action_joints == made.joint_names
        assert made.command.names == ("vx", "vy", "yaw_rate")
    assert load_manifest(HOLOSOMA[0])[0].action.overridden == "executed"
    assert load_manifest(HOLOSOMA[1])[0].action.overridden == "own"


def test_homies_layout_and_gains(body_toy, g1, tmp_path):
    """What its published settings get wrong: yaw and angular velocity at half scale, the robot's gains, zeros at the start."""
    made, _ = load_manifest("homie_g1")
    assert sum(n for _, n in term_sizes(made)) == 456
    weight = np.zeros((456, 12))
    model = tmp_path / "mine.onnx"
    model.write_bytes(body_toy.onnx(456, 12, weight, names=("input", "output")))
    policy = body_policy("homie_g1", g1, model=model)
    seen, infer = [], policy.infer
    policy.infer = lambda x: seen.append(x[0].copy()) or infer(x)
    state = body_toy.state(27)
    policy.step(state, [0.487, 0.1, -0.464, 0.5])
    old, new = seen[0][: 5 * 76], seen[0][5 * 76 :]
    assert not old.any()
    np.testing.assert_allclose(new[:4], [2 * 0.5, 2 * 0.1, -0.5 * 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(new[4:7], 0.5 * state.angular_velocity, rtol=1e-6)
    np.testing.assert_allclose(new[7:10], state.gravity, rtol=1e-6)
    np.testing.assert_allclose(new[10:37], state.position - made.column("default", made.joint_names), rtol=1e-5)
    np.testing.assert_allclose(new[37:64], 0.05 * state.velocity, rtol=1e-5)
    np.testing.assert_array_equal(new[64:], 0)
    np.testing.assert_array_equal(made.column("kp", made.action_joints), [150, 150, 150, 300, 40, 40] * 2)


def test_homies_file_is_the_users(g1):
    text = refusal("homie_g1", g1)
    assert "no model file" in text
    assert "deploy.onnx" in text


@pytest.mark.skipif(find_spec("holosoma_inference") is None, reason="holosoma_inference is not installed")
@pytest.mark.parametrize("name", HOLOSOMA)
def test_holosomas_files_load(name, body_toy, g1):
    policy = body_policy(name, g1)
    default = policy.manifest.column("default", policy.manifest.joint_names)
    state = body_toy.state(29)
    state.position[:], state.velocity[:], state.angular_velocity[:], state.gravity[:] = default, 0, 0, (0, 0, -1)
    done = policy.step(state, [0, 0, 0, 0.74])
    assert np.abs(done.position - default).max() < 0.3  # it stands, more or less as it stood
