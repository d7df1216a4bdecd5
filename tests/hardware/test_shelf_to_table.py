"""The task's description: placements, the predicate, and that a box let go where it begins stays there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.worlds import shelf_to_table as task

UPRIGHT = (1.0, 0.0, 0.0, 0.0)
FAR = (0.1, -0.4, 1.0)
TARGET = (*task.DISC_LOW, task.TABLE_TOP)
PLACED = (*task.DISC_LOW, task.STANDING_Z)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_placements_stand_on_shelf_and_table_and_are_no_success(seed):
    start = task.sample(seed)
    for point, half, low, high in (
        (start.object, np.array(task.BOX[:2]), task.SHELF_LOW, task.SHELF_HIGH),
        (start.target, np.full(2, task.TARGET_RADIUS), task.TABLE_LOW, task.TABLE_HIGH),
    ):
        assert (np.array(point[:2]) - half >= np.array(low) - 1e-9).all()
        assert (np.array(point[:2]) + half <= np.array(high) + 1e-9).all()
    assert start == task.sample(seed)
    assert not task.success(start.object, UPRIGHT, start.target, [FAR])


def test_success_and_every_way_to_miss_it():
    assert task.success(PLACED, UPRIGHT, TARGET, [FAR])
    turned = (np.cos(0.5), 0.0, 0.0, np.sin(0.5))
    assert task.success(np.add(PLACED, (0.08, 0.08, 0)), turned, TARGET, [FAR, FAR])
    assert not task.success(np.add(PLACED, (0.15, 0, 0)), UPRIGHT, TARGET, [FAR])
    assert not task.success(np.add(PLACED, (0, 0, 0.03)), UPRIGHT, TARGET, [FAR])
    assert not task.success(PLACED, UPRIGHT, TARGET, [FAR, np.add(PLACED, (0, -0.12, 0))])
    assert not task.success(PLACED, (np.cos(0.4), np.sin(0.4), 0.0, 0.0), TARGET, [FAR])


def test_what_is_done_of_each_phase():
    box, disc = task.sample(1).object, task.sample(1).target
    far, near = (0.0, 0.0, 0.74), (box[0] - 0.4, box[1], 0.74)
    lifted, over = np.add(box, (0, 0, 0.1)), np.add(disc, (0, 0, 0.2))
    assert len(task.PHASES) == 4
    assert task.phases(box, disc, far, False) == (False, False, False, False)
    assert task.phases(box, disc, near, False) == (True, False, False, False)
    assert task.phases(lifted, disc, near, False) == (True, True, False, False)
    assert task.phases(over, disc, np.add(over, (0, -0.4, -0.2)), False) == (True, True, True, False)
    assert task.phases(np.add(disc, (0, 0, -0.5)), disc, far, False) == (False, False, False, False)
    assert task.phases(PLACED, TARGET, near, True)[3]


def test_the_lid_sticks_out_and_the_box_is_as_high_as_said():
    shape, lid = task.scene().body("object").geoms
    assert lid.size[1] > shape.size[1] + 0.02
    assert lid.pos[2] + lid.size[2] == pytest.approx(task.BOX[2])
    assert shape.pos[2] - shape.size[2] == pytest.approx(-task.BOX[2])
    assert shape.pos[2] + shape.size[2] == pytest.approx(lid.pos[2] - lid.size[2])


def test_the_box_stays_on_its_shelf_and_the_robot_s_start_is_clear():
    mujoco = pytest.importorskip("mujoco")
    from telerig.drivers.mujoco.scene import build_scene

    scene = build_scene("g1_like", "shelf_to_table", hold_pelvis=False)
    data = mujoco.MjData(scene.model)
    data.qpos[:] = scene.home_qpos
    scene.task.place(data, 3, 1)
    data.ctrl[:] = scene.home_ctrl
    before = data.xpos[scene.task.object].copy()
    mujoco.mj_forward(scene.model, data)
    before = data.xpos[scene.task.object].copy()
    touched = {scene.model.geom(g).name for c in data.contact[: data.ncon] for g in (c.geom1, c.geom2)}
    assert not {n for n in touched if n.startswith(("shelf", "table"))} - {"shelf_top"}
    mujoco.mj_step(scene.model, data, 400)
    np.testing.assert_allclose(data.xpos[scene.task.object], before, atol=2e-3)
