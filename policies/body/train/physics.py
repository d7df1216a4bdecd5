"""The training model: the embodiment's MJCF with legs, waist yaw and arms free, the rest rigid, spheres under the feet.

Everything else is left out because it costs time: shapes, hands, self-collision.  ``mujoco`` is imported here and in no other
module of the training; :class:`Physics` steps many robots in one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError, MissingExtra
from telerig.policies.body.train.config import BodyConfig
from telerig.policies.body.train.joints import JOINTS, LEGS, N_LEGS

Floats = NDArray[np.float64]

FEET = ("left", "right")
SOLVER_ITERATIONS = 6
FLOOR_FRICTION = 0.05  # MuJoCo takes the larger of two frictions: the feet's decides
TOUCH_BOX = (
    (0.035, 0.0, -0.025),
    (0.11, 0.06, 0.03),
)  # m, centre and half sizes, in the foot's frame: all four spheres
CONTACT_N = 1.0


def mujoco_module() -> Any:
    """The mujoco module.  :raises MissingExtra: it is not installed."""
    try:
        import mujoco
    except ImportError as error:
        raise MissingExtra("mujoco", "sim") from error
    return mujoco


@dataclass(frozen=True, slots=True)
class Variant:
    """How one robot differs from the model: factors, kg, m, rad."""

    friction: float = 0.8
    torso_mass: float = 0.0
    torso_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    leg_gain: float = 1.0
    arm_gain: float = 1.0
    hand_mass: float = 0.0
    waist: tuple[float, float] = (0.0, 0.0)  # roll, pitch at which the waist is rigid


def draw_variant(rng: np.random.Generator, config: BodyConfig) -> Variant:
    """A robot drawn from the configuration's ranges."""
    offset = rng.uniform(-config.torso_offset, config.torso_offset, 3)
    waist = rng.uniform(-config.waist_tilt, config.waist_tilt, 2)
    return Variant(
        rng.uniform(*config.friction), rng.uniform(*config.torso_mass), tuple(offset.tolist()), rng.uniform(*config.gain),
        rng.uniform(*config.arm_gain), rng.uniform(*config.hand_mass), tuple(waist.tolist()),
    )  # fmt: skip


def compile_model(config: BodyConfig, variant: Variant | None = None) -> Any:
    """An ``MjModel`` of the robot on a floor.  Joints after the floating base: as in :data:`JOINTS` of the model's tree.

    :raises ConfigError: the embodiment's model lacks what training needs.
    """
    mj, variant = mujoco_module(), variant or Variant()
    path = load_embodiment(config.embodiment).model_path
    spec = mj.MjSpec.from_file(str(path))
    missing = [j for j in JOINTS if j not in {x.name for x in spec.joints}]
    if missing:
        raise ConfigError(f"{path}: the body training needs joints {', '.join(missing)}")
    _strip(mj, spec)
    _vary(spec, variant)
    _sense(mj, spec)
    floor = spec.worldbody.add_geom(name="floor", size=(0.0, 0.0, 1.0), friction=(FLOOR_FRICTION, 0.005, 0.0001))
    floor.type, floor.contype, floor.conaffinity = mj.mjtGeom.mjGEOM_PLANE, 1, 1
    spec.option.timestep, spec.option.iterations, spec.option.ls_iterations = config.timestep, SOLVER_ITERATIONS, 20
    spec.option.integrator = mj.mjtIntegrator.mjINT_IMPLICITFAST
    spec.compiler.fusestatic = True
    return spec.compile()


def _strip(mj: Any, spec: Any) -> None:
    """Delete what does not move the body: all shapes but the feet's, all other joints and their servos."""
    for geom in [g for g in spec.geoms if not any(g.name.startswith(f"{side}_foot_") for side in FEET)]:
        spec.delete(geom)
    for item in [*spec.cameras, *spec.sensors, *(s for s in spec.sites if not s.name.endswith("_foot"))]:
        spec.delete(item)
    for actuator in [a for a in spec.actuators if a.target not in JOINTS]:
        spec.delete(actuator)
    for joint in [j for j in spec.joints if j.type != mj.mjtJoint.mjJNT_FREE and j.name not in JOINTS]:
        spec.delete(joint)


def _vary(spec: Any, variant: Variant) -> None:
    for geom in spec.geoms:
        geom.friction[0] = variant.friction
    torso = spec.body("torso_link")
    torso.inertia = np.array(torso.inertia) * (1 + variant.torso_mass / torso.mass)
    torso.mass += variant.torso_mass
    torso.ipos = np.array(torso.ipos) + variant.torso_offset
    for name, axis, angle in zip(("waist_roll_link", "torso_link"), (1, 2), variant.waist, strict=True):
        turn = np.array([np.cos(angle / 2), 0.0, 0.0, 0.0])
        turn[axis] = np.sin(angle / 2)
        spec.body(name).quat = turn  # both stand unturned in the model
    for side in FEET:
        palm = spec.body(f"{side}_wrist_yaw_link")
        load = palm.add_body(name=f"{side}_load", pos=(0.1, 0.0, 0.0), mass=max(variant.hand_mass, 1e-6))
        load.inertia, load.explicitinertial = np.full(3, 1e-7 + 5e-4 * variant.hand_mass), True
        load.ipos, load.iquat = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)
    for actuator in spec.actuators:
        factor = variant.leg_gain if actuator.target in LEGS else variant.arm_gain
        actuator.gainprm[0] *= factor
        actuator.biasprm[1] *= factor
        actuator.biasprm[2] *= factor


def _sense(mj: Any, spec: Any) -> None:
    """Sensors in a fixed order: per foot touch, position, velocity, x axis, z axis; then the legs' torques."""
    site, joint, kind = mj.mjtObj.mjOBJ_SITE, mj.mjtObj.mjOBJ_JOINT, mj.mjtSensor
    for side in FEET:
        box = spec.body(f"{side}_ankle_roll_link").add_site(name=f"{side}_touch", pos=TOUCH_BOX[0], size=TOUCH_BOX[1])
        box.type = mj.mjtGeom.mjGEOM_BOX
        spec.add_sensor(name=f"{side}_touch", type=kind.mjSENS_TOUCH, objtype=site, objname=f"{side}_touch")
        for what in ("FRAMEPOS", "FRAMELINVEL", "FRAMEXAXIS", "FRAMEZAXIS"):
            spec.add_sensor(type=getattr(kind, f"mjSENS_{what}"), objtype=site, objname=f"{side}_foot")
    for name in LEGS:
        spec.add_sensor(type=kind.mjSENS_JOINTACTFRC, objtype=joint, objname=name)


class Physics:
    """Many robots, each on its own variant, stepped in the calling thread.

    ``qpos`` ``(n, 28)`` and ``qvel`` ``(n, 27)`` are live: a write is the robot's state at the next step.  Joint values stand in
    the model's order; :attr:`joint_order` takes them to :data:`JOINTS`.
    """

    def __init__(self, config: BodyConfig, models: list[Any]) -> None:
        try:
            from mujoco.batch import Batch
        except ImportError as error:
            raise ConfigError("body training needs a mujoco with mujoco.batch (3.17 has it)") from error
        model, n = models[0], len(models)
        self._batch = Batch(model, n, 1)
        self._batch.set_models(models)
        self.substeps = config.substeps
        self.qpos, self.qvel = self._batch.bind("qpos"), self._batch.bind("qvel")
        names = [model.joint(j).name for j in range(1, model.njnt)]
        self.joint_order = np.array([names.index(j) for j in JOINTS])
        servos = [model.joint(model.actuator_trnid[a, 0]).name for a in range(model.nu)]
        self._ctrl_order = np.array([JOINTS.index(j) for j in servos])
        self._records = {"sensordata": np.zeros((n, config.substeps, model.nsensordata))}
        limits = model.jnt_range[1:][self.joint_order]
        self.low, self.high = limits[:, 0].copy(), limits[:, 1].copy()  # (21,) rad
        self.mass = float(model.body_mass.sum())

    @property
    def state(self) -> Floats:
        """``(n, …)``: everything the next step depends on, the solver's warm start included; live."""
        found: Floats = self._batch.state
        return found

    def step(self, targets: Floats) -> Floats:
        """Advance one control period; ``targets`` ``(n, substeps, 21)`` rad in :data:`JOINTS` order.

        :returns: sensors ``(n, 38)`` of the last substep's start.
        """
        control = np.ascontiguousarray(targets[:, :, self._ctrl_order])
        self._batch.rollout(self.substeps, control, record=("sensordata",), out=self._records)
        return self._records["sensordata"][:, -1]

    def clear(self, ids: NDArray[np.intp]) -> None:
        """Forget time, velocities and the solver's warm start of the robots ``ids``, which are about to be placed."""
        self._batch.state[ids] = 0.0

    def joints(self) -> tuple[Floats, Floats]:
        """Positions and velocities ``(n, 21)`` in :data:`JOINTS` order."""
        return self.qpos[:, 7:][:, self.joint_order], self.qvel[:, 6:][:, self.joint_order]


@dataclass(slots=True)
class Feet:
    """What the sensors say.  Arrays ``(n, 2, …)``, left then right, world frame."""

    contact: NDArray[np.bool_]
    position: Floats
    velocity: Floats
    x_axis: Floats
    z_axis: Floats


def split_sensors(sensors: Floats) -> tuple[Feet, Floats]:
    """Feet and leg torques ``(n, 12)`` N m."""
    feet = sensors[:, : sensors.shape[1] - N_LEGS].reshape(len(sensors), 2, 13)
    parts = (feet[..., 1:4], feet[..., 4:7], feet[..., 7:10], feet[..., 10:13])
    return Feet(feet[..., 0] > CONTACT_N, *(p.copy() for p in parts)), sensors[:, -N_LEGS:]
