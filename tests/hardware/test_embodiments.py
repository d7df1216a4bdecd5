"""Every embodiment file against its model and against the slot table."""

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from telerig.hardware.commands import Mode
from telerig.hardware.embodiment import N_SLOTS, embodiment_names, load_embodiment, parse_embodiment
from telerig.hardware.errors import ConfigError

NAMES = ("g1_like", "arm7", "follower_arm")
SLOTS = {  # docs/slots.md
    "right_arm": range(8), "right_hand": range(8, 32), "left_arm": range(48, 56), "left_hand": range(56, 80),
    "waist": range(96, 99), "left_leg": range(110, 116), "right_leg": range(116, 122),
    "arm": range(8), "gripper": range(32, 33),
}  # fmt: skip


@pytest.fixture(params=NAMES)
def robot(request):
    return load_embodiment(request.param)


def test_all_are_found():
    assert set(NAMES) <= set(embodiment_names())


def test_joints_and_ranges_lie_within_the_model(robot):
    root = ET.parse(robot.model_path).getroot()
    ranges = {j.get("name"): [float(v) for v in j.get("range").split()] for j in root.find("worldbody").iter("joint")}
    servos = {p.get("joint") for p in root.find("actuator").iter("position")}
    for group in robot.groups:
        for joint, low, high in zip(group.joints, group.low, group.high, strict=True):
            assert joint in servos, f"{joint} has no position actuator"
            assert ranges[joint][0] <= low < high <= ranges[joint][1], joint
        assert min(group.velocity) > 0
        assert min(group.acceleration) > 0


def test_efforts_are_what_the_servos_can_give(robot):
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_path(str(robot.model_path))
    for group in robot.groups:
        for joint, effort in zip(group.joints, group.effort, strict=True):
            assert model.actuator(joint).forcerange[1] == pytest.approx(effort), joint


def test_slots_are_in_their_block_and_used_once(robot):
    used = [s for g in robot.groups for s in g.slots]
    assert len(used) == len(set(used))
    assert max(used) < N_SLOTS
    for group in robot.groups:
        assert set(group.slots) <= set(SLOTS[group.name]), group.name


def test_end_effectors_are_bodies_of_the_model(robot):
    bodies = {b.get("name") for b in ET.parse(robot.model_path).getroot().iter("body")}
    for effector in robot.end_effectors:
        assert effector.body in bodies
        robot.group(effector.group)
        assert effector.gripper is not None
        robot.group(effector.gripper)


def test_targets_cover_their_groups(robot):
    for name, groups in robot.targets.items():
        target = robot.target("robot", name)
        assert target.names == robot.joints(groups)
        assert target.mode is Mode.JOINT_POSITION
        assert target.state == ("robot/state", "position")


def test_fingers_grip_and_arms_do_not(robot):
    grippers = [robot.group(e.gripper).joints for e in robot.end_effectors]
    for name in robot.targets:
        assert sorted(robot.target("robot", name).gripping) == sorted(j for joints in grippers for j in joints)
    with pytest.raises(ValueError, match="nothing"):
        dataclasses.replace(robot.target("robot", name), gripping=("nothing",))


def test_humanoid_targets():
    robot = load_embodiment("g1_like")
    assert robot.targets["upper"] == ("left_arm", "left_hand", "right_arm", "right_hand")
    assert robot.target("robot", "upper").size == 28
    base = robot.target("robot", "base")
    assert base.names == ("vx", "vy", "yaw_rate", "height")
    assert base.low == (-0.6, -0.4, -0.8, 0.30)
    assert base.high == (1.0, 0.4, 0.8, 0.76)
    assert base.velocity == (1.0, 1.0, 2.0, 0.3)
    assert base.home == (0.0, 0.0, 0.0, 0.74)
    assert base.state is None


def test_humanoid_home_is_mirrored():
    robot = load_embodiment("g1_like")
    left, right = robot.group("left_arm"), robot.group("right_arm")
    sign = np.array([1, -1, -1, 1, -1, 1, -1])
    np.testing.assert_allclose(np.array(left.home) * sign, right.home)
    np.testing.assert_allclose(np.minimum(np.array(left.low) * sign, np.array(left.high) * sign), right.low)
    assert left.velocity == right.velocity


def test_palm_offsets_are_the_model_sites():
    robot = load_embodiment("g1_like")
    sites = {s.get("name"): s.get("pos") for s in ET.parse(robot.model_path).getroot().iter("site")}
    for effector, site in zip(robot.end_effectors, ("left_palm", "right_palm"), strict=True):
        np.testing.assert_allclose([float(v) for v in sites[site].split()], effector.offset)


def test_mistakes_are_named():
    group = {
        "joints": ["a"], "low": [-1.0], "high": [1.0], "velocity": [1.0], "acceleration": [1.0], "effort": [1.0],
        "home": [2.0], "slots": [0],
    }  # fmt: skip
    raw = {"name": "x", "version": 1, "model": "x.xml", "groups": {"arm": group}, "targets": {"joints": ["arm"]}}
    with pytest.raises(ConfigError, match=r"home of a is 2.0, outside \[-1.0, 1.0\]"):
        parse_embodiment(raw)
    group["home"] = [0.0]
    group["effort"] = []
    with pytest.raises(ConfigError, match="effort has 0 values, 1 joints"):
        parse_embodiment(raw)
    group["effort"] = [1.0]
    parse_embodiment(raw)
    with pytest.raises(ConfigError, match="no group 'leg'"):
        parse_embodiment({**raw, "targets": {"joints": ["leg"]}})
    with pytest.raises(ConfigError, match=r"unknown; known: .*g1_like"):
        load_embodiment("g2_like")
