"""Hyper-parameters of the chunk policies, with the values that learn best in minutes on two cores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from telerig.hardware.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Options:
    """Architecture and learning of a chunk policy.  All are kept in the checkpoint.

    :param channels: feature maps of the three convolutions of a camera's encoder; the last is the number of keypoints.
    :param width, blocks: of the residual network that denoises a chunk.
    :param relative: chunks are joint targets minus the measured joints at the observation; else absolute targets.  Relative
        ones integrate whatever the joints lag behind their targets (gravity's sag): the hand drifts.
    :param draws: noise draws for every encoded image, so that convolutions are paid once.
    :param sample_steps: Euler steps of sampling.
    :param state_noise: noise on the measured joints in training, in half-widths of their normalisation; labels do not
        follow it, so the policy learns to return to where the operator was.
    :param state_dropout: probability that a training sample does not see its joints at all.
    :param shift: pixels by which training images are moved at random (Kostrikov et al. 2021, arXiv:2004.13649).
    :param future_s: the encoder also predicts where the joints will be so many seconds later; ``future_weight``
        scales that loss.  It makes the encoder find what the operator is heading for.
    """

    channels: tuple[int, int, int] = (8, 16, 32)
    width: int = 256
    blocks: int = 3
    relative: bool = False
    draws: int = 4
    sample_steps: int = 8
    state_noise: float = 0.05
    state_dropout: float = 0.0
    shift: int = 1
    future_s: tuple[float, ...] = (1.0, 2.0, 4.0)
    future_weight: float = 0.5

    def to_json(self) -> dict[str, Any]:
        """A plain description."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Options:
        """The inverse of :meth:`to_json`.  :raises DataError: an unknown key."""
        if unknown := sorted(set(data) - {f.name for f in fields(Options)}):
            raise DataError(f"policy options: unknown {', '.join(unknown)}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return Options(**values)


def parse_options(pairs: Sequence[str]) -> Options:
    """Options from ``name=value`` pairs; values are JSON.  :raises ConfigError: one of them makes no sense."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        known = {f.name: f for f in fields(Options)}
        if not equals or name not in known:
            raise ConfigError(f"policy option '{pair}': expected NAME=VALUE with NAME one of {', '.join(known)}")
        try:
            value = json.loads(text)
        except ValueError:
            raise ConfigError(f"policy option '{name}': '{text}' is not a number, true, false or [list]")
        default = getattr(Options(), name)
        value = tuple(value) if isinstance(value, list) else float(value) if isinstance(default, float) else value
        if type(value) is not type(default):
            raise ConfigError(f"policy option '{name}': '{text}' is not like {default!r}")
        values[name] = value
    return Options(**values)
