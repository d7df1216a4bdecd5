"""One group of robots as a worker sees it: collects samples, saves and restores itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.actor import Networks
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.curriculum import Levels
from telerig.policies.body.train.env import BodyEnv
from telerig.policies.body.train.pose import HeightTable
from telerig.policies.body.train.shared import Shared


@dataclass(slots=True)
class Tally:
    """Sums over a batch, (standing, walking): falls, robot steps, reward; and of every reward term."""

    falls: list[int] = field(default_factory=lambda: [0, 0])
    steps: list[int] = field(default_factory=lambda: [0, 0])
    reward: list[float] = field(default_factory=lambda: [0.0, 0.0])
    terms: dict[str, float] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add another group's sums."""
        for name in ("falls", "steps", "reward"):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, [a + b for a, b in zip(mine, theirs, strict=True)])
        for key, value in other.terms.items():
            self.terms[key] = self.terms.get(key, 0.0) + value


class Shard:
    """Group number ``index`` of a run."""

    def __init__(self, index: int, config: TrainConfig, models: list[Any], table: HeightTable, shared: Shared) -> None:
        self.config = config
        self.env = BodyEnv(config.body, models, np.random.default_rng([config.seed, 2, index]), table)
        self._out = {
            k: shared.array(k)[index] for k in ("observation", "action", "action_mean", "reward", "over", "last")
        }
        self._networks = Networks(
            config.ppo, shared.array("parameters"), shared.array("mean"), shared.array("deviation")
        )
        self.env.reset()

    def collect(self, levels: Levels) -> Tally:
        """Fill this group's part of the shared samples."""
        env, out, tally = self.env, self._out, Tally()
        env.levels = levels
        sigma = np.exp(self._networks.log_sigma)
        for t in range(self.config.steps):
            seen = env.state.observation
            mean = self._networks.act(seen)
            action = mean + sigma * env.rng.standard_normal(mean.shape, np.float32)
            out["observation"][t], out["action_mean"][t], out["action"][t] = seen, mean, action
            batch = env.step(action.astype(np.float64))
            reward = batch.reward.astype(np.float32)
            if len(batch.final):
                reward[batch.timeout] += self.config.ppo.gamma * self._networks.value(batch.final)
            out["reward"][t], out["over"][t] = reward, batch.fell | batch.timeout
            _count(tally, batch.reward, batch.fell, batch.was_stepping)
            if t % 5 == 0:
                for name, term in batch.terms.items():
                    tally.terms[name] = tally.terms.get(name, 0.0) + 5 * float(term.sum())
        out["last"][:] = env.state.observation
        return tally

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and the generator's state."""
        arrays = {k: v.copy() for k, v in self.env.state.arrays().items()}
        return arrays | {"physics": self.env.physics.state.copy()}, dict(self.env.rng.bit_generator.state)

    def restore(self, arrays: Mapping[str, NDArray[Any]], generator: Mapping[str, Any]) -> None:
        """The inverse of :meth:`save`."""
        self.env.state.restore(arrays)
        self.env.physics.state[...] = arrays["physics"]
        self.env.rng.bit_generator.state = dict(generator)


def _count(tally: Tally, reward: NDArray[np.float64], fell: NDArray[np.bool_], walking: NDArray[np.bool_]) -> None:
    for i, mode in enumerate((~walking, walking)):
        tally.falls[i] += int((fell & mode).sum())
        tally.steps[i] += int(mode.sum())
        tally.reward[i] += float(reward[mode].sum())
