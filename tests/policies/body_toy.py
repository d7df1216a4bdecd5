"""Tiny ONNX models written by hand, and a manifest like the one telerig's own body policy will have: 67 inputs, 12 outputs."""

from __future__ import annotations

import copy
import json
import struct
from pathlib import Path

import numpy as np

from telerig.policies.body.checks import check
from telerig.policies.body.manifest import parse_manifest
from telerig.policies.body.runtime import BodyState

LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
LEGS = [f"{side}_{j}_joint" for side in ("left", "right") for j in LEG]
ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")
UPPER = ["waist_yaw_joint", *(f"{side}_{j}_joint" for side in ("left", "right") for j in ARM)]
GAINS = dict(
    zip(LEG, [(150, 4, 88), (150, 4, 139), (150, 4, 88), (300, 6, 139), (60, 2, 50), (60, 2, 50)], strict=True)
)
DEFAULT = {"hip_pitch": -0.4, "knee": 0.8, "ankle_pitch": -0.4}
ARM_DEFAULT = {"left_shoulder_roll_joint": 0.2, "right_shoulder_roll_joint": -0.2, "left_elbow_joint": 0.9,
               "right_elbow_joint": 0.9}  # fmt: skip
PI = float(np.pi)


def _leg(name):
    return name.split("_", 1)[1].removesuffix("_joint")


def _gait():
    """The recipe's stepping pattern, wave by wave."""
    waves = []
    for phase, side, outward in ((0, "left", 1.0), (1, "right", -1.0)):
        hip, knee, ankle = (f"{side}_{j}_joint" for j in ("hip_pitch", "knee", "ankle_pitch"))
        roll, ankle_roll, yaw = (f"{side}_{j}_joint" for j in ("hip_roll", "ankle_roll", "hip_yaw"))
        waves += [
            {"phase": phase, "shape": "lift", "joints": {hip: -0.3, knee: 0.6, ankle: -0.3}},
            {"phase": phase, "shape": "cos", "times": "vx", "factors": ["reach"], "joints": {hip: 0.29, ankle: -0.29}},
            {
                "phase": phase,
                "shape": "cos",
                "times": "vy",
                "factors": ["reach"],
                "joints": {roll: -0.29, ankle_roll: 0.29},
            },
            {"phase": phase, "shape": "cos", "times": "yaw_rate", "joints": {yaw: -0.1}},
            {
                "shape": "one",
                "times": "vy",
                "absolute": True,
                "joints": {roll: 0.2 * outward, ankle_roll: -0.2 * outward},
            },
            {"phase": 0, "shape": "sin", "joints": {roll: 0.045, ankle_roll: -0.045}},
        ]
    return waves


def recipe():
    """The manifest's tables; a fresh copy, to be spoilt at will."""
    joints = []
    for name in LEGS:
        kp, kd, torque = GAINS[_leg(name)]
        joints.append({"name": name, "default": DEFAULT.get(_leg(name), 0.0), "kp": kp, "kd": kd, "torque": torque})
    joints += [{"name": name, "default": ARM_DEFAULT.get(name, 0.0)} for name in UPPER]
    table = {f"{side}_{j}_joint": [3 * a, 2 * a, a] for side in ("left", "right") for j, a in DEFAULT.items()}
    table |= {f"{side}_ankle_pitch_joint": [-0.7, -0.6, -0.4] for side in ("left", "right")}
    speed = {"range": [-0.5, 0.9], "slew": 1.0, "stop_below": 0.08}
    tables = {
        "format": 1,
        "name": "toy",
        "licence": "Apache-2.0",
        "source": "this test",
        "embodiment": "g1_like",
        "rate_hz": 50,
        "joints": joints,
        "model": {"file": "toy.onnx", "input": "observation", "output": "action", "inputs": 67, "outputs": 12},
        "action": {"scale": 0.3, "clip": 6.0},
        "observation": {
            "terms": [
                {"term": "command", "items": ["vx", "vy", "yaw_rate"]},
                {"term": "command", "items": ["height"], "scale": 3.0, "bias": -2.0},
                {"term": "angular_velocity", "scale": 0.25},
                {"term": "projected_gravity"},
                {"term": "joint_position"},
                {"term": "joint_velocity", "scale": 0.05},
                {"term": "last_action"},
                {"term": "clock_sin", "phases": [0]},
                {"term": "clock_cos", "phases": [0]},
                {"term": "walk_flag"},
            ]
        },
        "command": {
            "vx": speed,
            "vy": {**speed, "range": [-0.4, 0.4]},
            "yaw_rate": {"range": [-0.9, 0.9], "slew": 2.0, "stop_below": 0.15},
            "height": {"range": [0.34, 0.78], "home": 0.74, "slew": 0.3},
        },
        "clock": {"period_s": 0.8, "offsets": [0.0, PI]},
        "reference": {
            "height_table": {"height": [0.34, 0.5, 0.74], "joints": table},
            "factors": {"reach": {"height": [0.3, 0.8], "value": [2.0, 1.0]}},
            "gait": _gait(),
        },
    }
    return copy.deepcopy(tables)


def manifest(tables=None):
    """A checked manifest."""
    made = parse_manifest(tables or recipe(), "toy.toml")
    check(made)
    return made


def state(n=21, seed=0, joints=None):
    """Some state: ``n`` joints, or one value for each of ``joints`` that depends on its name only."""
    rng = np.random.default_rng(seed)
    if joints is not None:
        values = np.array([np.random.default_rng([seed, *name.encode()]).normal(0, 0.3, 2) for name in joints])
        return BodyState(values[:, 0], values[:, 1], np.array([0.1, -0.2, 0.3]), np.array([0.1, 0.0, -0.99]))
    gravity = rng.normal(0, 0.1, 3) - [0, 0, 1]
    return BodyState(rng.normal(0, 0.3, n), rng.normal(0, 1, n), rng.normal(0, 1, 3), gravity)


def toml(value, top=True):
    """Tables as TOML; everything below the top inline."""
    if isinstance(value, dict):
        pairs = [f"{k} = {toml(v, False)}" for k, v in value.items()]
        return "\n".join(pairs) + "\n" if top else "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v, False) for v in value) + "]"
    return json.dumps(value)


def write(folder: Path, tables=None, model=None):
    """A manifest and its model in a folder; the manifest's path, as a name to load by."""
    tables = tables or recipe()
    (folder / "toy.toml").write_text(toml(tables))
    (folder / "toy.onnx").write_bytes(onnx() if model is None else model)
    return str(folder / "toy.toml")


# ONNX by hand: the few messages of onnx.proto3 that a linear layer needs.


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, value):
    """One protobuf field: an int, or bytes (text, a message)."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def tensor(name, array, external=None):
    """A TensorProto; ``external`` names the file that holds its numbers."""
    kind = {"float32": 1, "float64": 11}[array.dtype.name]
    out = b"".join(field(1, n) for n in array.shape) + field(2, kind) + field(8, name)
    if external is None:
        return out + field(9, array.tobytes())
    return out + field(13, field(1, "location") + field(2, external)) + field(14, 1)


def _value(name, shape, kind):
    """A ValueInfoProto; a dimension may be a name."""
    dims = b"".join(field(1, field(1, s) if isinstance(s, int) else field(2, s)) for s in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def onnx(inputs=67, outputs=12, weight=None, bias=None, names=("observation", "action"), batch=1, external=None,
         metadata=(), dtype="float32", constant=None):  # fmt: skip
    """A model action = observation · weight + bias; ``constant``: a Constant node's tensor in another file."""
    kind = {"float32": 1, "float64": 11}[dtype]
    weight = np.zeros((inputs, outputs), dtype) if weight is None else np.asarray(weight, dtype)
    bias = np.zeros(outputs, dtype) if bias is None else np.asarray(bias, dtype)
    gemm = b"".join(field(1, n) for n in (names[0], "weight", "bias")) + field(2, names[1]) + field(4, "Gemm")
    graph = field(1, gemm)
    if constant:
        attribute = field(1, "value") + field(5, tensor("hidden", np.zeros(2, "f4"), constant)) + field(20, 4)
        graph += field(1, field(2, "unused") + field(4, "Constant") + field(5, attribute))
    graph += field(2, "toy") + field(5, tensor("weight", weight, external)) + field(5, tensor("bias", bias))
    graph += field(11, _value(names[0], (batch, inputs), kind)) + field(12, _value(names[1], (batch, outputs), kind))
    model = field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))
    return model + b"".join(field(14, field(1, k) + field(2, v)) for k, v in dict(metadata).items())


def with_fixed_field(model):
    """The same model with a field that no reader knows, of fixed width."""
    return model + _varint(99 << 3 | 5) + struct.pack("<f", 1.0)
