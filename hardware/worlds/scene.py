"""What surrounds a robot, as data: bodies of primitive shapes, cameras.  ``drivers/mujoco`` builds physics from it.

Lengths in m, world frame (z up) unless said otherwise.  Collision bits are those of the robot models: a geom that hits
both robot and surroundings has contype 1, conaffinity 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Geom:
    """A primitive: MuJoCo's type and size conventions (half lengths; capsules and cylinders along z).

    :param pos: in its body's frame.
    :param friction: sliding, torsional (m), rolling (m).
    :param visual: seen only, never touched (its contype and conaffinity are 0).
    """

    name: str
    type: Literal["plane", "box", "cylinder", "capsule", "sphere"]
    size: tuple[float, ...]
    pos: Vector = (0.0, 0.0, 0.0)
    rgba: tuple[float, float, float, float] = (0.7, 0.7, 0.7, 1.0)
    friction: Vector = (0.8, 0.01, 0.001)
    contype: int = 1
    conaffinity: int = 0
    condim: int = 3
    visual: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """Geoms that move together.

    :param motion: ``fixed``; ``placed``: put somewhere at the start of an episode, no physics; ``free``: falls and is gripped.
    :param mass: kg, and ``inertia`` its principal moments about the body's origin (kg m2); free bodies only.
    """

    name: str
    pos: Vector
    geoms: tuple[Geom, ...]
    motion: Literal["fixed", "placed", "free"] = "fixed"
    mass: float = 0.0
    inertia: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that stands in the room: where it is, what it looks at, vertical field of view in degrees."""

    name: str
    pos: Vector
    look_at: Vector
    fovy: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A robot's surroundings.  ``robot_base`` is where its root body is held."""

    robot_base: Vector
    bodies: tuple[Body, ...]
    cameras: tuple[Camera, ...] = ()

    def body(self, name: str) -> Body:
        """:raises KeyError: there is none of that name."""
        for body in self.bodies:
            if body.name == name:
                return body
        raise KeyError(f"the scene has no body '{name}' (it has {', '.join(b.name for b in self.bodies)})")
