"""The full model: the whole humanoid on its own feet, every shape of it touching floor and itself, servos as the robot's.

Nothing here is the training's: 5 ms steps, all 43 joints, fingers too.  What a policy drives has the policy's gains; the rest
has the robot's own servos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError, MissingExtra

Floats = NDArray[np.float64]
Gains = Mapping[str, tuple[float, float, float]]  # joint → kp N m/rad, kd N m s/rad, torque N m

TIMESTEP_S = 0.005
SURROUNDINGS, SELF = 1, 4  # collision bits, as the humanoid's model explains them
NEIGHBOURS = 2  # bodies so few joints apart do not touch: their shapes overlap by design
LOAD_AT = (0.1, 0.0, 0.0)  # m, in the wrist's frame: between fingers and palm
SUNK_M = 0.0005  # soles begin this deep: in contact, and not thrown out of it


@dataclass(frozen=True, slots=True)
class World:
    """In what the robot stands, and what it carries.  ``hand_mass`` kg in each hand; ``waist_free``: roll and pitch
    under the robot's stiff servos, else rigid."""

    friction: float = 0.8
    hand_mass: float = 0.0
    waist_free: bool = False


def compile_full(robot: Embodiment, world: World, gains: Gains) -> Any:
    """An ``MjModel``.

    :raises ConfigError: the robot's model does not load, or has no servo for a joint in ``gains``.
    :raises MissingExtra: mujoco is not installed.
    """
    try:
        import mujoco as mj
    except ImportError as error:
        raise MissingExtra("mujoco", "sim") from error
    try:
        spec = mj.MjSpec.from_file(str(robot.model_path))
    except ValueError as error:
        raise ConfigError(f"{robot.model_path}: {error}") from error
    _touch_itself(mj, spec)
    if not world.waist_free:
        _stiffen(spec)
    _load_hands(robot, spec, world.hand_mass)
    for geom in (g for g in spec.geoms if "_foot_" in g.name):
        geom.friction[0] = world.friction
    floor = spec.worldbody.add_geom(name="floor", size=(0.0, 0.0, 1.0), friction=(world.friction, 0.005, 0.0001))
    floor.type, floor.contype, floor.conaffinity = mj.mjtGeom.mjGEOM_PLANE, SURROUNDINGS, 0
    _drive(robot, spec, gains)
    spec.option.timestep = TIMESTEP_S
    return spec.compile()


def _touch_itself(mj: Any, spec: Any) -> None:
    """Every shape touches the floor, and every other shape of the robot that is not its neighbour's."""
    bodies = [b for b in spec.bodies if b.name != "world"]
    for geom in spec.geoms:
        if "_foot_" in geom.name:
            continue  # the soles' spheres: the floor only; the foot's box is for the rest
        is_foot = geom.parent.name.endswith("ankle_roll_link")
        geom.contype |= SELF
        geom.conaffinity |= SELF if is_foot else SELF | SURROUNDINGS
    lines = {b.name: _line(b) for b in bodies}
    hands = {b.name: next((n for n in lines[b.name] if n.endswith("wrist_yaw_link")), "") for b in bodies}
    overlapping = _overlapping(mj, spec.copy().compile())
    for i, a in enumerate(bodies):
        for b in bodies[i + 1 :]:
            apart = len(set(lines[a.name]) ^ set(lines[b.name]))
            same_hand = hands[a.name] and hands[a.name] == hands[b.name]
            if apart <= NEIGHBOURS or same_hand or frozenset((a.name, b.name)) in overlapping:
                spec.add_exclude(bodyname1=a.name, bodyname2=b.name)


def _line(body: Any) -> list[str]:
    """A body's name and its ancestors'."""
    found = []
    while body.name != "world":
        found.append(body.name)
        body = body.parent
    return found


def _overlapping(mj: Any, model: Any) -> set[frozenset[str]]:
    """Pairs of bodies whose shapes overlap with every joint at zero."""
    data = mj.MjData(model)
    data.qpos[2] = 10.0
    mj.mj_forward(model, data)
    pairs = ((model.geom_bodyid[c.geom1], model.geom_bodyid[c.geom2]) for c in data.contact)
    return {frozenset((model.body(a).name, model.body(b).name)) for a, b in pairs}


def _stiffen(spec: Any) -> None:
    locked = ("waist_roll_joint", "waist_pitch_joint")
    for actuator in [a for a in spec.actuators if a.target in locked]:
        spec.delete(actuator)
    for joint in [j for j in spec.joints if j.name in locked]:
        spec.delete(joint)


def _load_hands(robot: Embodiment, spec: Any, mass: float) -> None:
    if not mass:
        return
    for effector in robot.end_effectors:
        load = spec.body(effector.body).add_body(name=f"{effector.name}_load", pos=LOAD_AT, mass=mass)
        load.explicitinertial, load.inertia = True, np.full(3, 5e-4 * mass)
        load.ipos, load.iquat = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)


def _drive(robot: Embodiment, spec: Any, gains: Gains) -> None:
    servos = {a.target: a for a in spec.actuators}
    if missing := [j for j in gains if j not in servos]:
        raise ConfigError(f"{robot.model_path}: no position servo for {', '.join(missing)}")
    for joint, (kp, kd, torque) in gains.items():
        servo = servos[joint]
        servo.gainprm[0], servo.biasprm[1], servo.biasprm[2] = kp, -kp, -kd
        servo.forcerange, servo.forcelimited = (-torque, torque), True


class Body:
    """The robot in its model: joints by the embodiment's names, in its order; those that are rigid read zero.

    ``joints``: names; ``data``: mujoco's.
    """

    def __init__(self, robot: Embodiment, model: Any) -> None:
        import mujoco as mj

        self._mj, self.model, self.data = mj, model, mj.MjData(model)
        self.joints = tuple(j for g in robot.groups for j in g.joints)
        there = {model.joint(j).name: j for j in range(model.njnt)}
        moving = [(i, there[name]) for i, name in enumerate(self.joints) if name in there]
        self._at = np.array([i for i, _ in moving])
        ids = [j for _, j in moving]
        self._qpos, self._dof = model.jnt_qposadr[ids], model.jnt_dofadr[ids]
        servos = {model.joint(model.actuator_trnid[a, 0]).name: a for a in range(model.nu)}
        self._servo = np.array([servos[self.joints[i]] for i in self._at])
        self._soles = [g for g in range(model.ngeom) if "_foot_" in model.geom(g).name]
        self._feet = [model.site(s).id for s in ("left_foot", "right_foot")]
        self._q, self._dq = np.zeros(len(self.joints)), np.zeros(len(self.joints))

    def stand(self, joints: Floats, yaw: float) -> None:
        """Begin at rest with these joint angles ``(n,)`` rad, soles flat on the floor, facing ``yaw`` rad."""
        mj, data = self._mj, self.data
        mj.mj_resetData(self.model, data)
        data.qpos[:7] = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0)
        data.qpos[self._qpos] = data.ctrl[self._servo] = joints[self._at]
        mj.mj_kinematics(self.model, data)
        up = data.site_xmat[self._feet].reshape(2, 3, 3)[:, :, 2].mean(axis=0)
        half = -0.5 * np.arctan2(up[0], up[2])
        pitched, turned = (
            np.array([np.cos(half), 0, np.sin(half), 0]),
            np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]),
        )
        mj.mju_mulQuat(data.qpos[3:7], turned, pitched)
        mj.mj_kinematics(self.model, data)
        lowest = (data.geom_xpos[self._soles, 2] - self.model.geom_size[self._soles, 0]).min()
        data.qpos[2] -= lowest + SUNK_M
        mj.mj_forward(self.model, data)

    def measure(self) -> tuple[Floats, Floats]:
        """Positions rad and velocities rad/s ``(n,)`` of all joints."""
        self._q[self._at], self._dq[self._at] = self.data.qpos[self._qpos], self.data.qvel[self._dof]
        return self._q, self._dq

    def follow(self, targets: Floats, steps: int) -> None:
        """Physics steps towards targets ``(n,)`` rad."""
        if steps > 0:
            self.data.ctrl[self._servo] = targets[self._at]
            self._mj.mj_step(self.model, self.data, steps)
