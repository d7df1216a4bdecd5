"""A whole robot from its MJCF file: every body's pose for given joints, and what it looks like.  Numpy only.

For pictures, not for physics: boxes, capsules, cylinders, spheres and ellipsoids with their colours, default classes and
materials resolved.  Geoms that are for contacts only (group 3 and above, as viewers hide them) are left out; meshes,
planes and other kinds are counted in :attr:`Tree.left_out`.  A floating root stands where the file puts it, or where
:meth:`Tree.held` holds it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from telerig.hardware.mjcf import Element, joint_of, read_world, transform_of
from telerig.hardware.rotations import Array

KINDS = ("box", "capsule", "cylinder", "sphere", "ellipsoid")
GREY = (0.5, 0.5, 0.5, 1.0)  # MuJoCo's default
_HIDDEN_GROUP = 3
_Classes = Mapping[str, Mapping[str, Mapping[str, str]]]  # class → tag → attributes, inheritance resolved


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One geom.

    :param size: box, ellipsoid: half sizes; capsule, cylinder: radius, half length along z (a capsule's caps come on
        top), 0; sphere: radius, 0, 0.  (3,) m.
    :param transform: in its body's frame (4, 4).  :param rgba: 0…1.
    """

    kind: str
    size: Array
    transform: Array
    rgba: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A rigid body: its number's parent (−1: the world), its transform (4, 4) there, its joints and its shapes.

    ``floats``: nothing holds it in the world (a free joint).
    """

    name: str
    parent: int
    transform: Array
    joints: tuple[Element, ...]
    shapes: tuple[Shape, ...]
    floats: bool = False


@dataclass(frozen=True)
class Tree:
    """All bodies, parents first."""

    bodies: tuple[Body, ...]
    left_out: int

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of all joints."""
        return tuple(j.joint or "" for b in self.bodies for j in b.joints)

    def held(self, at: Sequence[float]) -> Tree:
        """The same with every floating root held where ``at`` says, (3,) m; NaN leaves a coordinate as it is."""
        return Tree(tuple(_held(b, at) if b.floats else b for b in self.bodies), self.left_out)

    @cached_property
    def _joints(self) -> _Joints:
        return _Joints([j for b in self.bodies for j in b.joints])

    def forward(self, q: Mapping[str, ArrayLike], root: Array | None = None) -> Array:
        """Every body's pose in the world for T joint vectors.

        :param q: joint → (T,) rad or m, or one number for all; a joint that is not named stands at 0.
        :param root: (T, 4, 4): where a floating root is; without it, it is held.
        :returns: (bodies, T, 4, 4).
        """
        count = max((np.size(v) for v in q.values() if np.ndim(v)), default=1 if root is None else len(root))
        values = np.zeros((len(self._joints.names), count))
        for i, name in enumerate(self._joints.names):
            if name in q:
                values[i] = q[name]
        motions = iter(self._joints.motions(values))
        out = np.empty((len(self.bodies), count, 4, 4))
        for i, body in enumerate(self.bodies):
            frame = body.transform if body.parent < 0 else out[body.parent] @ body.transform
            if body.floats and root is not None:
                frame = root
            for _ in body.joints:
                frame = frame @ next(motions)
            out[i] = frame
        return out


def _held(body: Body, at: Sequence[float]) -> Body:
    place = body.transform.copy()
    place[:3, 3] = np.where(np.isnan(at), place[:3, 3], at)
    return replace(body, transform=place)


class _Joints:
    """All joints of a tree at once: a pose must not cost more than drawing it."""

    def __init__(self, joints: Sequence[Element]) -> None:
        self.names = tuple(j.joint or "" for j in joints)
        self._axes = np.array([j.axis for j in joints]).reshape(-1, 3)
        self._slides = np.array([j.slide for j in joints], bool)
        self._k = np.cross(np.eye(3)[None], self._axes[:, None, :]) * ~self._slides[:, None, None]  # k @ v = axis x v
        self._anchors = np.array([j.transform for j in joints]).reshape(-1, 4, 4)
        self._back = np.linalg.inv(self._anchors)
        self._anchored = bool((self._anchors != np.eye(4)).any())

    def motions(self, values: Array) -> Array:
        """(joints, T, 4, 4): each joint's transform at each value (joints, T), rad or m (Rodrigues)."""
        sine, cosine = np.sin(values)[..., None, None], (1.0 - np.cos(values))[..., None, None]
        out = np.zeros((*values.shape, 4, 4))
        out[..., :3, :3] = np.eye(3) + sine * self._k[:, None] + cosine * (self._k @ self._k)[:, None]
        out[..., :3, 3] = np.where(self._slides[:, None, None], self._axes[:, None] * values[..., None], 0.0)
        out[..., 3, 3] = 1.0
        return self._anchors[:, None] @ out @ self._back[:, None] if self._anchored else out


def read_tree(path: str | Path) -> Tree:
    """Read a robot.  :raises ConfigError: something in the file is not understood (see :mod:`telerig.hardware.mjcf`)."""
    world, unit = read_world(path)
    root = ET.parse(path).getroot()
    classes: dict[str, Mapping[str, Mapping[str, str]]] = {"main": {}}
    for default in root.findall("default"):
        _collect(default, "main", {}, classes)
    materials = {m.get("name", ""): _rgba(m.get("rgba", "1 1 1 1")) for m in root.iter("material")}
    reader = _Reader(path, unit, classes, materials)
    reader.walk(world, -1, "main")
    return Tree(tuple(reader.bodies), reader.left_out)


def _collect(
    default: ET.Element,
    name: str,
    inherited: Mapping[str, Mapping[str, str]],
    into: dict[str, Mapping[str, Mapping[str, str]]],
) -> None:
    """Default classes, each with what it inherits from the one around it."""
    own = {tag: dict(values) for tag, values in inherited.items()}
    for child in default:
        if child.tag != "default":
            own[child.tag] = {**own.get(child.tag, {}), **child.attrib}
    into[name] = own
    for child in default.findall("default"):
        _collect(child, child.get("class", ""), own, into)


class _Reader:
    """Walks the bodies; see :func:`read_tree`."""

    def __init__(
        self,
        path: str | Path,
        unit: float,
        classes: _Classes,
        materials: Mapping[str, tuple[float, float, float, float]],
    ) -> None:
        self._path, self._unit, self._classes, self._materials = path, unit, classes, materials
        self.bodies: list[Body] = []
        self.left_out = 0

    def walk(self, parent: ET.Element, number: int, inherited: str) -> None:
        """Add every body below ``parent``, whose number is ``number``."""
        for element in parent.findall("body"):
            kind = element.get("childclass", inherited)
            joints = tuple(
                joint_of(j, self._unit, self._path) for j in element.findall("joint") if j.get("type") != "free"
            )
            shapes = tuple(s for g in element.findall("geom") if (s := self._shape(g, kind)) is not None)
            place = transform_of(element, self._unit, self._path)
            floats = element.find("freejoint") is not None or any(
                j.get("type") == "free" for j in element.findall("joint")
            )
            name = element.get("name", f"body {len(self.bodies)}")
            self.bodies.append(Body(name, number, place, joints, shapes, floats))
            self.walk(element, len(self.bodies) - 1, kind)

    def _shape(self, element: ET.Element, inherited: str) -> Shape | None:
        defaults = self._classes.get(element.get("class", inherited), {}).get("geom", {})
        geom = ET.Element("geom", {**defaults, **element.attrib})
        if int(geom.get("group", "0")) >= _HIDDEN_GROUP:
            return None
        kind = geom.get("type", "sphere")
        if kind not in KINDS:
            self.left_out += 1
            return None
        size = np.zeros(3)
        given = [float(v) for v in geom.get("size", "0").split()]
        size[: len(given)] = given
        rgba = _rgba(geom.get("rgba", "")) if geom.get("rgba") else self._materials.get(geom.get("material", ""), GREY)
        if geom.get("fromto"):
            place, half = _between(np.array([float(v) for v in geom.get("fromto", "").split()]))
            size = (
                np.array([size[0], half, 0.0])
                if kind in ("capsule", "cylinder")
                else np.array([size[0], size[1] or size[0], half])
            )
            return Shape(kind, size, place, rgba)
        return Shape(kind, size, transform_of(geom, self._unit, self._path), rgba)


def _between(ends: Array) -> tuple[Array, float]:
    """``fromto`` as a transform with z from the second end to the first (as MuJoCo has it), and half the length, m."""
    start, end = ends[:3], ends[3:]
    length = float(np.linalg.norm(end - start))
    z = (start - end) / length if length else np.array([0.0, 0.0, 1.0])
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    out = np.eye(4)
    out[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    out[:3, 3] = (start + end) / 2
    return out, length / 2


def _rgba(text: str) -> tuple[float, float, float, float]:
    r, g, b, a = ([float(v) for v in text.split()] + [1.0] * 4)[:4]
    return r, g, b, a
