"""A body policy's reference gait: by hand, as the trainer walks, for many at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.policies.body.manifest import parse_manifest
from telerig.policies.body.reference import Reference


def test_reference_by_hand(body_toy):
    made = body_toy.manifest()
    reference, joints = Reference(made), made.action_joints
    where = joints.index

    def pose(command, left, walking=True):
        return reference.pose(np.array(command), np.array([left, left + np.pi]), walking)

    standing = pose([0, 0, 0, 0.62], 1.0, walking=False)
    assert standing[where("left_knee_joint")] == pytest.approx(1.2)  # half way between 1.6 and 0.8
    assert pose([0, 0, 0, 0.2], 1.0, False)[where("left_knee_joint")] == pytest.approx(2.4)  # the table's end
    lifted = pose([0, 0, 0, 0.62], np.pi / 2) - standing
    assert lifted[where("left_knee_joint")] == pytest.approx(0.6)
    assert lifted[where("right_knee_joint")] == pytest.approx(0.0)  # stands while the other swings
    assert lifted[where("left_hip_roll_joint")] == lifted[where("right_hip_roll_joint")] == pytest.approx(0.045)
    forward = pose([0.5, 0, 0, 0.62], 0.0) - pose([0, 0, 0, 0.62], 0.0)
    stride = 2.0 - 0.32 / 0.5
    assert forward[where("left_hip_pitch_joint")] == pytest.approx(0.29 * 0.5 * stride)
    assert forward[where("right_hip_pitch_joint")] == pytest.approx(-0.29 * 0.5 * stride)
    aside = pose([0, -0.3, 0, 0.62], np.pi / 2) - pose([0, 0, 0, 0.62], np.pi / 2)
    assert aside[where("left_hip_roll_joint")] == pytest.approx(0.2 * 0.3)
    assert aside[where("right_hip_roll_joint")] == pytest.approx(-0.2 * 0.3)


def trainers_gait(hip):
    """The trainer's stepping pattern as a manifest's factors and waves; ``hip`` (k,): the table's hip pitch, pelvis level."""
    from telerig.policies.body.train import pose

    heights = np.linspace(0.32, 0.8, 97)
    tilt = np.interp(heights, HEIGHTS, hip) + pose.ROLL_AXIS
    curves = {
        "reach": pose.LEG_M / np.maximum(heights - pose.HIP_DROP_M, 0.2),
        "cos": np.cos(tilt),
        "sin": np.sin(tilt),
    }
    waves = []
    for phase, side, sign in ((0, "left", 1.0), (1, "right", -1.0)):
        knee, pitch, roll, yaw, ankle, ankle_roll = (
            f"{side}_{j}_joint" for j in ("knee", "hip_pitch", "hip_roll", "hip_yaw", "ankle_pitch", "ankle_roll")
        )
        lift = {"shape": "lift", "joints": {pitch: -pose.LIFT, knee: 2 * pose.LIFT, ankle: -pose.LIFT}}
        fore = {"shape": "cos", "times": "vx", "factors": ["reach"], "joints": {pitch: pose.SWEEP, ankle: -pose.SWEEP}}
        waves += [{**lift, "phase": phase}, {**fore, "phase": phase}]
        sideways = (
            ({"phase": 0, "shape": "sin"}, [], pose.SWAY),
            ({"phase": phase, "shape": "cos", "times": "vy"}, ["reach"], -pose.SWEEP),
            ({"shape": "one", "times": "vy", "absolute": True}, [], sign * pose.SPREAD),
        )
        for wave, factors, size in sideways:
            waves += [
                {**wave, "factors": factors, "joints": {ankle_roll: -size}},
                {**wave, "factors": [*factors, "cos"], "joints": {roll: size}},
                {**wave, "factors": [*factors, "sin"], "joints": {yaw: size}},
            ]
        turn = {"phase": phase, "shape": "cos", "times": "yaw_rate"}
        waves += [
            {**turn, "factors": ["cos"], "joints": {yaw: -pose.TURN}},
            {**turn, "factors": ["sin"], "joints": {roll: pose.TURN}},
        ]
    return {k: {"height": heights.tolist(), "value": v.tolist()} for k, v in curves.items()}, waves


HEIGHTS = [0.34, 0.5, 0.74]


def test_the_trainers_gait_can_be_said(body_toy):
    """A policy falls on another gait than the one it learnt on: waves and factors must be able to give what training adds."""
    from telerig.policies.body.train.pose import stepping

    tables = body_toy.recipe()
    hip = tables["reference"]["height_table"]["joints"]["left_hip_pitch_joint"]
    tables["reference"]["factors"], tables["reference"]["gait"] = trainers_gait(hip)
    reference, rng = Reference(body_toy.manifest(tables)), np.random.default_rng(0)
    command = rng.uniform([-0.5, -0.4, -0.8, 0.34], [0.9, 0.4, 0.8, 0.78], (200, 4))
    left, pitch = rng.uniform(-3, 3, 200), np.zeros(200)
    standing = reference.pose(command, np.zeros((200, 2)), np.zeros(200, bool))
    walking = reference.pose(command, np.stack((left, left + np.pi), axis=1), np.ones(200, bool))
    # the curves are straight between heights 5 mm apart
    np.testing.assert_allclose(walking, stepping(standing, pitch, left, command), atol=3e-4)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_reference_of_many_is_that_of_each(body_toy, seed):
    reference, rng = Reference(body_toy.manifest()), np.random.default_rng(seed)
    command = rng.uniform([-0.5, -0.4, -0.8, 0.3], [0.9, 0.4, 0.8, 0.8], (5, 4))
    phase, walking = rng.uniform(-3, 3, (5, 2)), rng.random(5) < 0.5
    many = reference.pose(command, phase, walking)
    each = [reference.pose(c, p, w) for c, p, w in zip(command, phase, walking, strict=True)]
    np.testing.assert_allclose(many, each, atol=1e-12)


def test_a_height_that_is_kept_gives_what_it_gave(body_toy):
    made = body_toy.manifest()
    reference, phase = Reference(made), np.array([0.5, 0.5 + np.pi])
    for command in ([0.4, 0, 0, 0.62], [0.0, 0, 0.3, 0.62], [0.4, 0, 0, 0.55], [0.4, 0, 0, 0.62]):
        for walking in (True, False):
            expected = Reference(made).pose(np.array(command), phase, walking)
            found = reference.pose(np.array(command), phase, walking)
            np.testing.assert_array_equal(found, expected)
            found[:] = 9.0  # the caller's own


def test_a_policy_that_takes_no_command_has_a_pose_too(body_toy):
    tables = body_toy.recipe()
    del tables["reference"]
    tables["command"] = {}
    tables["observation"]["terms"] = [t for t in tables["observation"]["terms"] if t["term"] != "command"]
    made = parse_manifest(tables, "it")
    np.testing.assert_array_equal(
        Reference(made).pose(np.zeros(0), np.zeros(2), True), made.column("default", made.action_joints)
    )
