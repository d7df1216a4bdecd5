"""What stands still around a robot: frozen with a recording, drawn by viewers.

A driver class may have ``surroundings(config) -> Surroundings | None`` (static; nothing is opened): a simulated world
tells its floor and its table there.  Never what moves, nor what is placed anew in every episode: where those are is
the world's own secret, and not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf_tree import KINDS, Shape


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Shapes by name, their transforms in the world (z up, m), and where a robot's floating root is held, (3,) m."""

    robot_base: tuple[float, float, float]
    shapes: Mapping[str, Shape]

    def to_json(self) -> dict[str, Any]:
        """Plain values; :meth:`from_json` reads them back."""
        shapes = {
            name: {"kind": s.kind, "size": s.size.tolist(), "transform": s.transform.tolist(), "rgba": list(s.rgba)}
            for name, s in self.shapes.items()
        }
        return {"robot_base": list(self.robot_base), "shapes": shapes}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> Surroundings:
        """:raises ConfigError: not what :meth:`to_json` writes."""
        try:
            x, y, z = (float(v) for v in raw["robot_base"])
            return Surroundings((x, y, z), {str(n): _shape(s) for n, s in raw["shapes"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"surroundings do not hold together: {error}") from error


def _shape(raw: Mapping[str, Any]) -> Shape:
    if raw["kind"] not in KINDS:
        raise ValueError(f"{raw['kind']} is none of {', '.join(KINDS)}")
    red, green, blue, alpha = (float(v) for v in raw["rgba"])
    size, transform = np.array(raw["size"], float), np.array(raw["transform"], float)
    return Shape(raw["kind"], size.reshape(3), transform.reshape(4, 4), (red, green, blue, alpha))


def surroundings_of(devices: Sequence[tuple[type[Any], Any]]) -> dict[str, Any]:
    """What the first of these (driver class, its config) that knows any tells, as JSON; {} where none does."""
    for driver, config in devices:
        tell = getattr(driver, "surroundings", None)
        found: Surroundings | None = tell(config) if tell is not None else None
        if found is not None:
            return found.to_json()
    return {}
