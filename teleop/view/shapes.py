"""Primitive shapes as rerun has them: many of one kind in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from telerig.datasets.end_effector import quaternions
from telerig.hardware.mjcf_tree import Shape
from telerig.hardware.rotations import Array
from telerig.teleop.view.sdk import load_rerun

ARCHETYPES = {
    "box": "Boxes3D", "ellipsoid": "Ellipsoids3D", "sphere": "Ellipsoids3D", "cylinder": "Cylinders3D", "capsule": "Capsules3D",
}  # fmt: skip


def sizes(shapes: Sequence[Shape], grow: float = 0.0) -> dict[str, Any]:
    """Sizes of shapes of one kind, as arguments of its archetype; ``grow``: larger by that much, m."""
    kind = shapes[0].kind
    size = np.array([s.size for s in shapes])
    out: dict[str, Any] = {"fill_mode": load_rerun().components.FillMode.Solid}
    if kind in ("box", "ellipsoid"):
        return out | {"half_sizes": size + grow}
    if kind == "sphere":
        return out | {"half_sizes": np.repeat(size[:, :1] + grow, 3, axis=1)}
    longer = 2 * grow if kind == "cylinder" else 0.0
    return out | {"lengths": 2 * size[:, 1] + longer, "radii": size[:, 0] + grow}


def placed(shapes: Sequence[Shape], poses: Array) -> dict[str, Any]:
    """Where shapes of one kind are, as arguments of its archetype; ``poses`` (n, 4, 4), each shape's own transform."""
    centers = poses[:, :3, 3]
    turns = quaternions(poses[:, :3, :3])[:, [1, 2, 3, 0]]  # rerun has xyzw
    if shapes[0].kind != "capsule":
        return {"centers": centers, "quaternions": turns}
    half = np.array([s.size[1] for s in shapes])  # rerun's capsules begin at their origin, MuJoCo's are centred
    return {"translations": centers - poses[:, :3, 2] * half[:, None], "quaternions": turns}


def solid(shapes: Sequence[Shape]) -> Any:
    """Shapes of one kind as one batch, each at its own transform."""
    poses = np.array([s.transform for s in shapes])
    colors = [[round(255 * c) for c in s.rgba] for s in shapes]
    make = getattr(load_rerun(), ARCHETYPES[shapes[0].kind])
    return make(**sizes(shapes), **placed(shapes, poses), colors=colors)


def by_kind(shapes: Sequence[Shape]) -> dict[str, list[Shape]]:
    """Shapes sorted by kind, in the order in which kinds first come."""
    out: dict[str, list[Shape]] = {}
    for shape in shapes:
        out.setdefault(shape.kind, []).append(shape)
    return out
