"""The robot as a 3-D model: shapes logged once, a transform a body for every pose."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf_tree import Tree, read_tree
from telerig.hardware.odometry import LegOdometry
from telerig.hardware.rotations import Array
from telerig.hardware.stance import Stance
from telerig.hardware.surroundings import Surroundings
from telerig.teleop.view.sdk import load_rerun
from telerig.teleop.view.shapes import by_kind, solid

ROOT = "scene"
MEASURED, AROUND = f"{ROOT}/measured", f"{ROOT}/around"
STILL = 2e-4  # m, or rad: less than that nobody sees


class RobotModel:
    """An embodiment's bodies as entities ``scene/measured/BODY``, each with its pose in the world.

    :param around: what stands around it; a floating root is held where it says, else at the base's home height.
    :param walks: a floating root is not held, but walks from there.
    :ivar walks: it does so, and its model has one.
    :raises ConfigError: the model's file is not there, or not understood.
    """

    def __init__(self, embodiment: Embodiment, around: Surroundings | None = None, walks: bool = False) -> None:
        if not embodiment.model_path.exists():
            raise ConfigError(f"{embodiment.model_path}: no such model; the robot cannot be drawn")
        self._embodiment, self._around = embodiment, around
        self.tree: Tree = read_tree(embodiment.model_path).held(_root(embodiment, around))
        self.entities = tuple(f"{MEASURED}/{b.name}" for b in self.tree.bodies)  # one a body
        self._known = frozenset(self.tree.joints)
        at_home = [(j, v) for g in embodiment.groups for j, v in zip(g.joints, g.home, strict=True)]
        self._home = {j: v for j, v in at_home if j in self._known}
        self._last: Array | None = None
        self.walks = walks and any(b.floats for b in self.tree.bodies)
        self._moving = list(range(len(self.tree.bodies))) if self.walks else self.moved_by(self.tree.joints)

    @property
    def lost(self) -> bool:
        """Whether it walks, and nobody knows among what."""
        return self.walks and self._around is None

    @property
    def walker(self) -> str | None:
        """The entity of the root of a robot that walks."""
        return next(e for e, b in zip(self.entities, self.tree.bodies, strict=True) if b.floats) if self.walks else None

    def moved_by(self, joints: Collection[str]) -> list[int]:
        """Numbers of the bodies that these joints move."""
        moved: list[int] = []
        for i, body in enumerate(self.tree.bodies):
            if body.parent in moved or any(j.joint in joints for j in body.joints):
                moved.append(i)
        return moved

    def follower(self) -> LegOdometry:
        """Tells the place of a robot that walks.

        An inertial unit's heading is the world's only where the world is known; elsewhere the robot begins facing x.
        """
        known = self._around is not None
        x, y, z = next(b.transform for b in self.tree.bodies if b.floats)[:3, 3]
        return LegOdometry(Stance(self._embodiment), (float(x), float(y), float(z)), None if known else 0.0)

    def poses(self, joints: Mapping[str, NDArray[np.float64]], root: Array | None = None) -> Array:
        """(bodies, T, 4, 4) in the world; unmeasured joints (NaN, or not there at all) stand at home.

        :param root: (T, 4, 4): where a floating root is; without it, it is held.
        """
        q: dict[str, Any] = dict(self._home)
        for name, values in joints.items():
            if name in self._known:
                q[name] = np.where(np.isfinite(values), values, self._home.get(name, 0.0))
        return self.tree.forward(q, root)

    @property
    def span(self) -> tuple[Array, float]:
        """The middle (3,) of the robot at home, of all it may walk among too, and its size, m: where a camera has to look."""
        at = self.tree.forward(self._home)[:, 0, :3, 3]
        if self.walks and self._around is not None:
            at = np.concatenate([at, *(s.transform[None, :3, 3] for s in self._around.shapes.values())])
        low, high = at.min(axis=0), at.max(axis=0)
        return (low + high) / 2, float(np.linalg.norm(high - low))

    def draw(self, rec: Any) -> None:
        """Log all shapes, those around too, and the pose of bodies that never move, once and for all times."""
        rr = load_rerun()
        rec.log(ROOT, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        home = self.tree.forward(self._home)
        for i, (entity, body) in enumerate(zip(self.entities, self.tree.bodies, strict=True)):
            if i not in self._moving:
                rec.log(entity, transform(home[i, 0]), static=True)
            for kind, shapes in by_kind(body.shapes).items():
                rec.log(f"{entity}/{kind}", solid(shapes), static=True)
        for name, shape in self._around.shapes.items() if self._around is not None else ():
            rec.log(f"{AROUND}/{name}", solid([shape]), static=True)

    def move(self, rec: Any, measured: Array) -> None:
        """Log one pose (bodies, 1, 4, 4), at the recording's present time: those bodies that have moved since the last."""
        poses = measured[:, 0].copy()
        for i in self._moving:
            if self._last is None or np.abs(poses[i] - self._last[i]).max() > STILL:
                rec.log(self.entities[i], transform(poses[i]))
                if self._last is not None:
                    self._last[i] = poses[i]
        if self._last is None:
            self._last = poses

    def move_along(self, rec: Any, times: Sequence[Any], poses: Array) -> None:
        """Log T poses (bodies, T, 4, 4) at once; ``times``: the time columns."""
        rr = load_rerun()
        for i in self._moving:
            columns = rr.Transform3D.columns(translation=poses[i, :, :3, 3], mat3x3=poses[i, :, :3, :3])
            rec.send_columns(self.entities[i], indexes=times, columns=columns)


def _root(embodiment: Embodiment, around: Surroundings | None) -> tuple[float, float, float]:
    """Where a floating root stands, m; NaN: as the model's file says."""
    if around is not None:
        return around.robot_base
    base = embodiment.base
    height = dict(zip(base["names"], base["home"], strict=True)).get("height") if base is not None else None
    return (np.nan, np.nan, np.nan if height is None else float(height))


def transform(pose: Array) -> Any:
    """A pose (4, 4) as rerun's."""
    return load_rerun().Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])
