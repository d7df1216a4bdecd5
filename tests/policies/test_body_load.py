"""Body policies that do not fit: one line that names the difference, nothing starts; and those that do, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.checks import check, check_embodiment, require_gains
from telerig.policies.body.interface import KEY, interface
from telerig.policies.body.load import body_policy, body_policy_names, load_manifest
from telerig.policies.body.observation import term_sizes
from telerig.policies.body.onnx_scan import external_tensor

HOLOSOMA = ("holosoma_g1_fastsac", "holosoma_g1_ppo")


@pytest.fixture(scope="module")
def g1():
    return load_embodiment("g1_like")


def refusal(name, g1, **how):
    """The line with which a policy is refused."""
    with pytest.raises(ConfigError) as error:
        body_policy(name, g1, **how)
    text = str(error.value)
    assert "\n" not in text, text
    return text


def test_one_that_fits_runs(tmp_path, body_toy, g1):
    rng = np.random.default_rng(3)
    weight, bias = rng.normal(0, 0.1, (67, 12)), rng.normal(0, 0.1, 12)
    policy = body_policy(body_toy.write(tmp_path, model=body_toy.onnx(weight=weight, bias=bias)), g1)
    state = body_toy.state()
    made = policy.manifest
    done = policy.step(state, [0, 0, 0, 0.74])
    x = np.zeros(67)
    x[3], x[4:7], x[7:10] = 0.22, 0.25 * state.angular_velocity, state.gravity
    x[10:31], x[31:52] = state.position - made.column("default", made.joint_names), 0.05 * state.velocity
    np.testing.assert_allclose(done.action, x @ weight + bias, atol=1e-5)
    low, high = zip(*((lo, hi) for j in made.action_joints for lo, hi in [_range(g1, j)]), strict=True)
    assert (done.position >= low).all()
    assert (done.position <= high).all()


def _range(g1, joint):
    for g in g1.groups:
        if joint in g.joints:
            return g.low[g.joints.index(joint)], g.high[g.joints.index(joint)]
    raise AssertionError(joint)


def swap(items, a, b):
    items[a], items[b] = items[b], items[a]


def spoil(path, value):
    """A function that sets one key, e.g. ``("command", "vx", "range")``, of the tables."""

    def change(tables):
        for key in path[:-1]:
            tables = tables[key]
        tables[path[-1]] = value

    return change


WRONG = [
    (spoil(["colour"], 1), "colour: unknown key"),
    (spoil(["rate_hz"], "50"), "rate_hz: input should be a valid number (it says '50')"),
    (spoil(["format"], 2), "format: input should be 1 (it says 2)"),
    (spoil(["joints", 3, "default"], float("nan")), "joints.3.default: input should be a finite number"),
    (spoil(["joints", 3, "kp"], 3000.0), "joints.3.kp: input should be less than or equal to 1000 (it says 3000.0)"),
    (spoil(["joints", 3, "kd"], -1.0), "joints.3.kd: input should be greater than or equal to 0 (it says -1.0)"),
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
    (spoil(["gains"], {"kp": [1.2, 1.5]}), "[gains] kp: factors 1.2 to 1.5 do not contain 1"),
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


def test_models_of_other_shapes(tmp_path, body_toy, g1):
    def said(**how):
        return refusal(body_toy.write(tmp_path, model=body_toy.onnx(**how)), g1)

    assert "input observation is tensor(float) [1, 66], the manifest says tensor(float) [1, 67]" in said(inputs=66)
    assert "output action is tensor(float) [1, 29], the manifest says tensor(float) [1, 12]" in said(outputs=29)
    assert "input observation is tensor(double) [1, 67]" in said(dtype="float64")
    assert "input observation is tensor(float) [4, 67]" in said(batch=4)
    assert "on zeros its output is not finite" in said(bias=np.full(12, np.inf))
    # the file leaves the batch open: fine
    body_policy(body_toy.write(tmp_path, model=body_toy.onnx(batch="n")), g1)


def test_a_model_whose_weights_lie_elsewhere_is_not_opened(tmp_path, body_toy, g1, monkeypatch):
    """ONNX Runtime would read whatever file the model names, so it must not see the model at all."""
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("opened"))
    for how, tensor in (({"external": "weights.bin"}, "weight"), ({"constant": "../../secret"}, "hidden")):
        text = refusal(body_toy.write(tmp_path, model=body_toy.onnx(**how)), g1)
        assert text == (
            f"body policy toy: toy.onnx keeps tensor '{tensor}' in another file; only files that stand alone are loaded"
        )


def test_files_that_are_no_models(tmp_path, body_toy, g1):
    good = body_toy.onnx()
    for bad in (b"", b"not a model", good[:-40], good[:300], b"\x3a\x05hello", os.urandom(4096), b"\x80" * 30):
        assert "toy.onnx: " in refusal(body_toy.write(tmp_path, model=bad), g1)
    assert external_tensor(body_toy.with_fixed_field(good)) is None
    deep = body_toy.field(1, b"")
    for _ in range(100):  # a graph within a node within a graph …
        deep = body_toy.field(1, body_toy.field(5, body_toy.field(6, deep)))
    with pytest.raises(ConfigError, match="not an ONNX model"):
        external_tensor(body_toy.field(7, deep))


def test_a_file_that_says_its_order_is_believed(tmp_path, body_toy, g1):
    """Shapes cannot tell left from right; what the trainer wrote into the file can."""
    said = {KEY: json.dumps(interface(body_toy.manifest()))}
    model = body_toy.onnx(metadata=said)
    body_policy(body_toy.write(tmp_path, model=model), g1)

    def text(change):
        tables = body_toy.recipe()
        change(tables)
        return refusal(body_toy.write(tmp_path, tables, model), g1)

    order = "is 'right_hip_pitch_joint' in the manifest, 'left_hip_pitch_joint' in the model file"
    assert f"joints: element 0 {order}" in text(lambda t: swap(t["joints"], 0, 6))
    assert f"action joints: element 0 {order}" in text(
        spoil(["action", "joints"], [*body_toy.LEGS[6:], *body_toy.LEGS[:6]])
    )
    terms = (
        "observation terms: element 2 is 'projected_gravity 3' in the manifest, 'angular_velocity 3' in the model file"
    )
    assert terms in text(lambda t: swap(t["observation"]["terms"], 2, 3))
    gain = "kp: element 3 (left_knee_joint) is 150 in the manifest, 300 in the model file"
    assert gain in text(spoil(["joints", 3, "kp"], 150.0))
    scale = "action scale: element 0 (left_hip_pitch_joint) is 0.25 in the manifest, 0.3 in the model file"
    assert scale in text(spoil(["action", "scale"], 0.25))
    assert "default pose: element 3 (left_knee_joint)" in text(spoil(["joints", 3, "default"], 0.7))


def test_metadata_that_cannot_be_read(tmp_path, body_toy, g1):
    for said, message in (
        ({KEY: "[1"}, "metadata 'telerig.interface' cannot be read"),
        ({KEY: '{"joints": 3}'}, "joints: 21 in the manifest, 0 in the model file"),
        ({KEY: '{"future": []}'}, "speaks of 'future', which this version does not know"),
        ({"dof_names": json.dumps(body_toy.LEGS[::-1])}, "action joints: element 0 is 'left_hip_pitch_joint'"),
    ):
        assert message in refusal(body_toy.write(tmp_path, model=body_toy.onnx(metadata=said)), g1)


def test_gains_that_a_rig_must_not_use(body_toy):
    made = body_toy.manifest()
    joints = made.action_joints
    kp, kd = made.column("kp", joints), made.column("kd", joints)
    require_gains(made, joints, kp=1.1 * kp, kd=0.9 * kd)
    kp[3] = 150.0
    with pytest.raises(ConfigError) as error:
        require_gains(made, joints, kp=kp, kd=kd)
    assert str(error.value) == (
        "body policy toy: kp of left_knee_joint is 150, it was trained for 300 and allows 270 to 330"
    )


def test_one_thread_and_nothing_printed(tmp_path, body_toy, g1, monkeypatch, capfd):
    import onnxruntime

    seen, real = [], onnxruntime.InferenceSession

    def session(model, options, **how):
        assert isinstance(model, bytes)  # from memory: no folder that a file could point into
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads, how["providers"]))
        return real(model, options, **how)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    body_policy(body_toy.write(tmp_path), g1)
    assert seen == [(1, 1, ["CPUExecutionProvider"])]
    broken = body_toy.onnx().replace(b"Gemm", b"Germ")
    assert "ONNX Runtime refuses it" in refusal(body_toy.write(tmp_path, model=broken), g1)
    assert capfd.readouterr() == ("", "")


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
    seen, infer = [], policy._infer
    policy._infer = lambda x: seen.append(x[0].copy()) or infer(x)
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
    with pytest.raises(ConfigError, match="kp of left_hip_pitch_joint is 100, it was trained for 150"):
        require_gains(made, made.action_joints, kp=np.array([100, 100, 100, 150, 40, 40] * 2, float))


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


def test_a_package_is_looked_up_not_imported(tmp_path, body_toy, g1, monkeypatch):
    package = tmp_path / "site" / "toy_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "toy.onnx").write_bytes(body_toy.onnx())
    monkeypatch.syspath_prepend(str(package.parent))
    tables = body_toy.recipe()
    tables["model"]["package"] = "toy_weights"
    body_policy(body_toy.write(tmp_path, tables, model=b"not this one"), g1)
    assert "toy_weights" not in sys.modules


def test_without_onnxruntime_it_says_what_to_install(tmp_path, body_toy):
    """Manifests can be read and checked without it."""
    code = """
import sys
sys.modules["onnxruntime"] = None
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import MissingExtra
from telerig.policies.body.load import body_policy, load_manifest
load_manifest(sys.argv[1])
try:
    body_policy(sys.argv[1], load_embodiment("g1_like"))
except MissingExtra as error:
    print(error)
assert "torch" not in sys.modules and "mujoco" not in sys.modules
"""
    name = body_toy.write(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, timeout=60)
    assert done.stdout == "onnxruntime is not installed: pip install 'telerig[learn]'\n", done.stderr
