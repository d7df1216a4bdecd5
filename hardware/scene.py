"""Asking a simulated world for a new scene: one stream that the session writes and every world reads.

Real rigs have a person who puts the object back; ``session/scene`` is that person's hand.  It says nothing about where
things are: placements follow from ``seed`` and ``episode`` inside the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec

SCENE = StreamSpec(
    "session/scene",
    (ArraySpec("episode", (), "<i8"), ArraySpec("seed", (), "<i8"), ArraySpec("reset_robot", (), "<u1")),
    4.0,
)


@dataclass(frozen=True, slots=True)
class SceneRequest:
    """A new placement of object and target; with ``reset_robot`` the robot starts at home again too (evaluation)."""

    episode: int
    seed: int
    reset_robot: bool = False

    def to_sample(self, now: int) -> Sample:
        """As a sample of ``session/scene``, at instant ``now``."""
        data: dict[str, NDArray[Any]] = {
            "episode": np.array(self.episode, np.int64),
            "seed": np.array(self.seed, np.int64),
            "reset_robot": np.array(self.reset_robot, np.uint8),
        }
        return Sample(SCENE.name, now, now, data)

    @staticmethod
    def from_sample(sample: Sample) -> SceneRequest:
        """The inverse of :meth:`to_sample`."""
        return SceneRequest(int(sample.array("episode")), int(sample.array("seed")), bool(sample.array("reset_robot")))


def placement_seed(seed: int, episode: int) -> int:
    """The one number that a world's ``sample`` gets: differs for any two (seed, episode) pairs, as good as surely."""
    return int(np.random.SeedSequence([seed, episode]).generate_state(1, np.uint64)[0])
