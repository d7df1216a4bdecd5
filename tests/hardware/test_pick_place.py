"""The task's description: placements, the predicate, and that the right hand reaches all of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.kinematics import Chain
from telerig.hardware.rotations import rotation_about
from telerig.hardware.worlds import pick_place as task
from telerig.hardware.worlds.placing import UPRIGHT_COS

UPRIGHT = (1.0, 0.0, 0.0, 0.0)
FAR = (0.1, -0.4, 1.0)
PLACED = (0.30, -0.10, task.STANDING_Z)
TARGET = (0.30, -0.10, task.TABLE_TOP)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_placements_lie_in_the_area_and_apart(seed):
    placement = task.sample(seed)
    for x, y, _ in (placement.object, placement.target):
        assert task.AREA_LOW[0] <= x <= task.AREA_HIGH[0]
        assert task.AREA_LOW[1] <= y <= task.AREA_HIGH[1]
    apart = np.linalg.norm(np.subtract(placement.object, placement.target)[:2])
    assert apart >= task.MIN_SEPARATION > task.PLACED_WITHIN
    assert placement == task.sample(seed)
    assert not task.success(placement.object, UPRIGHT, placement.target, [FAR])


def test_the_area_is_20_by_20_cm_and_filled():
    np.testing.assert_allclose(np.subtract(task.AREA_HIGH, task.AREA_LOW), 0.20)
    points = np.array([p for s in range(400) for p in (task.sample(s).object[:2], task.sample(s).target[:2])])
    spread = (points.max(0) - points.min(0)) / 0.20
    assert (spread > 0.97).all()
    np.testing.assert_allclose(points.mean(0), np.add(task.AREA_LOW, task.AREA_HIGH) / 2, atol=0.01)
    assert len({task.sample(s).object for s in range(400)}) == 400


def test_success_and_every_way_to_miss_it():
    assert task.success(PLACED, UPRIGHT, TARGET, [FAR])
    assert task.success(np.add(PLACED, (0.03, 0.03, 0)), UPRIGHT, TARGET, [FAR, FAR])
    beside, above, held = np.add(PLACED, (0.051, 0, 0)), np.add(PLACED, (0, 0, 0.02)), np.add(PLACED, (0, -0.03, 0))
    assert not task.success(beside, UPRIGHT, TARGET, [FAR])
    assert not task.success(above, UPRIGHT, TARGET, [FAR])
    assert not task.success(PLACED, UPRIGHT, TARGET, [FAR, held])
    lying = (np.cos(np.pi / 4), np.sin(np.pi / 4), 0.0, 0.0)
    assert not task.success((PLACED[0], PLACED[1], task.TABLE_TOP + task.RADIUS), lying, TARGET, [FAR])
    assert not task.success(PLACED, (0.0, 1.0, 0.0, 0.0), TARGET, [FAR]), "on its head"


@settings(deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(0, np.pi))
def test_upright_means_within_20_degrees_whatever_the_heading(heading, tilt):
    if abs(tilt - np.arccos(UPRIGHT_COS)) < 1e-6:
        return
    about_z = np.array([np.cos(heading / 2), 0, 0, np.sin(heading / 2)])
    w, z = about_z[0], about_z[3]
    c, s = np.cos(tilt / 2), np.sin(tilt / 2)
    quat = (c * w, s * w, -s * z, c * z)  # tilt about x, then heading: q_tilt * q_heading
    assert task.success(PLACED, quat, TARGET, [FAR]) == (np.cos(tilt) > UPRIGHT_COS)


def test_right_hand_reaches_every_stage_over_the_whole_area():
    """Level palm, 5 mm and 0.05 rad, joints 0.03 rad inside their ranges: before, at, above and after the grasp."""
    robot = load_embodiment(task.EMBODIMENT)
    waist = dict.fromkeys(robot.group("waist").joints, 0.0)
    chain = Chain.from_mjcf(robot.model_path, "pelvis", "right_palm", waist)
    home, turn = np.array(robot.group("right_arm").home), rotation_about((0, 0, 1), 0.15)
    grip = task.TABLE_TOP + 0.062
    stages = {
        "before": -0.09 * turn[:, 0] - 0.025 * turn[:, 1] + [0, 0, grip],
        "grasp": np.array([0, 0, grip]),
        "lift": np.array([0, 0, grip + 0.09]),
        "after": -0.10 * turn[:, 0] - 0.07 * turn[:, 1] + [0, 0, grip + 0.03],
    }
    for stage, offset in stages.items():
        for x in np.linspace(task.AREA_LOW[0], task.AREA_HIGH[0], 5):
            for y in np.linspace(task.AREA_LOW[1], task.AREA_HIGH[1], 5):
                goal = np.array([x, y, 0]) + offset - task.ROBOT_BASE
                found = chain.solve(
                    home, goal, turn, 150, rot_weight=(1, 1, 0.5), posture=home, posture_gain=0.02, margin=0.03, tolerance=1e-3
                )  # fmt: skip
                assert found.position_error < 0.005, f"{stage} at {x:.2f}, {y:.2f}"
                assert found.rotation_error < 0.05, f"{stage} at {x:.2f}, {y:.2f}"


def test_scene_says_all_that_a_world_needs():
    scene = task.scene()
    assert {b.name: b.motion for b in scene.bodies} == {
        "floor": "fixed", "table": "fixed", "target": "placed", "object": "free",
    }  # fmt: skip
    names = [g.name for b in scene.bodies for g in b.geoms]
    assert len(names) == len(set(names))
    canister = scene.body("object")
    assert canister.mass == task.MASS
    assert min(canister.inertia) > 0
    assert [g.visual for g in canister.geoms] == [False, False, True]
    for geom in canister.geoms:
        reach = geom.size[1] + (geom.size[0] if geom.type == "capsule" else 0)
        assert abs(geom.pos[2]) + (geom.size[2] if geom.type == "box" else reach) == pytest.approx(task.HEIGHT / 2)
    table = scene.body("table")
    assert table.pos[2] == task.TABLE_TOP
    assert all(task.TABLE_LOW[i] < task.AREA_LOW[i] and task.AREA_HIGH[i] < task.TABLE_HIGH[i] for i in (0, 1))
    with pytest.raises(KeyError, match="no body 'chair'"):
        scene.body("chair")
