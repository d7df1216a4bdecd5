"""The body policies' runtime: commands, clock, reference, targets, last action; what it costs and what it refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.errors import CommandRefused, ConfigError, DataError
from telerig.hardware.rotations import quaternion_to_matrix
from telerig.policies.body.command import CommandShaper, GaitClock
from telerig.policies.body.manifest import CommandTable
from telerig.policies.body.reference import Reference
from telerig.policies.body.runtime import BodyPolicy, projected_gravity

STAND = [0.0, 0.0, 0.0, 0.74]
FORWARD = [0.5, 0.0, 0.0, 0.74]


class Fake:
    """A model that gives what it is told and remembers what it saw."""

    def __init__(self, output=0.0, n=12):
        self.output, self.seen = np.broadcast_to(np.float32(output), (n,)), []

    def __call__(self, x):
        self.seen.append(x[0].copy())
        return self.output[None]


def build(made, infer, overridden=(), limit=9.0):
    n = len(made.joints)
    return BodyPolicy(made, infer, made.joint_names, [-limit] * n, [limit] * n, overridden)


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


@given(st.floats(-2, 2), st.floats(-2, 2), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_the_wish_follows_within_range_and_slew(body_toy, vx, height, periods):
    made = body_toy.manifest()
    shaper = CommandShaper(made.command, made.rate_hz)
    before = np.array([0, 0, 0, 0.74])
    for _ in range(120):
        now = shaper.step(np.array([vx, 0, 0, height]), periods).wish
        left = np.array([np.clip(vx, -0.5, 0.9), 0, 0, np.clip(height, 0.34, 0.78)]) - before
        reach = np.array([1, 1, 2, 0.3]) * periods / 50
        np.testing.assert_allclose(now - before, np.clip(left, -reach, reach), atol=1e-9)
        before = now.copy()
    np.testing.assert_allclose(before, [np.clip(vx, -0.5, 0.9), 0, 0, np.clip(height, 0.34, 0.78)], atol=1e-9)


RESPONSE = [[0.1, 0.0], [0.2, 0.09], [0.3, 0.31], [0.5, 0.487]]


@given(st.floats(-0.8, 0.8))
@settings(max_examples=60, deadline=None)
def test_dead_bands_are_compensated(wish):
    """Given back through what was measured, the wish comes out; rest stays rest; left is as right."""
    table = CommandTable.model_validate({"vx": {"range": [-1.0, 1.0], "response": RESPONSE}})

    def sent(value):
        return float(CommandShaper(table, 50).step(np.array([value, 0, 0, 0])).sent[0])

    given_to_it = sent(wish)
    assert sent(-wish) == -given_to_it
    if abs(wish) <= 0.01:
        assert given_to_it == 0.0
    elif abs(wish) <= 0.487:
        achieved = np.interp(abs(given_to_it), *np.array(RESPONSE).T)
        assert achieved * np.sign(given_to_it) == pytest.approx(wish, abs=1e-9)
        assert abs(given_to_it) > 0.1
    else:
        assert abs(given_to_it) == pytest.approx(min(1.0, 0.5 + abs(wish) - 0.487))


def test_what_is_shown_to_the_policy_is_compensated_and_told_apart(body_toy):
    tables = body_toy.recipe()
    tables["command"]["vx"] = {"range": [-0.5, 0.9], "response": RESPONSE}
    fake = Fake()
    done = build(body_toy.manifest(tables), fake).step(body_toy.state(), [0.09, 0, 0, 0.74])
    assert fake.seen[0][0] == pytest.approx(0.2)
    assert (done.wish[0], done.sent[0]) == (pytest.approx(0.09), pytest.approx(0.2))


def test_a_walk_that_is_to_end_slows_down_first(body_toy):
    policy = build(body_toy.manifest(), Fake())
    state = body_toy.state()
    for _ in range(40):
        walking = policy.step(state, FORWARD)
    assert walking.walking
    assert walking.wish[0] == pytest.approx(0.5)
    speeds = []
    while (done := policy.step(state, STAND)).walking:
        speeds.append(done.wish[0])
    assert min(speeds) > 0.08 >= done.wish[0]


def phases(body_toy, clock, walking, periods=1):
    tables = body_toy.recipe()
    tables["clock"] = {"period_s": 0.8, "offsets": [0.0, float(np.pi)], **clock}
    made = GaitClock(body_toy.manifest(tables))
    return [(float(made.step(w, periods)[0]), made.shown) for w in walking]


def test_clock(body_toy):
    delta = 2 * np.pi / 40
    walk = [True] * 3 + [False] * 2 + [True] * 2
    zero = phases(body_toy, {"at_rest": "zero"}, walk)
    assert [shown for _, shown in zero] == walk
    np.testing.assert_allclose([p for p, s in zero if s], [0, delta, 2 * delta, 0, delta], atol=1e-12)
    fixed = phases(body_toy, {"at_rest": "fixed", "rest_phase": float(np.pi)}, walk)
    np.testing.assert_allclose([p for p, _ in fixed], [0, delta, 2 * delta, np.pi, np.pi, 0, delta], atol=1e-12)
    assert all(shown for _, shown in fixed)
    runs = phases(body_toy, {"at_rest": "run"}, walk)
    np.testing.assert_allclose([p for p, _ in runs], delta * np.arange(7), atol=1e-12)
    goes_on = phases(body_toy, {"at_rest": "zero", "restart": False}, walk)
    np.testing.assert_allclose([p for p, s in goes_on if s], [0, delta, 2 * delta, 2 * delta, 3 * delta], atol=1e-12)
    np.testing.assert_allclose(phases(body_toy, {}, [True] * 3, periods=2)[2][0], 4 * delta)


def test_the_gaits_phases_are_half_a_period_apart(body_toy):
    clock = GaitClock(body_toy.manifest())
    for _ in range(100):
        left, right = clock.step(True)
        assert np.cos(left) == pytest.approx(-np.cos(right))
        assert -np.pi <= left <= np.pi


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


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
@settings(max_examples=40, deadline=None)
def test_projected_gravity_is_the_world_down_in_the_bodys_axes(quaternion):
    down = quaternion_to_matrix(quaternion).T @ [0, 0, -1]
    np.testing.assert_allclose(projected_gravity(quaternion), down, atol=1e-12)


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
