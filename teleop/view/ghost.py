"""Where commands want the robot, drawn over where it is: a translucent second robot, or its bones.

Both are seen only where they are off: a robot that is where it should be looks like itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.mjcf_tree import Shape
from telerig.hardware.rotations import Array
from telerig.teleop.view.robot import ROOT, STILL, RobotModel
from telerig.teleop.view.sdk import load_rerun
from telerig.teleop.view.shapes import ARCHETYPES, placed, sizes

OFF_M = (0.008, 0.025)  # off by less: not seen; off by more: seen as strongly as it gets
ARM_M = 0.1  # what a rotation is multiplied with to compare it with a distance, m a rad
GROWN_M = 0.0015  # larger than the robot, lest two surfaces at one place flicker
BONE_M = 0.005  # a line's radius
Floats = NDArray[np.float64]
Color = tuple[float, float, float, float]  # rgba, 0…1


class Overlay(Protocol):
    """A robot in another pose.  Poses are every body's in the world, (bodies, T, 4, 4)."""

    def draw(self, rec: Any) -> None:
        """Log what does not change, once and for all times; nothing is seen before it is moved."""

    def move(self, rec: Any, measured: Array, wanted: Array) -> None:
        """Log one pose (T = 1), at the recording's present time, if it is another than the last."""

    def move_along(self, rec: Any, times: Sequence[Any], measured: Array, wanted: Array) -> None:
        """Log T poses at once; ``times``: the time columns."""


def wished(measured: Mapping[str, Floats], wanted: Mapping[str, Floats]) -> dict[str, Floats]:
    """Joints (T,) as wanted; as measured where nothing is wanted of them."""
    out = dict(measured)
    for joint, values in wanted.items():
        out[joint] = np.where(np.isfinite(values), values, measured.get(joint, np.nan))
    return out


def seen(measured: Array, wanted: Array) -> Floats:
    """How much of each body is seen, 0…1, (bodies, T)."""
    shift = np.linalg.norm(wanted[..., :3, 3] - measured[..., :3, 3], axis=-1)
    turn = np.abs(wanted[..., :3, :3] - measured[..., :3, :3]).max(axis=(-2, -1)) * ARM_M
    low, high = OFF_M
    return np.asarray(np.clip((np.maximum(shift, turn) - low) / (high - low), 0.0, 1.0))


class _News:
    """Whether a picture differs from the last one."""

    def __init__(self) -> None:
        self._last: Array | None = None

    def __call__(self, picture: Array) -> bool:
        if self._last is not None and np.abs(picture - self._last).max(initial=0.0) < STILL:
            return False
        self._last = picture
        return True


class Ghost:
    """Entities ``scene/KIND/SHAPES``: all shapes of a kind are one batch, which costs less than an entity a body.

    :param kind: ``intended``, say.  :param joints: what is commanded: bodies that others move are left out.
    """

    def __init__(self, robot: RobotModel, kind: str, joints: Sequence[str], rgba: Color) -> None:
        self._path, self._bodies, self._news = f"{ROOT}/{kind}", robot.moved_by(joints), _News()
        self._rgba = np.round(255 * np.array(rgba))
        self._shapes: dict[str, list[tuple[int, Shape]]] = {}
        for i in self._bodies:
            for shape in robot.tree.bodies[i].shapes:
                self._shapes.setdefault(shape.kind, []).append((i, shape))

    def draw(self, rec: Any) -> None:
        """See :class:`Overlay`."""
        rr = load_rerun()
        for kind, found in self._shapes.items():
            look = getattr(rr, ARCHETYPES[kind]).from_fields(**sizes([s for _, s in found], GROWN_M))
            rec.log(f"{self._path}/{kind}", look, static=True)

    def move(self, rec: Any, measured: Array, wanted: Array) -> None:
        """See :class:`Overlay`."""
        share = seen(measured, wanted)
        if not self._news(wanted[self._bodies] * np.sign(share[self._bodies])[..., None, None]):
            return
        rr = load_rerun()
        for kind, found in self._shapes.items():
            rec.log(
                f"{self._path}/{kind}", getattr(rr, ARCHETYPES[kind]).from_fields(**self._look(found, wanted, share))
            )

    def move_along(self, rec: Any, times: Sequence[Any], measured: Array, wanted: Array) -> None:
        """See :class:`Overlay`."""
        rr, share, count = load_rerun(), seen(measured, wanted), wanted.shape[1]
        for kind, found in self._shapes.items():
            columns = getattr(rr, ARCHETYPES[kind]).columns(**self._look(found, wanted, share))
            parts = columns.partition(np.full(count, len(found)))
            rec.send_columns(f"{self._path}/{kind}", indexes=times, columns=parts)

    def _look(self, found: Sequence[tuple[int, Shape]], wanted: Array, share: Floats) -> dict[str, Any]:
        """Places and colours of n shapes at T instants, (T · n, …)."""
        at, own = [i for i, _ in found], np.array([s.transform for _, s in found])
        poses = (wanted[at] @ own[:, None]).swapaxes(0, 1).reshape(-1, 4, 4)
        colors = np.tile(self._rgba, (len(poses), 1))
        colors[:, 3] *= share[at].T.reshape(-1)
        shapes = [s for _, s in found] * wanted.shape[1]
        return placed(shapes, poses) | {"colors": colors.astype(np.uint8)}


class Bones:
    """Entity ``scene/KIND``: a line from every joint to the next."""

    def __init__(self, robot: RobotModel, kind: str, joints: Sequence[str], rgba: Color) -> None:
        self._path, self._news = f"{ROOT}/{kind}", _News()
        self._color = [round(255 * c) for c in rgba]
        parents = [b.parent for b in robot.tree.bodies]
        self._ends = np.array([(parents[i], i) for i in robot.moved_by(joints) if parents[i] >= 0], np.intp).reshape(
            -1, 2
        )

    def draw(self, rec: Any) -> None:
        """See :class:`Overlay`."""
        rec.log(self._path, load_rerun().LineStrips3D.from_fields(colors=[self._color], radii=[BONE_M]), static=True)

    def move(self, rec: Any, measured: Array, wanted: Array) -> None:
        """See :class:`Overlay`."""
        strips, lengths = self._strips(measured, wanted)
        picture = np.zeros((len(self._ends), 2, 3))
        picture[: lengths[0]] = strips
        if self._news(picture):
            rec.log(self._path, load_rerun().LineStrips3D.from_fields(strips=strips))

    def move_along(self, rec: Any, times: Sequence[Any], measured: Array, wanted: Array) -> None:
        """See :class:`Overlay`."""
        strips, lengths = self._strips(measured, wanted)
        columns = load_rerun().LineStrips3D.columns(strips=strips).partition(lengths)
        rec.send_columns(self._path, indexes=times, columns=columns)

    def _strips(self, measured: Array, wanted: Array) -> tuple[Floats, NDArray[np.intp]]:
        """Lines (sum of lengths, 2, 3) m, and how many of them belong to each of the T instants."""
        ends = wanted[self._ends][..., :3, 3].transpose(2, 0, 1, 3)  # (T, n, 2, 3)
        off = seen(measured, wanted)[self._ends].max(axis=1).T > 0.0  # (T, n)
        return ends[off], off.sum(axis=1)
