"""Body policies' model files: those that fit run; of others one line names the difference, and nothing starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body import load
from telerig.policies.body.interface import KEY, interface
from telerig.policies.body.load import body_policy
from telerig.policies.body.onnx_scan import external_tensor

from .body_refusal import refusal, spoil, swap


@pytest.fixture(scope="module")
def g1():
    return load_embodiment("g1_like")


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


def test_other_packages_manifests_are_found_by_name(tmp_path, body_toy, g1, monkeypatch):
    path = body_toy.write(tmp_path)

    class Entry:
        name = "theirs"

        def load(self):
            return lambda: path

    monkeypatch.setattr(load, "entry_points", lambda group: [Entry()] if group == "telerig.body_policies" else [])
    assert "theirs" in load.body_policy_names()
    assert body_policy("theirs", g1).manifest.name == load.load_manifest(path)[0].name
    with pytest.raises(ConfigError, match=r"'mine' is unknown; known: .*telerig_g1, theirs"):
        body_policy("mine", g1)


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
