"""Every body's pose and every visible shape, as MuJoCo has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.embodiment import embodiment_names, load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf_tree import read_tree

mujoco = pytest.importorskip("mujoco")

ODD = """
<mujoco><compiler angle="degree"/>
  <default><geom rgba="1 0 0 1"/>
    <default class="a"><geom type="box" size="0.1 0.2 0.3"/>
      <default class="b"><geom rgba="0 1 0 1"/></default></default></default>
  <asset><material name="blue" rgba="0 0 1 0.5"/></asset>
  <worldbody>
    <geom type="plane" size="1 1 1"/>
    <body name="one" pos="0 0 1" euler="0 90 0" childclass="a">
      <joint name="swing" axis="0 0 1" pos="0.1 0 0"/>
      <geom/> <geom class="b" pos="0.5 0 0"/> <geom type="capsule" fromto="0 0 0 0.3 0.4 0" size="0.05"/>
      <body name="two" pos="0.2 0 0" quat="0.7 0.1 -0.3 0.2">
        <joint name="slide" type="slide" axis="1 1 0"/>
        <geom class="main" material="blue" size="0.07"/>
        <geom type="ellipsoid" size="0.1 0.2 0.1" axisangle="0 1 0 30"/>
        <geom type="cylinder" fromto="0 0 0 0 0.2 0" size="0.02" rgba="0 1 1 1" group="3"/>
        <geom type="box" fromto="0 0 0 0 0 -0.5" size="0.03"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def paths(tmp_path: Path) -> list[Path]:
    """Every robot of telerig's, and one that has everything the reader claims to know."""
    odd = tmp_path / "odd.xml"
    odd.write_text(ODD)
    return [odd, *(load_embodiment(n).model_path for n in embodiment_names())]


def test_bodies_stand_where_mujoco_puts_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for path in paths(tmp_path):
        tree = read_tree(path)
        model = mujoco.MjModel.from_xml_path(str(path))
        data = mujoco.MjData(model)
        q = {j: rng.uniform(-1.0, 1.0, 3) for j in tree.joints}
        poses = tree.forward(q)
        assert poses.shape == (model.nbody - 1, 3, 4, 4)
        for k in range(3):
            for joint, values in q.items():
                data.qpos[model.joint(joint).qposadr[0]] = values[k]
            mujoco.mj_kinematics(model, data)
            for i, body in enumerate(tree.bodies):
                np.testing.assert_allclose(poses[i, k, :3, 3], data.body(body.name).xpos, atol=1e-6)
                np.testing.assert_allclose(poses[i, k, :3, :3].ravel(), data.body(body.name).xmat, atol=1e-6)


def test_shapes_are_those_of_the_model(tmp_path: Path) -> None:
    kinds = {"box": "BOX", "capsule": "CAPSULE", "cylinder": "CYLINDER", "sphere": "SPHERE", "ellipsoid": "ELLIPSOID"}
    for path in paths(tmp_path):
        tree = read_tree(path)
        model = mujoco.MjModel.from_xml_path(str(path))
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        at = tree.forward({j: float(data.qpos[model.joint(j).qposadr[0]]) for j in tree.joints})[:, 0]
        for i, body in enumerate(tree.bodies):
            first, count = model.body(body.name).geomadr[0], model.body(body.name).geomnum[0]
            shown = [g for g in range(first, first + count) if model.geom_group[g] < 3]
            assert len(body.shapes) == len(shown), body.name
            for shape, g in zip(body.shapes, shown, strict=True):
                assert model.geom_type[g] == getattr(mujoco.mjtGeom, f"mjGEOM_{kinds[shape.kind]}")
                world = at[i] @ shape.transform
                np.testing.assert_allclose(world[:3, 3], data.geom_xpos[g], atol=1e-6)
                used = {"sphere": 1, "capsule": 2, "cylinder": 2}.get(shape.kind, 3)
                np.testing.assert_allclose(shape.size[:used], model.geom_size[g][:used], atol=1e-6)
                axis = data.geom_xmat[g].reshape(3, 3)[:, 2]
                np.testing.assert_allclose(world[:3, 2], axis, atol=1e-6)
                own, material = model.geom_rgba[g], model.geom_matid[g]  # an own colour wins over the material's
                colour = model.mat_rgba[material] if material >= 0 and np.allclose(own, (0.5, 0.5, 0.5, 1)) else own
                np.testing.assert_allclose(shape.rgba, colour, atol=1e-6)


def test_what_cannot_be_drawn_is_counted_and_what_is_not_understood_refused(tmp_path: Path) -> None:
    path = tmp_path / "robot.xml"
    path.write_text('<mujoco><worldbody><body><geom type="mesh" mesh="m"/><geom size="1"/></body></worldbody></mujoco>')
    tree = read_tree(path)
    assert tree.left_out == 1
    assert len(tree.bodies[0].shapes) == 1
    path.write_text('<mujoco><worldbody><body><joint type="ball"/></body></worldbody></mujoco>')
    with pytest.raises(ConfigError, match="neither hinge nor slide"):
        read_tree(path)
