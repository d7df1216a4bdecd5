"""Chains against MuJoCo, against finite differences, and back through the inverse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.embodiment import MODELS, load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.kinematics import Chain
from telerig.hardware.rotations import quaternion_to_matrix, rotation_about, rotation_vector

G1 = MODELS / "g1_like.xml"
WAIST = {"waist_yaw_joint": 0.0, "waist_roll_joint": 0.0, "waist_pitch_joint": 0.0}
ARM = Chain.from_mjcf(G1, "pelvis", "right_palm", WAIST)
HOME = np.array(load_embodiment("g1_like").group("right_arm").home)
CHAINS = {
    "right arm": ARM,
    "left arm and waist": Chain.from_mjcf(G1, "pelvis", "left_palm"),
    "left leg": Chain.from_mjcf(G1, "pelvis", "left_foot"),
    "follower": Chain.from_mjcf(MODELS / "follower_arm.xml", "world", "gripper_link"),
    "arm7": Chain.from_mjcf(MODELS / "arm7.xml", "base_link", "grasp"),
    "finger of arm7": Chain.from_mjcf(MODELS / "arm7.xml", "link_6", "finger_left"),
}
ODD = """<mujoco><worldbody><body name="base" pos="1 2 3" euler="10 20 30">
<body name="a" pos="0.1 0 0.2" axisangle="1 2 3 40"><joint name="j1" axis="1 1 0" pos="0.05 0.02 0" range="-90 90"/>
<geom size="0.01" mass="1"/>
<body name="b" pos="0 0.3 0" euler="30 -40 50"><joint name="j2" type="slide" axis="0 0 2" range="-0.2 0.3"/>
<joint name="j3" axis="0 1 1"/><geom size="0.01" mass="1"/>
<body name="c" pos="0.2 0 0" xyaxes="0 1 0 -1 0.2 0.1"><joint name="j4" pos="0 0 0.1"/><geom size="0.01" mass="1"/>
<site name="tip" pos="0.1 0.1 0.1" quat="1 2 3 4"/></body></body></body></body></worldbody></mujoco>"""


def reach(chain, limit=2.0):
    return np.maximum(chain.low, -limit), np.minimum(chain.high, limit)


def random_q(chain, seed):
    return np.random.default_rng(seed).uniform(*reach(chain))


def assert_matches_mujoco(path, chain, base, tip, held=None):
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_path(str(path))
    data = mujoco.MjData(model)
    for seed in range(50):
        q = random_q(chain, seed)
        for joint, value in [*zip(chain.joints, q, strict=True), *(held or {}).items()]:
            data.joint(joint).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        sites = [model.site(i).name for i in range(model.nsite)]
        end, root = data.site(tip) if tip in sites else data.body(tip), data.body(base)
        turn, pose = root.xmat.reshape(3, 3), chain.forward(q)
        np.testing.assert_allclose(pose[:3, 3], turn.T @ (end.xpos - root.xpos), atol=1e-9)
        np.testing.assert_allclose(pose[:3, :3], turn.T @ end.xmat.reshape(3, 3), atol=1e-9)


def test_forward_matches_mujoco_on_our_models():
    assert_matches_mujoco(G1, ARM, "pelvis", "right_palm", WAIST)
    held = {**WAIST, "waist_yaw_joint": 0.4, "waist_pitch_joint": -0.2}
    assert_matches_mujoco(G1, Chain.from_mjcf(G1, "pelvis", "left_palm", held), "pelvis", "left_palm", held)
    assert_matches_mujoco(G1, CHAINS["left arm and waist"], "pelvis", "left_palm")
    assert_matches_mujoco(MODELS / "arm7.xml", CHAINS["finger of arm7"], "link_6", "finger_left")


def test_every_attribute_that_it_claims_to_read(tmp_path):
    """Degrees, axisangle, Euler angles, xyaxes, joint anchors, several joints a body, slides."""
    path = tmp_path / "odd.xml"
    path.write_text(ODD)
    chain = Chain.from_mjcf(path, "base", "tip")
    assert chain.joints == ("j1", "j2", "j3", "j4")
    np.testing.assert_allclose(chain.low, [-np.pi / 2, -0.2, -np.inf, -np.inf])
    assert_matches_mujoco(path, chain, "base", "tip")
    with_held = Chain.from_mjcf(path, "world", "tip", {"j1": 0.3, "j2": 0.1})
    assert_matches_mujoco(path, with_held, "world", "tip", {"j1": 0.3, "j2": 0.1})


@pytest.mark.parametrize("name", CHAINS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_jacobian_is_the_derivative(name, seed):
    chain = CHAINS[name]
    q = random_q(chain, seed)
    jac, here, step = chain.jacobian(q), chain.forward(q), 1e-6
    for i in range(q.size):
        there = chain.forward(q + step * np.eye(q.size)[i])
        back = chain.forward(q - step * np.eye(q.size)[i])
        linear = (there[:3, 3] - back[:3, 3]) / (2 * step)
        angular = rotation_vector(there[:3, :3] @ back[:3, :3].T) / (2 * step)
        np.testing.assert_allclose(jac[:, i], [*linear, *angular], atol=1e-6)
    assert here.shape == (4, 4)


def test_forward_of_many_is_forward_of_each():
    many = np.stack([random_q(ARM, s) for s in range(6)]).reshape(2, 3, 7)
    together = ARM.forward(many)
    assert together.shape == (2, 3, 4, 4)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(together[index], ARM.forward(many[index]), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_inverse_finds_its_way_back(seed):
    """From a pose within 0.4 rad a joint of the goal, well inside the ranges."""
    rng = np.random.default_rng(seed)
    q = HOME + rng.uniform(-0.4, 0.4, 7)
    goal = ARM.forward(np.clip(q, ARM.low + 0.1, ARM.high - 0.1))
    found = ARM.solve(HOME, goal[:3, 3], goal[:3, :3], 200)
    assert found.position_error < 1e-3
    assert found.rotation_error < 1e-2
    reached = ARM.forward(found.q)
    np.testing.assert_allclose(reached[:3, 3], goal[:3, 3], atol=1e-3)
    assert np.linalg.norm(rotation_vector(reached[:3, :3].T @ goal[:3, :3])) < 1e-2


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(-2, 2)] * 3), st.floats(0, 0.1))
def test_never_leaves_the_ranges(target, margin):
    found = ARM.solve(HOME, target, rotation_about((0, 1, 0), 2.0), 25, margin=margin)
    assert (found.q >= ARM.low + margin - 1e-12).all()
    assert (found.q <= ARM.high - margin + 1e-12).all()
    assert np.isfinite(found.q).all()


def test_a_free_axis_stays_free_and_posture_decides_it():
    """With no weight about the tip's z, position and level hand are met, and the heading follows the posture."""
    goal = np.array([0.30, -0.15, 0.15])
    headings = []
    for wrist_yaw in (-0.6, 0.8):
        posture = HOME.copy()
        posture[6] = wrist_yaw
        found = ARM.solve(HOME, goal, np.eye(3), 300, rot_weight=(1, 1, 0), posture=posture, tolerance=0)
        pose = ARM.forward(found.q)
        assert np.linalg.norm(pose[:3, 3] - goal) < 2e-3
        assert pose[2, 2] > 0.999
        headings.append(np.arctan2(pose[1, 0], pose[0, 0]))
    assert abs(headings[0] - headings[1]) > 0.1


def test_position_only_uses_every_joint():
    found = ARM.solve(HOME, [0.25, -0.25, 0.25], iters=100)
    np.testing.assert_allclose(ARM.forward(found.q)[:3, 3], [0.25, -0.25, 0.25], atol=1e-3)
    assert found.rotation_error == 0


@settings(deadline=None)
@given(st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0, np.pi))
def test_rotation_vector_inverts_rotation_about(axis, angle):
    length = np.linalg.norm(axis)
    if length < 1e-3:
        return
    rotation = rotation_about(np.array(axis) / length, angle)
    back = rotation_vector(rotation)
    again = rotation_about(back / max(1e-12, np.linalg.norm(back)), float(np.linalg.norm(back)))
    np.testing.assert_allclose(again, rotation, atol=1e-6)


def test_quaternion_to_matrix_agrees_with_axis_and_angle():
    half = 0.35
    quat = np.array([np.cos(half), 0, np.sin(half), 0]) * 3  # not normalised on purpose
    np.testing.assert_allclose(quaternion_to_matrix(quat), rotation_about((0, 1, 0), 2 * half), atol=1e-12)


@pytest.mark.parametrize(
    ("base", "tip", "held", "says"),
    [
        ("pelvis", "no_such", {}, "no_such"),
        ("left_elbow_link", "right_palm", {}, "not below"),
        ("pelvis", "right_palm", {"left_elbow_joint": 0.0}, "left_elbow_joint"),
        ("world", "right_palm", {}, "floating_base"),
        ("pelvis", "imu", {}, "no joint"),
    ],
)
def test_mistakes_are_named(base, tip, held, says):
    with pytest.raises(ConfigError, match=says):
        Chain.from_mjcf(G1, base, tip, held)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("", 'zaxis="0 0 1"'),
        ('<compiler eulerseq="XYZ"/>', ""),
        ('<default><default class="x"><joint type="slide"/></default></default>', ""),
        ('<include file="y.xml"/>', ""),
    ],
)
def test_what_it_does_not_understand_is_refused(tmp_path, head, body):
    path = tmp_path / "bad.xml"
    path.write_text(f'<mujoco>{head}<worldbody><body name="b" {body}><joint name="j"/></body></worldbody></mujoco>')
    with pytest.raises(ConfigError, match="not understood"):
        Chain.from_mjcf(path, "world", "b")
