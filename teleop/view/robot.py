"""The robot as a 3-D model: shapes logged once, a transform a body for every pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf_tree import Shape, Tree, read_tree
from telerig.hardware.rotations import Array
from telerig.teleop.view.sdk import load_rerun

ROOT = "robot"
STILL = 2e-4  # m, or rad: less than that nobody sees


class RobotModel:
    """An embodiment's bodies as entities ``robot/BODY``, each with its pose in the world.

    :raises ConfigError: the model's file is not there, or not understood.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        if not embodiment.model_path.exists():
            raise ConfigError(f"{embodiment.model_path}: no such model; the robot cannot be drawn")
        self.tree: Tree = read_tree(embodiment.model_path)
        self.entities = tuple(f"{ROOT}/{b.name}" for b in self.tree.bodies)  # one a body
        self._known = frozenset(self.tree.joints)
        at_home = [(j, v) for g in embodiment.groups for j, v in zip(g.joints, g.home, strict=True)]
        self._home = {j: v for j, v in at_home if j in self._known}
        self._last: Array | None = None
        moved = set()
        for i, body in enumerate(self.tree.bodies):
            if body.joints or body.parent in moved:
                moved.add(i)
        self._moving = sorted(moved)

    def poses(self, joints: Mapping[str, NDArray[np.float64]]) -> Array:
        """(bodies, T, 4, 4) in the world; unmeasured joints (NaN, or not there at all) stand at home."""
        q: dict[str, Any] = dict(self._home)
        for name, values in joints.items():
            if name in self._known:
                q[name] = np.where(np.isfinite(values), values, self._home.get(name, 0.0))
        return self.tree.forward(q)

    @property
    def span(self) -> tuple[Array, float]:
        """The middle (3,) of the robot at home and its size, m: where a camera has to look."""
        at = self.tree.forward(self._home)[:, 0, :3, 3]
        low, high = at.min(axis=0), at.max(axis=0)
        return (low + high) / 2, float(np.linalg.norm(high - low))

    def draw(self, rec: Any) -> None:
        """Log all shapes, and every body's pose at home, once and for all times."""
        rr = load_rerun()
        rec.log(ROOT, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        home = self.tree.forward(self._home)
        for i, (entity, body) in enumerate(zip(self.entities, self.tree.bodies, strict=True)):
            if i not in self._moving:
                rec.log(entity, transform(home[i, 0]), static=True)
            for kind in dict.fromkeys(s.kind for s in body.shapes):
                rec.log(f"{entity}/{kind}", _shapes([s for s in body.shapes if s.kind == kind]), static=True)

    def move(self, rec: Any, joints: Mapping[str, float]) -> None:
        """Log one pose, at the recording's present time: those bodies that have moved since the last."""
        poses = self.poses({j: np.array([v]) for j, v in joints.items()})[:, 0]
        for i in self._moving:
            if self._last is None or np.abs(poses[i] - self._last[i]).max() > STILL:
                rec.log(self.entities[i], transform(poses[i]))
                if self._last is not None:
                    self._last[i] = poses[i]
        if self._last is None:
            self._last = poses

    def move_along(self, rec: Any, times: Sequence[Any], joints: Mapping[str, NDArray[np.float64]]) -> None:
        """Log T poses at once; ``times``: the time columns."""
        rr = load_rerun()
        poses = self.poses(joints)
        for i in self._moving:
            columns = rr.Transform3D.columns(translation=poses[i, :, :3, 3], mat3x3=poses[i, :, :3, :3])
            rec.send_columns(self.entities[i], indexes=times, columns=columns)


def transform(pose: Array) -> Any:
    """A pose (4, 4) as rerun's."""
    return load_rerun().Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])


def _shapes(shapes: Sequence[Shape]) -> Any:
    """Shapes of one kind as one batch."""
    rr = load_rerun()
    kind = shapes[0].kind
    size = np.array([s.size for s in shapes])
    centers = np.array([s.transform[:3, 3] for s in shapes])
    turns = [_quaternion(s.transform[:3, :3]) for s in shapes]
    look: dict[str, Any] = {
        "colors": [[round(255 * c) for c in s.rgba] for s in shapes],
        "fill_mode": rr.components.FillMode.Solid,
    }
    if kind == "box":
        return rr.Boxes3D(half_sizes=size, centers=centers, quaternions=turns, **look)
    if kind == "ellipsoid":
        return rr.Ellipsoids3D(half_sizes=size, centers=centers, quaternions=turns, **look)
    if kind == "sphere":
        return rr.Ellipsoids3D(radii=size[:, 0], centers=centers, **look)
    if kind == "cylinder":
        return rr.Cylinders3D(lengths=2 * size[:, 1], radii=size[:, 0], centers=centers, quaternions=turns, **look)
    # rerun's capsules begin at their origin, MuJoCo's are centred
    starts = centers - np.array([s.transform[:3, 2] * s.size[1] for s in shapes])
    return rr.Capsules3D(lengths=2 * size[:, 1], radii=size[:, 0], translations=starts, quaternions=turns, **look)


def _quaternion(rotation: Array) -> list[float]:
    """xyzw, as rerun has it, of a rotation matrix (Shepperd: the largest component first)."""
    m = rotation
    square = np.array([1 + m[0, 0] - m[1, 1] - m[2, 2], 1 - m[0, 0] + m[1, 1] - m[2, 2],
                       1 - m[0, 0] - m[1, 1] + m[2, 2], 1 + np.trace(m)])  # fmt: skip
    best = int(np.argmax(square))
    rows = (
        (square[0], m[1, 0] + m[0, 1], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]),
        (m[1, 0] + m[0, 1], square[1], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]),
        (m[0, 2] + m[2, 0], m[2, 1] + m[1, 2], square[2], m[1, 0] - m[0, 1]),
        (m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], square[3]),
    )
    q = np.array(rows[best])
    return [float(v) for v in q / np.linalg.norm(q)]
