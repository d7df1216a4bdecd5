"""The body policies' runtime: targets, last action; what it costs and what it refuses."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.errors import CommandRefused, ConfigError, DataError
from telerig.hardware.rotations import quaternion_to_matrix
from telerig.policies.body.reference import Reference
from telerig.policies.body.runtime import BodyPolicy, projected_gravity

from .body_fake import FORWARD, STAND, Fake, build


def test_target_is_base_plus_scaled_action(body_toy):
    made = body_toy.manifest()
    action = np.linspace(-1, 1, 12)
    done = build(made, Fake(action)).step(body_toy.state(), STAND)
    base = Reference(made).pose(np.array([0, 0, 0, 0.74]), np.zeros(2), False)
    np.testing.assert_allclose(done.position, base + 0.3 * action, atol=1e-6)
    assert not done.walking
    # outputs are clipped, and then targets to the joints' ranges
    far = build(made, Fake(100.0), limit=1.5).step(body_toy.state(), STAND)
    np.testing.assert_array_equal(far.action, np.full(12, 6.0))
    np.testing.assert_allclose(far.position, np.minimum(base + 1.8, 1.5), atol=1e-6)


def test_without_reference_the_base_is_the_default_pose(body_toy):
    tables = body_toy.recipe()
    del tables["reference"]
    made = body_toy.manifest(tables)
    done = build(made, Fake()).step(body_toy.state(), FORWARD)
    np.testing.assert_array_equal(done.position, made.column("default", made.action_joints))


@pytest.mark.parametrize(("how", "want"), [("own", 2.0), ("zero", 0.0), ("executed", (0.7 - -0.4) / 0.3)])
def test_last_action_of_overridden_joints(body_toy, how, want):
    """What stands in the slot of a joint that somebody else drives decides whether such policies fall."""
    tables = body_toy.recipe()
    tables["action"]["overridden"] = how
    del tables["reference"]
    made, fake = body_toy.manifest(tables), Fake(2.0)
    policy = build(made, fake, overridden=("left_hip_pitch_joint",))
    assert policy.driven == made.action_joints[1:]
    for _ in range(2):
        done = policy.step(body_toy.state(), STAND, executed=np.full(21, 0.7))
    assert done.position.shape == (11,)
    assert done.action.shape == (12,)
    assert fake.seen[1][52] == pytest.approx(want, rel=1e-5)  # the overridden one
    np.testing.assert_allclose(fake.seen[1][53:64], 2.0)  # those it drives hold its own


def test_executed_targets_must_be_told(body_toy):
    tables = body_toy.recipe()
    tables["action"]["overridden"] = "executed"
    made = body_toy.manifest(tables)
    with pytest.raises(ValueError, match="executed"):
        build(made, Fake(), overridden=("left_knee_joint",)).step(body_toy.state(), STAND)
    build(made, Fake()).step(body_toy.state(), STAND)  # nobody overrides anything: nothing to tell


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
@settings(max_examples=40, deadline=None)
def test_projected_gravity_is_the_world_down_in_the_bodys_axes(quaternion):
    down = quaternion_to_matrix(quaternion).T @ [0, 0, -1]
    np.testing.assert_allclose(projected_gravity(quaternion), down, atol=1e-12)


def test_without_an_attitude_nothing_is_known_of_gravity(body_toy):
    gravity = projected_gravity(np.zeros(4))
    assert np.isnan(gravity).all()
    state = dataclasses.replace(body_toy.state(), gravity=gravity)
    with pytest.raises(DataError, match="projected_gravity x is not finite"):
        build(body_toy.manifest(), Fake()).step(state, STAND)


def test_same_arrays_same_targets_after_reset(body_toy):
    made, weight = body_toy.manifest(), np.random.default_rng(1).normal(0, 0.1, (67, 12)).astype("f4")
    policy = build(made, lambda x: x @ weight)

    def run():
        return [policy.step(body_toy.state(seed=k), [0.4, 0.1, -0.2, 0.6]).position for k in range(30)]

    first = run()
    policy.reset()
    np.testing.assert_array_equal(run(), first)


def test_a_step_does_not_change_what_it_gave_or_was_given(body_toy):
    made = body_toy.manifest()
    policy, command = build(made, lambda x: x[:, :12].copy()), np.array(FORWARD)
    state = body_toy.state()
    position = state.position.copy()
    first = policy.step(state, command)
    kept = [np.copy(a) for a in (first.position, first.wish, first.sent, first.action)]
    for k in range(3):
        policy.step(body_toy.state(seed=k + 1), [0.1, 0.2, 0.3, 0.5])
    for a, b in zip(kept, (first.position, first.wish, first.sent, first.action), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(command, FORWARD)
    np.testing.assert_array_equal(state.position, position)


def test_what_is_not_finite_is_named(body_toy):
    made = body_toy.manifest()
    state = body_toy.state()
    state.position[3] = np.nan
    with pytest.raises(DataError, match="joint_position left_knee_joint is not finite"):
        build(made, Fake()).step(state, STAND)
    with pytest.raises(CommandRefused, match="4 finite numbers"):
        build(made, Fake()).step(body_toy.state(), [np.inf, 0, 0, 0.7])
    with pytest.raises(CommandRefused, match="4 finite numbers"):
        build(made, Fake()).step(body_toy.state(), [0.0, 0, 0])
    broken = np.zeros(12, np.float32)
    broken[4] = np.nan
    with pytest.raises(DataError, match="output for left_ankle_pitch_joint is not finite"):
        build(made, Fake(broken)).step(body_toy.state(), STAND)


def test_joints_that_nobody_measures_or_drives(body_toy):
    made = body_toy.manifest()
    with pytest.raises(ConfigError, match="nobody measures left_hip_pitch_joint"):
        BodyPolicy(made, Fake(), made.joint_names[1:], [-9] * 20, [9] * 20)
    with pytest.raises(ConfigError, match="does not drive waist_yaw_joint"):
        build(made, Fake(), overridden=("waist_yaw_joint",))


def calls(body_toy, history=1, gaits=1):
    """Function calls of one step, the model's among them."""
    tables = body_toy.recipe()
    tables["observation"]["history"], tables["model"]["inputs"] = history, 67 * history
    tables["reference"]["gait"] *= gaits
    fake, state = Fake(), body_toy.state()
    policy = build(body_toy.manifest(tables), fake)
    command = np.array(FORWARD)
    policy.step(state, command)
    count = 0

    def on(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(on)
    try:
        policy.step(state, command)
    finally:
        sys.setprofile(None)
    assert len(fake.seen) == 2  # the model is called once a step
    return count


def test_a_step_is_a_bounded_number_of_calls(body_toy):
    """0.5 ms a call leaves no room for loops over joints, terms, waves or history."""
    few = calls(body_toy)
    assert few < 150
    assert calls(body_toy, history=50) - few <= 5
    assert calls(body_toy, gaits=4) == few
