"""The task *shelf to table*: walk to a low shelf, pick a box from it, turn, and put it on a table.  Numpy only.

World frame: z up, floor at 0; the robot begins at the origin, facing x, on its own feet.  The shelf stands ahead of it and
is low, so that it has to squat; the table stands to its left.  Success is a pure function of arrays, as in
:mod:`telerig.hardware.worlds.pick_place`; neither teleop nor policies may import this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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
UPRIGHT_COS = 0.94  # cosine of 20 degrees
STANDING_WITHIN = 0.015  # m, of the height at which it stands
RELEASED_BEYOND = 0.16  # m, palm from the box's centre: none touches it

STANDING_Z = TABLE_TOP + BOX[2]
PHASES = ("walk to the shelf", "pick up", "carry", "set down")
WITHIN_REACH, LIFTED, OVER_DISC = 0.50, 0.03, 0.25  # m: pelvis from the box, box above the shelf, box from the disc


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an episode starts: the box's centre and the disc's, (3,) m, world frame."""

    object: tuple[float, float, float]
    target: tuple[float, float, float]


def sample(seed: int) -> Placement:
    """The placement of an episode: a pure function of its seed."""
    rng = np.random.default_rng(seed)
    (x, y), (u, v) = rng.uniform(BOX_LOW, BOX_HIGH), rng.uniform(DISC_LOW, DISC_HIGH)
    return Placement((float(x), float(y), SHELF_TOP + BOX[2]), (float(u), float(v), TABLE_TOP))


def success(object_xyz: ArrayLike, object_quat: ArrayLike, target_xyz: ArrayLike, palms: ArrayLike) -> bool:
    """True when the box stands on the disc and no hand holds it.

    :param object_xyz: its centre (3,), m.  :param object_quat: (4,) wxyz.
    :param target_xyz: the disc's centre (3,), m.  :param palms: grasp frames of the hands (n, 3), m.
    """
    position, target = np.asarray(object_xyz, float), np.asarray(target_xyz, float)
    _, x, y, _ = np.asarray(object_quat, float)
    upright = 1.0 - 2.0 * (x * x + y * y) >= UPRIGHT_COS
    standing = abs(position[2] - STANDING_Z) <= STANDING_WITHIN
    placed = np.linalg.norm(position[:2] - target[:2]) <= PLACED_WITHIN
    distance = np.linalg.norm(np.atleast_2d(np.asarray(palms, float)) - position, axis=1)
    return bool(upright and standing and placed and distance.min() > RELEASED_BEYOND)


def phases(object_xyz: ArrayLike, target_xyz: ArrayLike, pelvis_xyz: ArrayLike, success: bool) -> tuple[bool, ...]:
    """What is done of each of :data:`PHASES` at this instant; whoever judges an episode remembers what was ever done.

    :param object_xyz, target_xyz: as for :func:`success`.  :param pelvis_xyz: (3,), m.
    """
    box, disc = np.asarray(object_xyz, float), np.asarray(target_xyz, float)
    near = bool(np.linalg.norm(box[:2] - np.asarray(pelvis_xyz, float)[:2]) <= WITHIN_REACH)
    held = bool(box[2] >= SHELF_TOP + BOX[2] + LIFTED)
    over = bool(box[2] > TABLE_TOP and np.linalg.norm(box[:2] - disc[:2]) <= OVER_DISC)
    return near, near and held, over, success


def scene() -> Scene:
    """What stands around the robot; box and disc at the middle of their areas."""
    start = sample(0)
    floor = Geom("floor", "plane", (0.0, 0.0, 0.05), rgba=(0.62, 0.64, 0.66, 1.0), friction=(0.8, 0.005, 0.0001))
    disc = Geom(
        "target_disc", "cylinder", (TARGET_RADIUS, 0.001), (0.0, 0.0, 0.001), (0.10, 0.35, 0.90, 1.0), visual=True
    )
    return Scene(
        robot_base=ROBOT_BASE,
        bodies=(
            Body("floor", (0.0, 0.0, 0.0), (floor,)),
            _board("shelf", SHELF_LOW, SHELF_HIGH, SHELF_TOP),
            _board("table", TABLE_LOW, TABLE_HIGH, TABLE_TOP),
            Body("target", start.target, (disc,), motion="placed"),
            _box(start.object),
        ),
        cameras=(Camera("front", (3.4, -1.5, 2.0), (0.8, 0.5, 0.7), 50.0),),
    )


def _board(name: str, low: tuple[float, float], high: tuple[float, float], top: float) -> Body:
    """A board on four legs; only the board is felt."""
    x, y = (np.add(low, high) / 2).tolist()
    a, b = (np.subtract(high, low) / 2).tolist()
    leg = (top - 0.04) / 2
    board = Geom(f"{name}_top", "box", (a, b, 0.02), (0.0, 0.0, -0.02), (0.58, 0.52, 0.44, 1.0))
    legs = tuple(
        Geom(f"{name}_leg_{i}", "cylinder", (0.02, leg), (sx * (a - 0.04), sy * (b - 0.04), -0.04 - leg),
             (0.35, 0.36, 0.38, 1.0), visual=True)
        for i, (sx, sy) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1)))
    )  # fmt: skip
    return Body(name, (x, y, top), (board, *legs))


def _box(pos: tuple[float, float, float]) -> Body:
    a, b, c = BOX
    feel: dict[str, Any] = {"friction": (1.0, 0.02, 0.001), "contype": 1, "conaffinity": 3, "condim": 4}
    low = c - LID[2]
    shape = Geom("object_box", "box", (a, b, low), (0.0, 0.0, -LID[2]), (0.95, 0.45, 0.10, 1.0), **feel)
    lid = Geom("object_lid", "box", LID, (0.0, 0.0, low), (0.80, 0.36, 0.08, 1.0), **feel)
    inertia = (MASS * (b * b + c * c) / 3, MASS * (a * a + c * c) / 3, MASS * (a * a + b * b) / 3)
    return Body("object", pos, (shape, lid), motion="free", mass=MASS, inertia=inertia)
