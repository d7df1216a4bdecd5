"""The task *pick and place*: with the right hand, stand a canister on a target disc.  Description only, numpy only.

World frame: z up, floor at 0, x forward from the robot, whose pelvis is held at ``ROBOT_BASE``.  The canister must be
lifted: pushed along the table it falls over, because the hand pushes it above the edge of its foot.  Success is a pure
function of arrays; whoever steps the world calls it.  Neither teleop nor policies may import this (import-linter).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from telerig.hardware.worlds.scene import Body, Camera, Geom, Scene

EMBODIMENT = "g1_like"
INSTRUCTION = "Put the orange canister on the blue disc."
TIME_LIMIT_S = 8.0

ROBOT_BASE = (0.0, 0.0, 0.74)  # m, pelvis, held
TABLE_TOP = 0.81  # m
TABLE_LOW = (0.13, -0.50)  # m, near right corner, xy
TABLE_HIGH = (0.63, 0.34)  # m, far left corner
AREA_LOW = (0.19, -0.22)  # m, both canister and disc are drawn uniformly from this 20 cm square
AREA_HIGH = (0.39, -0.02)
MIN_SEPARATION = 0.10  # m between their centres: twice what counts as placed

RADIUS = 0.022  # m, canister
HEIGHT = 0.12  # m
MASS = 0.10  # kg
TARGET_RADIUS = 0.05  # m
PLACED_WITHIN = 0.05  # m, centre to centre
UPRIGHT_COS = 0.94  # cosine of 20 degrees
STANDING_WITHIN = 0.012  # m, of the height at which it stands
RELEASED_BEYOND = 0.08  # m, palm (grasp frame) from the canister's centre

STANDING_Z = TABLE_TOP + HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an episode starts: the canister's centre, upright, and the disc's, (3,) m, world frame."""

    object: tuple[float, float, float]
    target: tuple[float, float, float]


def sample(seed: int) -> Placement:
    """The placement of an episode: a pure function of its seed."""
    rng = np.random.default_rng(seed)
    while True:
        points = rng.uniform(AREA_LOW, AREA_HIGH, (2, 2))
        if np.linalg.norm(points[0] - points[1]) >= MIN_SEPARATION:
            (x, y), (u, v) = points
            return Placement((float(x), float(y), STANDING_Z), (float(u), float(v), TABLE_TOP))


def success(object_xyz: ArrayLike, object_quat: ArrayLike, target_xyz: ArrayLike, palms: ArrayLike) -> bool:
    """True when the canister stands on the target and no hand holds it.

    :param object_xyz: its centre (3,), m.  :param object_quat: (4,) wxyz.
    :param target_xyz: the disc's centre (3,), m.
    :param palms: grasp frames of the hands (n, 3), m.
    """
    position, target = np.asarray(object_xyz, float), np.asarray(target_xyz, float)
    _, x, y, _ = np.asarray(object_quat, float)
    upright = 1.0 - 2.0 * (x * x + y * y) >= UPRIGHT_COS
    standing = abs(position[2] - STANDING_Z) <= STANDING_WITHIN
    placed = np.linalg.norm(position[:2] - target[:2]) <= PLACED_WITHIN
    distance = np.linalg.norm(np.atleast_2d(np.asarray(palms, float)) - position, axis=1)
    return bool(upright and standing and placed and distance.min() > RELEASED_BEYOND)


def scene() -> Scene:
    """What stands around the robot; the object and target at the middle of the area."""
    low, high = np.array(TABLE_LOW), np.array(TABLE_HIGH)
    middle, half = (low + high) / 2, (high - low) / 2
    x, y = ((np.array(AREA_LOW) + AREA_HIGH) / 2).tolist()
    floor = Geom("floor", "plane", (0.0, 0.0, 0.05), rgba=(0.62, 0.64, 0.66, 1.0))
    top = Geom("table_top", "box", (half[0], half[1], 0.02), (0.0, 0.0, -0.02), rgba=(0.58, 0.52, 0.44, 1.0))
    legs = tuple(
        Geom(f"table_leg_{i}", "cylinder", (0.02, (TABLE_TOP - 0.04) / 2),
             (sx * (half[0] - 0.04), sy * (half[1] - 0.04), -0.04 - (TABLE_TOP - 0.04) / 2),
             rgba=(0.35, 0.36, 0.38, 1.0), visual=True)
        for i, (sx, sy) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1)))
    )  # fmt: skip
    disc = Geom(
        "target_disc", "cylinder", (TARGET_RADIUS, 0.001), (0.0, 0.0, 0.001), (0.10, 0.35, 0.90, 1.0), visual=True
    )
    return Scene(
        robot_base=ROBOT_BASE,
        bodies=(
            Body("floor", (0.0, 0.0, 0.0), (floor,)),
            Body("table", (float(middle[0]), float(middle[1]), TABLE_TOP), (top, *legs)),
            Body("target", (x, y, TABLE_TOP), (disc,), motion="placed"),
            _canister((x, y, STANDING_Z)),
        ),
        cameras=(Camera("front", (1.15, -0.55, 1.35), (0.22, -0.12, 0.86), 45.0),),
    )


def _canister(pos: tuple[float, float, float]) -> Body:
    """A capsule to grip (smooth contacts with capsule fingers) on a square foot to stand (four corner contacts)."""
    half, foot = HEIGHT / 2, 0.006
    grip = Geom(
        "object_grip",
        "capsule",
        (RADIUS, half - RADIUS),
        rgba=(0, 0, 0, 0),
        friction=(1.0, 0.02, 0.001),
        conaffinity=3,
        condim=4,
    )
    side = RADIUS * 0.85
    base = Geom(
        "object_foot",
        "box",
        (side, side, foot),
        (0.0, 0.0, foot - half),
        (0, 0, 0, 0),
        friction=(0.8, 0.02, 0.001),
        conaffinity=3,
    )
    shape = Geom("object_shape", "cylinder", (RADIUS, half), rgba=(0.95, 0.45, 0.10, 1.0), visual=True)
    inertia_xy = MASS * (3 * RADIUS**2 + HEIGHT**2) / 12
    return Body(
        "object", pos, (grip, base, shape), motion="free", mass=MASS,
        inertia=(inertia_xy, inertia_xy, MASS * RADIUS**2 / 2),
    )  # fmt: skip
