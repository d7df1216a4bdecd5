"""Every number of a training run in one place; all are written into the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from telerig.hardware.errors import DataError

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class BodyConfig:
    """What varies from robot to robot, and what a robot is asked.  SI units, rad."""

    embodiment: str = "g1_like"
    timestep: float = 1 / 150
    substeps: int = 3
    action_scale: float = 0.3
    action_clip: float = 6.0
    period: float = 0.8
    height_stand: Range = (0.34, 0.78)
    height_walk: Range = (0.50, 0.76)
    height_walk_usual: Range = (0.70, 0.76)
    vx: Range = (-0.45, 0.95)
    vy: Range = (-0.4, 0.4)
    yaw: Range = (-0.9, 0.9)
    walk_share: float = 0.65
    command_s: float = 5.0
    episode_s: float = 20.0
    slew: tuple[float, float, float, float] = (1.0, 1.0, 2.0, 0.3)  # vx, vy, yaw, height per second
    friction: Range = (0.35, 1.2)
    torso_mass: Range = (-1.0, 3.0)
    torso_offset: float = 0.03
    gain: Range = (0.9, 1.1)
    arm_gain: Range = (0.4, 1.1)
    hand_mass: Range = (0.0, 1.2)
    waist_tilt: float = 0.03
    delay_s: float = 0.02
    push_share: float = 1 / 200


@dataclass(frozen=True, slots=True)
class PpoConfig:
    """The learner.  ``mirror_samples`` adds the mirrored copy of every sample, ``mirror_loss`` weighs the squared difference
    between the action in a mirrored state and the mirrored action; the entropy's weight fades to nothing between two numbers
    of environment steps: noise finds a gait, and keeps it from being precise."""

    actor: tuple[int, ...] = (256, 128)
    critic: tuple[int, ...] = (256, 128)
    gamma: float = 0.987
    lam: float = 0.95
    clip: float = 0.2
    epochs: int = 4
    minibatches: int = 6
    entropy: float = 0.003
    entropy_fades: Range = (32e6, 40e6)
    value_weight: float = 0.5
    rate: float = 1e-3
    rate_range: Range = (5e-5, 1.5e-3)
    kl_target: float = 0.012
    grad_norm: float = 1.0
    sigma: float = 0.5
    sigma_floor: float = 0.12
    mirror_samples: bool = True
    mirror_loss: float = 0.1


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A run.  ``shards`` groups of ``robots`` each, every group with its own generator: the number of worker processes does
    not change what is computed."""

    seed: int = 0
    shards: int = 16
    robots: int = 128
    steps: int = 20
    body: BodyConfig = field(default_factory=BodyConfig)
    ppo: PpoConfig = field(default_factory=PpoConfig)

    @property
    def samples(self) -> int:
        """Environment steps per update."""
        return self.shards * self.robots * self.steps

    def to_json(self) -> dict[str, Any]:
        """A plain description."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> TrainConfig:
        """The inverse of :meth:`to_json`.  :raises DataError: an unknown key."""
        plain = dict(data)
        body, ppo = _build(BodyConfig, plain.pop("body", {})), _build(PpoConfig, plain.pop("ppo", {}))
        found: TrainConfig = _build(TrainConfig, {**plain, "body": body, "ppo": ppo})
        return found


def _build(kind: Any, data: Mapping[str, Any]) -> Any:
    if unknown := sorted(set(data) - {f.name for f in fields(kind)}):
        raise DataError(f"training configuration: unknown {', '.join(unknown)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})
