"""How hard the world is, raised where robots stay up and lowered where they fall, for standing and walking apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

SMOOTHING = 0.05
SPEED_START, PUSH_TOP = 0.3, 0.8


@dataclass(frozen=True, slots=True)
class Levels:
    """``stand``, ``walk``: reach of the arms; ``speed``: share of the command ranges; ``push``: m/s per axis."""

    stand: float = 0.3
    walk: float = 0.2
    speed: float = SPEED_START
    push: float = 0.1

    @property
    def speed_share(self) -> float:
        """0 at the start, 1 at full speed."""
        return (self.speed - SPEED_START) / (1 - SPEED_START)


FULL = Levels(1.0, 1.0, 1.0, PUSH_TOP)

# name: (change per update, raised below, lowered above so many falls in 1,000 steps, lowest, highest)
# The pushes that grow make falls of their own, about 2 in 1,000: lower bounds kept the arms from their full reach for good.
_RULES = {
    "stand": (0.005, 3.0, 7.0, 0.3, 1.0),
    "walk": (0.004, 3.0, 7.0, 0.2, 1.0),
    "speed": (0.004, 2.5, 9.0, SPEED_START, 1.0),
    "push": (0.002, 3.0, 6.0, 0.1, PUSH_TOP),
}


@dataclass(slots=True)
class Curriculum:
    """Levels and moving averages of the falls in 1,000 robot steps, standing and walking."""

    levels: Levels = Levels()
    stand_falls: float = 20.0
    walk_falls: float = 20.0

    def update(self, falls: tuple[int, int], steps: tuple[int, int]) -> None:
        """Count one batch: falls and robot steps, each (standing, walking)."""
        rates = [1000 * f / max(1, s) for f, s in zip(falls, steps, strict=True)]
        self.stand_falls += SMOOTHING * (rates[0] - self.stand_falls)
        self.walk_falls += SMOOTHING * (rates[1] - self.walk_falls)
        both = 0.5 * (self.stand_falls + self.walk_falls)
        watched = {"stand": self.stand_falls, "walk": self.walk_falls, "speed": self.walk_falls, "push": both}
        changed = {}
        for name, (change, below, above, low, high) in _RULES.items():
            rate = watched[name]
            sign = 1 if rate < below else -1 if rate > above else 0
            changed[name] = min(high, max(low, getattr(self.levels, name) + sign * change))
        self.levels = replace(self.levels, **changed)

    def to_json(self) -> dict[str, Any]:
        """A plain description."""
        level = self.levels
        return {
            "stand": level.stand, "walk": level.walk, "speed": level.speed, "push": level.push,
            "stand_falls": self.stand_falls, "walk_falls": self.walk_falls,
        }  # fmt: skip

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Curriculum:
        """The inverse of :meth:`to_json`."""
        levels = Levels(data["stand"], data["walk"], data["speed"], data["push"])
        return Curriculum(levels, data["stand_falls"], data["walk_falls"])
