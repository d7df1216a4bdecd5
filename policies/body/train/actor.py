"""The policy's and the critic's networks in numpy, for worker processes: they never load torch.

All parameters lie in one flat float32 vector, which the learner writes and the workers read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.config import PpoConfig
from telerig.policies.body.train.joints import N_LEGS
from telerig.policies.body.train.observe import N_ACTOR, N_CRITIC

F32 = NDArray[np.float32]

CLIP = 8.0
VALUE_SCALE = 10.0  # what the critic's output is multiplied with: returns are tens


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a parameter lies in the flat vector."""

    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def end(self) -> int:
        """One past its last element."""
        return self.start + int(np.prod(self.shape))


def layout(config: PpoConfig) -> list[Slot]:
    """Every parameter: ``actor.I.weight`` (out, in), ``actor.I.bias``, the same of the critic, ``log_sigma`` (12,)."""
    slots: list[Slot] = []

    def add(name: str, *shape: int) -> None:
        slots.append(Slot(name, shape, slots[-1].end if slots else 0))

    for name, sizes in (
        ("actor", (N_ACTOR, *config.actor, N_LEGS)),
        ("critic", (N_CRITIC, *config.critic, 1)),
    ):
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            add(f"{name}.{i}.weight", n_out, n_in)
            add(f"{name}.{i}.bias", n_out)
    add("log_sigma", N_LEGS)
    return slots


def size(config: PpoConfig) -> int:
    """Number of parameters."""
    return layout(config)[-1].end


class Networks:
    """Reads the parameters from ``flat`` at every call; ``mean`` and ``deviation`` (N_CRITIC,) normalise observations."""

    def __init__(self, config: PpoConfig, flat: F32, mean: F32, deviation: F32) -> None:
        views = {s.name: flat[s.start : s.end].reshape(s.shape) for s in layout(config)}
        self._actor = _layers(views, "actor")
        self._critic = _layers(views, "critic")
        self.log_sigma = views["log_sigma"]
        self._mean, self._deviation = mean, deviation

    def act(self, observation: F32) -> F32:
        """Mean action ``(n, 12)``."""
        return _forward(self._actor, self._normal(observation)[:, :N_ACTOR])

    def value(self, observation: F32) -> F32:
        """``(n,)``."""
        out: F32 = VALUE_SCALE * _forward(self._critic, self._normal(observation))[:, 0]
        return out

    def _normal(self, observation: F32) -> F32:
        out: F32 = np.clip((observation - self._mean) / self._deviation, -CLIP, CLIP)
        return out


def _layers(views: dict[str, F32], name: str) -> list[tuple[F32, F32]]:
    n = sum(1 for k in views if k.startswith(f"{name}.") and k.endswith("weight"))
    return [(views[f"{name}.{i}.weight"].T, views[f"{name}.{i}.bias"]) for i in range(n)]


def _forward(layers: list[tuple[F32, F32]], x: F32) -> F32:
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight
        x += bias
        if i < len(layers) - 1:  # ELU
            np.maximum(x, np.expm1(np.minimum(x, 0.0)), out=x)
    return x
