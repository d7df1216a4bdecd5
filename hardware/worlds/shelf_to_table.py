"""The task *shelf to table*: walk to a low shelf, pick a box from it, turn, and put it on a table.  Numpy only.

World frame: z up, floor at 0; the robot begins at the origin, facing x, on its own feet.  The shelf stands ahead of it and
is low, so that it has to squat; the table stands to its left.  Success is a pure function of arrays, as in
:mod:`telerig.hardware.worlds.pick_place`; neither teleop nor policies may import this.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from telerig.hardware.worlds.placing import Placed, Placement, board, disc
from telerig.hardware.worlds.scene import Body, Camera, Geom, Scene

EMBODIMENT = "g1_like"
INSTRUCTION = "Carry the box from the shelf to the blue disc on the table."
TIME_LIMIT_S = 60.0

ROBOT_BASE = (0.0, 0.0, 0.74)  # m, where the pelvis begins; z is as its soles allow
SHELF_TOP, TABLE_TOP = 0.50, 0.74  # m
SHELF_LOW, SHELF_HIGH = (1.50, -0.40), (1.85, 0.40)  # m, corners of its board, xy
TABLE_LOW, TABLE_HIGH = (0.30, 1.30), (1.20, 1.85)
BOX = (0.08, 0.11, 0.08)  # half sizes, m: two palms hold it by its sides
LID = (0.085, 0.14, 0.01)  # half sizes, m; it sticks out, so that what is held below it cannot slip down
MASS = 0.6  # kg
BOX_LOW, BOX_HIGH = (1.59, -0.10), (1.63, 0.10)  # where its centre begins, xy
DISC_LOW, DISC_HIGH = (0.60, 1.44), (0.90, 1.46)
TARGET_RADIUS = 0.14
PLACED_WITHIN = 0.14  # m, centre to centre
STANDING_WITHIN = 0.015  # m, of the height at which it stands
RELEASED_BEYOND = 0.16  # m, palm from the box's centre: none touches it

STANDING_Z = TABLE_TOP + BOX[2]
PLACED = Placed(STANDING_Z, STANDING_WITHIN, PLACED_WITHIN, RELEASED_BEYOND)
success = PLACED.is_met
PHASES = ("walk to the shelf", "pick up", "carry", "set down")
WITHIN_REACH, LIFTED, OVER_DISC = 0.50, 0.03, 0.25  # m: pelvis from the box, box above the shelf, box from the disc


def sample(seed: int) -> Placement:
    """The placement of an episode: a pure function of its seed."""
    rng = np.random.default_rng(seed)
    (x, y), (u, v) = rng.uniform(BOX_LOW, BOX_HIGH), rng.uniform(DISC_LOW, DISC_HIGH)
    return Placement((float(x), float(y), SHELF_TOP + BOX[2]), (float(u), float(v), TABLE_TOP))


def phases(object_xyz: ArrayLike, target_xyz: ArrayLike, pelvis_xyz: ArrayLike, success: bool) -> tuple[bool, ...]:
    """What is done of each of :data:`PHASES` at this instant; whoever judges an episode remembers what was ever done.

    :param object_xyz, target_xyz: as for :func:`success`.  :param pelvis_xyz: (3,), m.
    """
    box, goal = np.asarray(object_xyz, float), np.asarray(target_xyz, float)
    near = bool(np.linalg.norm(box[:2] - np.asarray(pelvis_xyz, float)[:2]) <= WITHIN_REACH)
    held = bool(box[2] >= SHELF_TOP + BOX[2] + LIFTED)
    over = bool(box[2] > TABLE_TOP and np.linalg.norm(box[:2] - goal[:2]) <= OVER_DISC)
    return near, near and held, over, success


def scene() -> Scene:
    """What stands around the robot; box and disc where the episode of seed 0 has them."""
    start = sample(0)
    floor = Geom("floor", "plane", (0.0, 0.0, 0.05), rgba=(0.62, 0.64, 0.66, 1.0), friction=(0.8, 0.005, 0.0001))
    return Scene(
        robot_base=ROBOT_BASE,
        bodies=(
            Body("floor", (0.0, 0.0, 0.0), (floor,)),
            board("shelf", SHELF_LOW, SHELF_HIGH, SHELF_TOP),
            board("table", TABLE_LOW, TABLE_HIGH, TABLE_TOP),
            disc(start.target, TARGET_RADIUS),
            _box(start.object),
        ),
        cameras=(Camera("front", (3.4, -1.5, 2.0), (0.8, 0.5, 0.7), 50.0),),
    )


def _box(pos: tuple[float, float, float]) -> Body:
    a, b, c = BOX
    feel: dict[str, Any] = {"friction": (1.0, 0.02, 0.001), "contype": 1, "conaffinity": 3, "condim": 4}
    low = c - LID[2]
    shape = Geom("object_box", "box", (a, b, low), (0.0, 0.0, -LID[2]), (0.95, 0.45, 0.10, 1.0), **feel)
    lid = Geom("object_lid", "box", LID, (0.0, 0.0, low), (0.80, 0.36, 0.08, 1.0), **feel)
    inertia = (MASS * (b * b + c * c) / 3, MASS * (a * a + c * c) / 3, MASS * (a * a + b * b) / 3)
    return Body("object", pos, (shape, lid), motion="free", mass=MASS, inertia=inertia)
