"""A training's settings as a manifest's tables: what the runtime must do so that a policy meets what it learnt on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.onnx_write import INPUT, OUTPUT
from telerig.policies.body.train import commands, observe, pose
from telerig.policies.body.train.config import BodyConfig
from telerig.policies.body.train.joints import ANKLE_PITCH, HIP_PITCH, JOINTS, KNEE, LEGS, N_LEGS, UPPER, UPPER_HOME
from telerig.policies.body.train.pose import HeightTable

Floats = NDArray[np.float64]

DIGITS = 6
STAND_M = 0.74

_COMMAND = {"term": "command"}
# the training's terms, each as the runtime's; `observe.ACTOR` has their order
_TERMS: Mapping[str, list[dict[str, Any]]] = {
    "velocity_command": [_COMMAND | {"items": ["vx", "vy", "yaw_rate"]}],
    "height_command": [_COMMAND | {"items": ["height"], "scale": 3.0, "bias": -2.0}],
    "angular_velocity": [{"term": "angular_velocity"}],
    "gravity": [{"term": "projected_gravity"}],
    "leg_position": [{"term": "joint_position", "joints": list(LEGS)}],
    "upper_position": [{"term": "joint_position", "joints": list(UPPER)}],
    "leg_velocity": [{"term": "joint_velocity", "joints": list(LEGS)}],
    "upper_velocity": [{"term": "joint_velocity", "joints": list(UPPER)}],
    "last_action": [{"term": "last_action"}],
    "clock": [{"term": "clock_sin", "phases": [0]}, {"term": "clock_cos", "phases": [0]}],
    "stepping": [{"term": "walk_flag"}],
}


def tables(
    config: BodyConfig,
    model: Any,
    table: HeightTable,
    head: Mapping[str, Any],
    responses: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """A manifest's tables.

    :param responses: of the commands, as measured (``response.py``).
    :param model: the nominal training model: gains and torque limits are read from it.
    :param head: ``name``, ``title``, ``licence``, ``source``; and ``model``, added to its ``[model]``.
    """
    own = dict(head)
    file = own.pop("model")
    rate = 1 / (config.timestep * config.substeps)
    return {
        "format": 1, **own, "embodiment": config.embodiment, "rate_hz": round(rate, DIGITS), "joints": _joints(model, table),
        "model": {**file, "input": INPUT, "output": OUTPUT, "inputs": observe.N_ACTOR, "outputs": N_LEGS},
        "action": {"scale": config.action_scale, "clip": config.action_clip},
        "observation": {"clip": observe.LARGEST, "terms": _terms()},
        "command": _commands(config, responses or {}),
        "clock": {"period_s": config.period, "offsets": [0.0, float(np.pi)], "at_rest": "zero", "restart": True},
        "reference": {
            "height_table": {"height": _rounded(table.height), "joints": _poses(table)},
            "factors": _factors(table),
            "gait": _gait(),
        },
    }  # fmt: skip


def _rounded(values: Any) -> list[float]:
    return [round(float(v), DIGITS) for v in values]


def _joints(model: Any, table: HeightTable) -> list[dict[str, Any]]:
    """Legs with gains, then what the policy sees only."""
    stand = np.r_[table.at(np.array([STAND_M]))[0][0], UPPER_HOME]
    found = [{"name": name, "default": value} for name, value in zip(JOINTS, _rounded(stand), strict=True)]
    servos = {model.joint(model.actuator_trnid[a, 0]).name: a for a in range(model.nu)}
    for joint in found[:N_LEGS]:
        a = servos[str(joint["name"])]
        numbers = (model.actuator_gainprm[a, 0], -model.actuator_biasprm[a, 2], model.actuator_forcerange[a, 1])
        joint |= zip(("kp", "kd", "torque"), _rounded(numbers), strict=True)
    return found


def _terms() -> list[dict[str, Any]]:
    found = []
    for term in observe.ACTOR:
        scale = {"scale": term.scale} if term.scale != 1.0 else {}
        found += [own | scale for own in _TERMS[term.name]]
    return found


def _commands(config: BodyConfig, responses: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ranges = (config.vx, config.vy, config.yaw)
    for name, bounds, slew, stop in zip(("vx", "vy", "yaw_rate"), ranges, config.slew, commands.ROLL_OUT, strict=False):
        found[name] = {"range": list(bounds), "slew": slew, "stop_below": float(stop)}
        found[name] |= responses.get(name, {})
    height = {"range": list(config.height_stand), "home": STAND_M, "slew": config.slew[3]}
    return dict(responses.get("command", {})) | found | {"height": height}


def _poses(table: HeightTable) -> dict[str, list[float]]:
    columns = np.sort(np.r_[HIP_PITCH, KNEE, ANKLE_PITCH])  # the others are zero at every height
    return {LEGS[i]: _rounded(table.legs[:, i]) for i in columns}


def _factors(table: HeightTable) -> dict[str, Any]:
    """What waves are multiplied with by height: how far a stride reaches, and how the hip's two other axes have tilted."""
    tilt = table.legs[:, HIP_PITCH[0]] + table.pitch + pose.ROLL_AXIS
    curves = {"reach": pose.reach(table.height), "cos_tilt": np.cos(tilt), "sin_tilt": np.sin(tilt)}
    return {name: {"height": _rounded(table.height), "value": _rounded(curve)} for name, curve in curves.items()}


def _gait() -> list[dict[str, Any]]:
    """`pose.stepping` as waves."""
    waves: list[dict[str, Any]] = []
    for phase, side, outward in ((0, "left", 1.0), (1, "right", -1.0)):
        pitch, roll, yaw, knee, ankle, ankle_roll = (n for n in LEGS if n.startswith(side))
        lift = {pitch: -pose.LIFT, knee: 2 * pose.LIFT, ankle: -pose.LIFT}
        fore = {pitch: pose.SWEEP, ankle: -pose.SWEEP}
        waves += [
            {"phase": phase, "shape": "lift", "joints": lift},
            {"phase": phase, "shape": "cos", "times": "vx", "factors": ["reach"], "joints": fore},
        ]
        sideways: tuple[tuple[dict[str, Any], list[str], float], ...] = (
            ({"phase": 0, "shape": "sin"}, [], pose.SWAY),
            ({"phase": phase, "shape": "cos", "times": "vy"}, ["reach"], -pose.SWEEP),
            ({"shape": "one", "times": "vy", "absolute": True}, [], outward * pose.SPREAD),
        )
        for wave, factors, size in sideways:
            waves += [
                {**wave, "factors": factors, "joints": {ankle_roll: -size}},
                {**wave, "factors": [*factors, "cos_tilt"], "joints": {roll: size}},
                {**wave, "factors": [*factors, "sin_tilt"], "joints": {yaw: size}},
            ]
        turn = {"phase": phase, "shape": "cos", "times": "yaw_rate"}
        waves += [
            {**turn, "factors": ["cos_tilt"], "joints": {yaw: -pose.TURN}},
            {**turn, "factors": ["sin_tilt"], "joints": {roll: pose.TURN}},
        ]
    return waves
