"""Memory that learner and workers share: parameters one way, samples the other."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.actor import size
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.joints import N_LEGS
from telerig.policies.body.train.observe import N_CRITIC

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shared:
    """Float32 arrays on shared memory, by name; ``blocks`` is what travels to another process."""

    blocks: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    @staticmethod
    def create(config: TrainConfig, context: Any) -> Shared:
        """All zero.  Samples are ``(shards, steps, robots, …)``."""
        rows = (config.shards, config.steps, config.robots)
        shapes: dict[str, tuple[int, ...]] = {
            "parameters": (size(config.ppo),), "mean": (N_CRITIC,), "deviation": (N_CRITIC,),
            "observation": (*rows, N_CRITIC), "action": (*rows, N_LEGS), "action_mean": (*rows, N_LEGS),
            "reward": rows, "over": rows, "last": (config.shards, config.robots, N_CRITIC),
        }  # fmt: skip
        return Shared({k: context.RawArray(ctypes.c_float, int(np.prod(s))) for k, s in shapes.items()}, shapes)

    def array(self, name: str) -> F32:
        """A live view."""
        return np.frombuffer(self.blocks[name], np.float32).reshape(self.shapes[name])
