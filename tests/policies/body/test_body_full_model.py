"""The full model: it touches itself and the floor, carries, slips and stands as it is told."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from telerig.hardware.embodiment import Embodiment, load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.evaluation.full_model import SUNK_M, Body, World, compile_full

GAINS = {"left_knee_joint": (123.0, 4.5, 67.0)}


@pytest.fixture(scope="module")
def robot() -> Embodiment:
    return load_embodiment("g1_like")


@pytest.fixture(scope="module")
def body(robot: Embodiment) -> Body:
    return Body(robot, compile_full(robot, World(), GAINS))


def pose(body: Body, **joints: float) -> Any:
    """Hips, knees and ankles bent a little, all else zero."""
    q = np.zeros(len(body.joints))
    bent = {"hip_pitch": -0.3, "knee": 0.6, "ankle_pitch": -0.3}
    for i, name in enumerate(body.joints):
        q[i] = joints.get(name.removesuffix("_joint"), next((v for k, v in bent.items() if f"_{k}_joint" in name), 0.0))
    return q


def contacts(body: Body) -> set[frozenset[str]]:
    model, data = body.model, body.data
    pairs = ((model.geom_bodyid[c.geom1], model.geom_bodyid[c.geom2]) for c in data.contact)
    return {frozenset((model.body(a).name, model.body(b).name)) for a, b in pairs}


def test_only_the_soles_touch_where_it_stands(body: Body) -> None:
    body.stand(pose(body, left_shoulder_roll=0.2, right_shoulder_roll=-0.2), 0.7)
    assert contacts(body) == {frozenset(("world", f"{side}_ankle_roll_link")) for side in ("left", "right")}
    assert body.data.ncon == 8


@pytest.mark.parametrize(
    ("joints", "pair"),
    [
        ({"left_shoulder_pitch": 0.2, "left_shoulder_roll": -0.4, "left_elbow": 0.5}, ("torso_link", "left_elbow")),
        ({"left_hip_roll": -0.3, "right_hip_roll": 0.3}, ("right_", "left_")),
        ({"left_shoulder_pitch": 0.5, "left_shoulder_roll": -0.25, "left_elbow": 1.0}, ("hip", "left_")),
    ],
)  # fmt: skip
def test_it_touches_itself(body: Body, joints: dict[str, float], pair: tuple[str, str]) -> None:
    body.stand(pose(body, **joints), 0.0)
    own = [sorted(p) for p in contacts(body) if "world" not in p]
    assert any(any(pair[0] in n for n in p) and any(n.startswith(pair[1]) for n in p) for p in own), own


def test_a_body_that_lies_is_held_by_the_floor(body: Body) -> None:
    body.stand(pose(body), 0.0)
    body.data.qpos[2:7] = (0.3, 0.7071, 0.0, 0.7071, 0.0)
    body.follow(pose(body), 400)
    assert body.data.xpos[1:, 2].min() > -0.02
    assert any("world" in p and not any("ankle" in n for n in p) for p in contacts(body))


@pytest.mark.parametrize("yaw", [-2.0, 1.0])
def test_soles_are_flat_on_the_floor(body: Body, yaw: float) -> None:
    body.stand(pose(body, left_hip_pitch=-1.0, right_hip_pitch=-1.0), yaw)  # the pelvis has to lean for it
    data, model = body.data, body.model
    soles = [g for g in range(model.ngeom) if "_foot_" in model.geom(g).name]
    np.testing.assert_allclose(data.geom_xpos[soles, 2] - 0.01, -SUNK_M, atol=1e-9)
    feet = data.site_xmat[[model.site("left_foot").id, model.site("right_foot").id]].reshape(2, 3, 3)
    np.testing.assert_allclose(np.arctan2(feet[:, 1, 0], feet[:, 0, 0]), yaw, atol=1e-9)


def test_what_a_policy_drives_has_its_gains(body: Body) -> None:
    model = body.model
    knee, other = (model.actuator(f"{side}_knee_joint") for side in ("left", "right"))
    np.testing.assert_allclose([knee.gainprm[0], *knee.biasprm[1:3], *knee.forcerange], [123, -123, -4.5, -67, 67])
    np.testing.assert_allclose([other.gainprm[0], *other.forcerange], [300, -139, 139])


def test_waist_load_and_friction(robot: Embodiment, body: Body) -> None:
    names = {body.model.joint(j).name for j in range(body.model.njnt)}
    assert "waist_roll_joint" not in names
    other = compile_full(robot, World(friction=0.4, hand_mass=1.0, waist_free=True), {})
    assert other.body_mass.sum() - body.model.body_mass.sum() == pytest.approx(2.0)
    free = Body(robot, other)
    free.stand(pose(free), 0.0)
    np.testing.assert_allclose([c.friction[0] for c in free.data.contact], 0.4)
    free.data.qpos[other.jnt_qposadr[other.joint("waist_roll_joint").id]] = 0.2
    assert free.measure()[0][free.joints.index("waist_roll_joint")] == 0.2
    assert body.measure()[0][body.joints.index("waist_roll_joint")] == 0.0


def test_a_joint_without_servo(robot: Embodiment) -> None:
    with pytest.raises(ConfigError, match="no position servo for left_foot_joint"):
        compile_full(robot, World(), {"left_foot_joint": (1.0, 1.0, 1.0)})


def test_steps_are_five_milliseconds(body: Body) -> None:
    body.stand(pose(body), 0.0)
    body.follow(pose(body), 4)
    assert body.data.time == pytest.approx(0.02)
    assert body.model.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
