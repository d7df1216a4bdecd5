"""What a scene needs so that its robot stands on its own feet: a floor, something to fall on, where its legs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.legs import legs_of

FLOOR_FRICTION = (0.8, 0.005, 0.0001)
BULKY_M = 0.04  # capsules and ellipsoids this thick keep the robot off the floor when it falls; never in a stride
SUNK_M = 0.0005  # how far soles are in the floor at the start: in contact, and not thrown out of it


@dataclass(frozen=True, slots=True, eq=False)
class LegIndex:
    """Where the legs are in a compiled model: joints in the order of :class:`~telerig.hardware.legs.Legs`.

    ``root``: the pelvis' body, whose free joint is the first joint; ``place``: home position of the pelvis (3,) m.
    """

    qpos: NDArray[np.intp]
    dofs: NDArray[np.intp]
    actuators: NDArray[np.intp]
    root: int
    place: NDArray[np.float64]


def moving(robot: Embodiment, target: str) -> tuple[str, ...]:
    """Joints that are not rigid: the target's and the legs'."""
    return (*robot.target("robot", target).names, *legs_of(robot).joints)


def prepare(mj: Any, spec: Any, bare: bool) -> None:
    """Let the bulk of the body touch the surroundings; with ``bare`` add a floor."""
    thick = (mj.mjtGeom.mjGEOM_CAPSULE, mj.mjtGeom.mjGEOM_ELLIPSOID)
    for geom in spec.geoms:
        if geom.contype == 0 and geom.conaffinity == 0 and geom.type in thick and geom.size[0] >= BULKY_M:
            geom.conaffinity = 1
    if bare:
        floor = spec.worldbody.add_geom(name="floor", size=(0.0, 0.0, 0.05), friction=FLOOR_FRICTION)
        floor.type, floor.contype, floor.conaffinity = mj.mjtGeom.mjGEOM_PLANE, 1, 0


def locate(mj: Any, model: Any, robot: Embodiment, home: NDArray[np.float64], place: Sequence[float]) -> LegIndex:
    """Find the legs, and write into ``home`` (nq,) where the pelvis is when the soles just touch the floor.

    :raises ConfigError: the model's root does not float, or a leg has no position servo.
    """
    if model.njnt == 0 or model.jnt_type[0] != mj.mjtJoint.mjJNT_FREE or model.jnt_qposadr[0] != 0:
        raise ConfigError(f"{robot.model_path}: the first joint must be the pelvis' free joint")
    servo = {model.joint(model.actuator_trnid[a, 0]).name: a for a in range(model.nu)}
    joints = legs_of(robot).joints
    if missing := [j for j in joints if j not in servo]:
        raise ConfigError(f"{robot.model_path}: no position servo for {', '.join(missing)}")
    ids = [model.joint(j).id for j in joints]
    root = int(model.jnt_bodyid[0])
    data = mj.MjData(model)
    home[:3], home[3:7] = (*place, 1.0), (1.0, 0.0, 0.0, 0.0)
    data.qpos[:] = home
    mj.mj_kinematics(model, data)
    soles = [g for g in range(model.ngeom) if "_foot_" in model.geom(g).name]
    if not soles:
        raise ConfigError(f"{robot.model_path}: no geoms named …_foot_… to stand on")
    home[2] -= min(data.geom_xpos[g][2] - model.geom_size[g][0] for g in soles) + SUNK_M
    return LegIndex(
        model.jnt_qposadr[ids].astype(np.intp), model.jnt_dofadr[ids].astype(np.intp),
        np.array([servo[j] for j in joints], np.intp), root, home[:3].copy(),
    )  # fmt: skip
