"""The task *pick and place*: with the right hand, stand a canister on a target disc.  Description only, numpy only.

World frame: z up, floor at 0, x forward from the robot, whose pelvis is held at ``ROBOT_BASE``.  The canister must be
lifted: pushed along the table it falls over, because the hand pushes it above the edge of its foot.  Success is a pure
function of arrays; whoever steps the world calls it.  Neither teleop nor policies may import this (import-linter).
"""

from __future__ import annotations

import numpy as np

from telerig.hardware.worlds.placing import Placed, Placement, board, disc
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
STANDING_WITHIN = 0.012  # m, of the height at which it stands
RELEASED_BEYOND = 0.08  # m, palm (grasp frame) from the canister's centre

STANDING_Z = TABLE_TOP + HEIGHT / 2
PLACED = Placed(STANDING_Z, STANDING_WITHIN, PLACED_WITHIN, RELEASED_BEYOND)
success = PLACED.is_met


def sample(seed: int) -> Placement:
    """The placement of an episode: a pure function of its seed."""
    rng = np.random.default_rng(seed)
    while True:
        points = rng.uniform(AREA_LOW, AREA_HIGH, (2, 2))
        if np.linalg.norm(points[0] - points[1]) >= MIN_SEPARATION:
            (x, y), (u, v) = points
            return Placement((float(x), float(y), STANDING_Z), (float(u), float(v), TABLE_TOP))


def scene() -> Scene:
    """What stands around the robot; the object and target at the middle of the area."""
    x, y = ((np.array(AREA_LOW) + AREA_HIGH) / 2).tolist()
    floor = Geom("floor", "plane", (0.0, 0.0, 0.05), rgba=(0.62, 0.64, 0.66, 1.0))
    return Scene(
        robot_base=ROBOT_BASE,
        bodies=(
            Body("floor", (0.0, 0.0, 0.0), (floor,)),
            board("table", TABLE_LOW, TABLE_HIGH, TABLE_TOP),
            disc((x, y, TABLE_TOP), TARGET_RADIUS),
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
