"""From an embodiment and a task to a compiled model: the robot's MJCF plus the surroundings that the task describes.

Whoever needs the same model (physics, every camera, a viewer) calls :func:`build_scene` with the same arguments: a
model is a function of them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco import standing
from telerig.drivers.mujoco.gl import load_mujoco
from telerig.hardware.embodiment import Embodiment, load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf_tree import Shape
from telerig.hardware.scene import placement_seed
from telerig.hardware.surroundings import Surroundings as Seen
from telerig.hardware.worlds.scene import Body, Camera, Geom
from telerig.hardware.worlds.scene import Scene as Surroundings

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]

TIMESTEP_S = 0.0025
# llvmpipe spends its time on vertices: at 320x240, 12 slices halve a frame's cost against mujoco's 28, unseen
SLICES, STACKS, QUADS = 12, 6, 1
FLOOR_M = 40.0  # half of what is seen of a floor
NEAR_M, FAR_M = 0.02, 60.0  # what cameras see between


def task_names() -> list[str]:
    """Every task in :mod:`telerig.hardware.worlds`."""
    import telerig.hardware.worlds as worlds

    found = [m.name for m in pkgutil.iter_modules(worlds.__path__)]
    return sorted(n for n in found if hasattr(import_module(f"telerig.hardware.worlds.{n}"), "sample"))


def load_task(name: str) -> ModuleType:
    """A task's module: ``scene()``, ``sample(seed)``, ``success(…)``.  :raises ConfigError: there is none."""
    if name not in task_names():
        raise ConfigError(f"task '{name}' is unknown; known: {', '.join(task_names())}")
    return import_module(f"telerig.hardware.worlds.{name}")


def static_surroundings(task: str) -> Seen:
    """A task's fixed bodies, without mujoco; a floor's plane has no end and is left out.

    :raises ConfigError: there is no such task.
    """
    scene: Surroundings = load_task(task).scene()
    shapes = {}
    for body in (b for b in scene.bodies if b.motion == "fixed"):
        for geom in (g for g in body.geoms if g.type != "plane"):
            place = np.eye(4)
            place[:3, 3] = np.add(body.pos, geom.pos)
            shapes[geom.name] = Shape(geom.type, np.array((*geom.size, 0.0, 0.0)[:3]), place, geom.rgba)
    return Seen(scene.robot_base, shapes)


class Task:
    """A task inside a compiled model: puts its object and target in place and judges."""

    def __init__(self, module: ModuleType, model: Any) -> None:
        self._module = module
        self.object = int(model.body("object").id)
        self.target = int(model.body("target").id)
        joint = int(model.body_jntadr[self.object])
        self._qpos, self._dof = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        self._mocap = int(model.body_mocapid[self.target])

    def place(self, data: Any, seed: int, episode: int) -> None:
        """Object and target as (seed, episode) say, the object upright and at rest."""
        placement = self._module.sample(placement_seed(seed, episode))
        data.qpos[self._qpos : self._qpos + 7] = (*placement.object, 1.0, 0.0, 0.0, 0.0)
        data.qvel[self._dof : self._dof + 6] = 0.0
        data.mocap_pos[self._mocap] = placement.target

    def success(self, data: Any, palms: Floats) -> bool:
        """The task's predicate on the present body poses; ``palms`` ``(n, 3)`` m."""
        found: bool = self._module.success(
            data.xpos[self.object], data.xquat[self.object], data.xpos[self.target], palms
        )
        return found

    @property
    def phase_names(self) -> tuple[str, ...]:
        """What the task consists of, in order; () where it does not say."""
        return tuple(getattr(self._module, "PHASES", ()))

    def phases(self, data: Any, success: bool) -> tuple[bool, ...]:
        """What is done of each phase at this instant, on the present body poses."""
        found: tuple[bool, ...] = self._module.phases(
            data.xpos[self.object], data.xpos[self.target], data.qpos[:3], success
        )
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A compiled model and where things are in it.

    ``joints``: the controlled joints, in the target's order; ``qpos``, ``dofs``, ``actuators``: their indices ``(n,)``.
    ``home_qpos`` ``(nq,)`` and ``home_ctrl`` ``(nu,)``: the embodiment's home, other joints included.
    ``palms``: end effector's name → (body number, offset (3,) m in its frame).
    """

    model: Any
    joints: tuple[str, ...]
    qpos: Ints
    dofs: Ints
    actuators: Ints
    home_qpos: Floats
    home_ctrl: Floats
    palms: dict[str, tuple[int, Floats]]
    task: Task | None
    legs: standing.LegIndex | None = None  # of a robot on its own feet


@lru_cache(maxsize=8)
def build_scene(embodiment: str, task: str = "", target: str = "upper", hold_pelvis: bool = True) -> Scene:
    """Compile embodiment and task ("": the robot alone).  Cached: treat the model as read-only, copy it to change it.

    :raises ConfigError: unknown names, or the model does not fit the embodiment.
    :raises MissingExtra: mujoco is not installed.
    """
    mj = load_mujoco()
    robot = load_embodiment(embodiment)
    module = load_task(task) if task else None
    try:
        spec = mj.MjSpec.from_file(str(robot.model_path))
    except ValueError as error:
        raise ConfigError(f"{robot.model_path}: {error}") from error
    surroundings: Surroundings | None = module.scene() if module else None
    if hold_pelvis:
        _hold(mj, spec, robot, surroundings)
        _lock(mj, spec, robot, robot.target("robot", target).names)
    else:
        _lock(mj, spec, robot, standing.moving(robot, target))
        standing.prepare(mj, spec, surroundings is None or not any(b.name == "floor" for b in surroundings.bodies))
    if surroundings is not None:
        _surround(mj, spec, surroundings)
    _cheap(spec)
    model = spec.compile()
    scene = _locate(mj, model, robot, target, module)
    if hold_pelvis:
        return scene
    place = surroundings.robot_base[:2] if surroundings is not None else (0.0, 0.0)
    return replace(scene, legs=standing.locate(mj, model, robot, scene.home_qpos, place))


def _hold(mj: Any, spec: Any, robot: Embodiment, surroundings: Surroundings | None) -> None:
    """Fix the floating root where the task says, or at the base's home height: a fixed body is also the cheapest."""
    free = [j for j in spec.joints if j.type == mj.mjtJoint.mjJNT_FREE]
    for joint in free:
        root = joint.parent
        spec.delete(joint)
        if surroundings is not None:
            root.pos = surroundings.robot_base
        elif robot.base is not None:
            root.pos[2] = dict(zip(robot.base["names"], robot.base["home"], strict=True))["height"]


def _lock(mj: Any, spec: Any, robot: Embodiment, kept: Sequence[str]) -> None:
    """Make joints that nobody commands (legs, waist) rigid at home: a third fewer freedoms, no floor contacts."""
    home = {j: value for g in robot.groups for j, value in zip(g.joints, g.home, strict=True)}
    locked = [j for j in spec.joints if j.name in home and j.name not in kept and j.type == mj.mjtJoint.mjJNT_HINGE]
    for actuator in [a for a in spec.actuators if a.target in {j.name for j in locked}]:
        spec.delete(actuator)
    for joint in locked:
        if np.any(joint.pos):
            raise ConfigError(f"{robot.model_path}: joint {joint.name} must turn about its body's origin (pos 0 0 0)")
        turn, turned = np.zeros(4), np.zeros(4)
        mj.mju_axisAngle2Quat(turn, np.array(joint.axis) / np.linalg.norm(joint.axis), home[joint.name])
        mj.mju_mulQuat(turned, joint.parent.quat, turn)
        joint.parent.quat = turned
        spec.delete(joint)


def _surround(mj: Any, spec: Any, surroundings: Surroundings) -> None:
    for body in surroundings.bodies:
        _add_body(mj, spec, body)
    for camera in surroundings.cameras:
        _add_camera(mj, spec, camera)
    light = spec.worldbody.add_light(pos=(0.8, 0.4, 3.0), dir=(-0.3, -0.2, -1.0), castshadow=False)
    light.type = mj.mjtLightType.mjLIGHT_DIRECTIONAL
    light.diffuse, light.specular = (0.45, 0.45, 0.45), (0.1, 0.1, 0.1)


def _add_body(mj: Any, spec: Any, body: Body) -> None:
    made = spec.worldbody.add_body(name=body.name, pos=body.pos, mocap=body.motion == "placed")
    if body.motion == "free":
        made.add_freejoint(name=f"{body.name}_free")
        made.explicitinertial, made.mass, made.inertia = True, body.mass, body.inertia
        made.ipos, made.iquat = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)  # unset, they become the body's own pose
    for geom in body.geoms:
        _add_geom(mj, made, geom)


def _add_geom(mj: Any, body: Any, geom: Geom) -> None:
    size = (*geom.size, 0.0, 0.0)[:3]
    made = body.add_geom(name=geom.name, size=size, pos=geom.pos, rgba=geom.rgba)
    made.type = getattr(mj.mjtGeom, f"mjGEOM_{geom.type.upper()}")
    made.friction, made.condim = geom.friction, geom.condim
    made.contype, made.conaffinity = (0, 0) if geom.visual else (geom.contype, geom.conaffinity)
    if geom.type == "plane":  # to be stood on; what is seen of it is a slab, which renders in half the time
        made.rgba = (0.0, 0.0, 0.0, 0.0)
        half, thick = FLOOR_M, 0.1
        seen = body.add_geom(name=f"{geom.name}_seen", size=(half, half, thick), rgba=geom.rgba)
        seen.type, seen.pos = mj.mjtGeom.mjGEOM_BOX, np.add(geom.pos, (0.0, 0.0, -thick))
        seen.contype = seen.conaffinity = 0


def _add_camera(mj: Any, spec: Any, camera: Camera) -> None:
    """mujoco's cameras look along −z with y up."""
    back = np.subtract(camera.pos, camera.look_at)
    back /= np.linalg.norm(back)
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mj.mju_mat2Quat(quat, np.stack((right, np.cross(back, right), back), axis=1).ravel())
    spec.worldbody.add_camera(name=camera.name, pos=camera.pos, quat=quat, fovy=camera.fovy)


def _cheap(spec: Any) -> None:
    """What rendering costs is decided here."""
    spec.option.timestep = TIMESTEP_S
    quality = spec.visual.quality
    quality.numslices, quality.numstacks, quality.numquads = SLICES, STACKS, QUADS
    quality.offsamples = quality.shadowsize = 0
    spec.stat.extent = 1.0  # the unit of the clip distances, which would otherwise follow the floor's size
    spec.visual.map.znear, spec.visual.map.zfar = NEAR_M, FAR_M
    head = spec.visual.headlight
    head.ambient, head.diffuse, head.specular = (0.35, 0.35, 0.35), (0.35, 0.35, 0.35), (0.0, 0.0, 0.0)


def _locate(mj: Any, model: Any, robot: Embodiment, target: str, module: ModuleType | None) -> Scene:
    joints = robot.target("robot", target).names
    servo = {model.joint(model.actuator_trnid[a, 0]).name: a for a in range(model.nu)}
    names = {model.joint(j).name for j in range(model.njnt)}
    missing = [j for j in joints if j not in names or j not in servo]
    if missing:
        raise ConfigError(f"{robot.model_path}: no joint with a position actuator for {', '.join(missing)}")
    ids = [model.joint(j).id for j in joints]
    actuators = np.array([servo[j] for j in joints], np.intp)
    bias = model.actuator_biasprm[actuators]
    if not (np.allclose(bias[:, 1], -model.actuator_gainprm[actuators, 0]) and (bias[:, 1] < 0).all()):
        raise ConfigError(f"{robot.model_path}: the actuators of target '{target}' must be <position> servos")
    home_qpos, home_ctrl = np.array(model.qpos0), np.zeros(model.nu)
    for group in robot.groups:
        for joint, value in zip(group.joints, group.home, strict=True):
            if joint in names:
                home_qpos[model.jnt_qposadr[model.joint(joint).id]] = value
            if joint in servo:
                home_ctrl[servo[joint]] = value
    bodies = {model.body(b).name: b for b in range(model.nbody)}
    unknown = [e.body for e in robot.end_effectors if e.body not in bodies]
    if unknown:
        raise ConfigError(f"{robot.model_path}: no body {', '.join(unknown)}, which embodiment {robot.name} names")
    palms = {e.name: (bodies[e.body], np.array(e.offset, np.float64)) for e in robot.end_effectors}
    task = Task(module, model) if module is not None else None
    return Scene(
        model, joints, model.jnt_qposadr[ids].astype(np.intp), model.jnt_dofadr[ids].astype(np.intp), actuators,
        home_qpos, home_ctrl, palms, task,
    )  # fmt: skip
