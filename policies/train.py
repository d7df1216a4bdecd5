"""Training: deterministic, bounded by steps or by minutes, resumable bit for bit.

All randomness of a step (which rows, which noise, which augmentation) follows from (seed, step) alone, so nothing but
weights and the optimiser's moments need be kept to go on exactly where a run stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from telerig.hardware.errors import ConfigError, DataError
from telerig.hardware.protocols import Clock
from telerig.policies.checkpoint import Checkpoint, TrainingState
from telerig.policies.data import TrainingData
from telerig.policies.options import Options
from telerig.policies.registry import policy
from telerig.policies.stats import Stats

VALIDATION_ROWS = 256
VALIDATE_EVERY = 200
LEAST_STEPS = 5  # of a run that is bounded by time: a checkpoint of untrained weights helps nobody
_STREAM = 1_000_003  # steps of one seed before two seeds' generators could coincide


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train.  ``max_steps`` or ``minutes`` (the whole run's wall time) must be set; the earlier one ends it.

    :param ema: decay of the moving average of the weights, approached over the first steps.
    """

    policy: str = "flow"
    seed: int = 0
    max_steps: int | None = None
    minutes: float | None = None
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    warmup: int = 50
    ema: float = 0.99
    validation: float = 0.05
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        if self.max_steps is None and self.minutes is None:
            raise ConfigError("training needs an end: give --minutes or --max-steps")

    def to_json(self) -> dict[str, Any]:
        """A plain description."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands: ``done`` is the share of the run that is over, ``loss`` a running mean."""

    step: int
    done: float
    seconds: float
    loss: float
    parts: dict[str, float]
    validation: float | None


class Trainer:
    """Owns the policy in training, its moving average and its optimiser.

    :param started_ns: when the run began on ``clock``; time spent before (reading the data) counts against the minutes.
    """

    def __init__(self, data: TrainingData, stats: Stats, config: TrainConfig, clock: Clock, started_ns: int) -> None:
        self.data, self.config, self.clock = data, config, clock
        self._started, self._before = started_ns, 0.0
        self.step, self.loss = 0, math.nan
        self.parts: dict[str, float] = {}
        self.validation: float | None = None
        generator_state = torch.get_rng_state()
        torch.manual_seed(config.seed)  # initial weights come from torch's global generator
        self.policy = policy(config.policy)(data.spec, config.options, stats)
        self.average = policy(config.policy)(data.spec, config.options, stats).requires_grad_(False).eval()
        torch.set_rng_state(generator_state)
        self.average.load_state_dict(self.policy.state_dict())
        decay = [p for p in self.policy.parameters() if p.ndim > 1]
        rest = [p for p in self.policy.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)

    @property
    def seconds(self) -> float:
        """Wall time spent, over all resumptions."""
        return self._before + (self.clock.now() - self._started) / 1e9

    @property
    def done(self) -> float:
        """Share of the run that is over, 0 … 1."""
        shares = [0.0]
        if self.config.max_steps is not None:
            shares.append(self.step / max(1, self.config.max_steps))
        if self.config.minutes is not None:
            shares.append(self.seconds / max(1e-9, 60 * self.config.minutes))
        return min(1.0, max(shares))

    def run(
        self, report: Callable[[Progress], None] = lambda p: None, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Train to the end, or until ``stop`` says so between two steps.

        Where reading the data took all the minutes there were, :data:`LEAST_STEPS` are made all the same.
        """
        least = min(LEAST_STEPS, self.config.max_steps or LEAST_STEPS)
        while (self.done < 1.0 or self.step < least) and not stop():
            self._train_step()
            if self.step % VALIDATE_EVERY == 0:
                self.validation = self.validate()
            report(self.progress())
        self.validation = self.validate()

    def progress(self) -> Progress:
        """Where training stands."""
        return Progress(self.step, self.done, self.seconds, self.loss, self.parts, self.validation)

    def _train_step(self) -> None:
        config, generator = self.config, self._generator(self.step)
        rows = self.data.train[torch.randint(len(self.data.train), (config.batch,), generator=generator)]
        rate = config.learning_rate * min(1.0, (self.step + 1) / config.warmup) * _cosine(self.done)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, self.parts = self.policy.loss(self.data.batch(rows, config.options.future_s), generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DataError(f"training diverged: the loss is {value} at step {self.step}")
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value
        decay = min(config.ema, self.step / (self.step + 10))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.policy.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)

    def _generator(self, step: int) -> torch.Generator:
        """This step's own generator."""
        return torch.Generator().manual_seed(self.config.seed * _STREAM + step)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Loss of the averaged policy on held-out episodes with fixed noise; None without any."""
        rows = self.data.validation
        if not len(rows):
            return None
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), VALIDATION_ROWS)).long()]
        batch = self.data.batch(rows, self.config.options.future_s)
        loss, _ = self.average.loss(batch, self._generator(-1 - self.config.seed * _STREAM), augment=False)
        return float(loss)

    def checkpoint(self, provenance: dict[str, Any]) -> Checkpoint:
        """The averaged policy as a checkpoint."""
        weights = {k: v.clone() for k, v in self.average.state_dict().items()}
        own = {
            "seed": self.config.seed, "steps": self.step, "seconds": round(self.seconds, 3), "loss": self.loss,
            "validation_loss": self.validation, "train_config": self.config.to_json(),
            "episodes": list(self.data.episodes), "held_out": list(self.data.held_out), "rows": len(self.data.train),
        }  # fmt: skip
        return Checkpoint(
            self.config.policy, self.data.spec, self.config.options, self.average.stats, weights, {**provenance, **own}
        )

    def state(self) -> TrainingState:
        """What :meth:`restore` needs."""
        tensors: dict[str, Tensor] = {f"policy.{k}": v for k, v in self.policy.state_dict().items()}
        tensors |= {f"average.{k}": v.clone() for k, v in self.average.state_dict().items()}
        for i, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{k}": v for k, v in moments.items()}
        plain = {
            "step": self.step, "seconds": self.seconds, "loss": None if math.isnan(self.loss) else self.loss,
            "config": _resumable(self.config),
        }  # fmt: skip
        return TrainingState(tensors, plain)

    def restore(self, state: TrainingState) -> None:
        """Go on where another run stopped.  :raises DataError: that run had other settings."""
        theirs, ours = dict(state.plain["config"]), _resumable(self.config)
        if different := [k for k in ours if ours[k] != theirs.get(k)]:
            key = different[0]
            raise DataError(f"cannot resume: {key} was {theirs.get(key)}, now {ours[key]}")

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in state.tensors.items() if k.startswith(prefix)}

        self.policy.load_state_dict(part("policy."))
        self.average.load_state_dict(part("average."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in part("optimiser.").items():
            index, _, name = key.partition(".")
            moments.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({"state": moments, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.step, self._before = int(state.plain["step"]), float(state.plain["seconds"])
        self.loss = math.nan if state.plain["loss"] is None else float(state.plain["loss"])


def _cosine(done: float) -> float:
    """Learning-rate factor: from 1 to 0.01 along half a cosine."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def _resumable(config: TrainConfig) -> dict[str, Any]:
    """The settings that two halves of one run must share; its length may be changed."""
    plain = config.to_json()
    options = plain.pop("options")
    for key in ("max_steps", "minutes"):
        plain.pop(key)
    return plain | {f"options.{k}": list(v) if isinstance(v, tuple) else v for k, v in options.items()}
