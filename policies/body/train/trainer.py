"""The training loop: collect, learn, judge, save.  What ``telerig train-body`` does, without its display."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from telerig.hardware.errors import ConfigError, DataError
from telerig.hardware.protocols import Clock
from telerig.policies.body.train import storage
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.curriculum import Curriculum
from telerig.policies.body.train.pictures import draw
from telerig.policies.body.train.ppo import Learner, Samples
from telerig.policies.body.train.shard import Tally
from telerig.policies.body.train.workers import Workers
from telerig.policies.training_run import software
from telerig.teleop.view.sdk import load_rerun

SAVE_EVERY_S = 120.0
PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Where to and how long.  ``minutes`` and ``updates`` bound the whole run, resumed parts included.

    :param evaluate_every: updates between two evaluations, 0: never.
    :param pictures: each evaluation leaves ``pictures/STEPS/CASE.rrd`` too, how the first robot of each case went.
    """

    out: Path
    resume: bool = False
    minutes: float | None = None
    updates: int | None = None
    processes: int = 0
    evaluate_every: int = 50
    pictures: bool = False

    def __post_init__(self) -> None:
        if self.minutes is None and self.updates is None:
            raise ConfigError("training needs an end: give --minutes or --updates")
        if self.pictures and not self.evaluate_every:
            raise ConfigError("--pictures are of evaluations, and --evaluate-every 0 makes none")


@dataclass(frozen=True, slots=True)
class Progress:
    """After an update; ``figures`` is its line in the curves."""

    update: int
    steps: int
    done: float
    seconds: float
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a run tells what it does and learns that it should stop."""

    progress: Callable[[Progress], None] = lambda progress: None
    evaluation: Callable[[int, dict[str, Any]], None] = lambda update, cases: None
    stop: Callable[[], bool] = lambda: False
    warn: Callable[[str], None] = lambda text: None


@dataclass(slots=True)
class Spent:
    """Seconds of wall time, by what they went into."""

    collect: float = 0.0
    learn: float = 0.0
    evaluate: float = 0.0
    save: float = 0.0

    def to_json(self) -> dict[str, float]:
        """Rounded."""
        return {k: round(getattr(self, k), 2) for k in ("collect", "learn", "evaluate", "save")}


@dataclass(slots=True)
class Trainer:
    """A run in progress."""

    run: RunConfig
    config: TrainConfig
    clock: Clock
    hooks: Hooks
    workers: Workers
    learner: Learner
    curriculum: Curriculum = field(default_factory=Curriculum)
    update: int = 0
    before_s: float = 0.0
    started_ns: int = 0
    spent: Spent = field(default_factory=Spent)
    evaluation: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Wall time, over all resumptions."""
        return self.before_s + (self.clock.now() - self.started_ns) / 1e9

    @property
    def steps(self) -> int:
        """Environment steps learnt from."""
        return self.update * self.config.samples

    @property
    def done(self) -> float:
        """Share of the run that is over."""
        run, shares = self.run, [0.0]
        if run.minutes is not None:
            shares.append(self.seconds / max(1e-9, 60 * run.minutes))
        if run.updates is not None:
            shares.append(self.update / max(1, run.updates))
        return min(1.0, max(shares))

    def train(self) -> None:
        """To the end, or until the hook says stop; leaves a checkpoint."""
        saved = self.clock.now()
        self._publish()
        if self.update == 0 and self.learner.normaliser.count == 0:
            self._measure_observations()
        while self.done < 1.0 and not self.hooks.stop():
            self._one_update()
            if self.run.evaluate_every and self.update % self.run.evaluate_every == 0:
                self._evaluate()
            if (self.clock.now() - saved) / 1e9 > SAVE_EVERY_S:
                self.save()
                saved = self.clock.now()
        self.save()

    def _measure_observations(self) -> None:
        """A first batch sets the normalisation and teaches nothing."""
        self.workers.collect(self.curriculum.levels)
        self._count_observations()
        self._publish()

    def _one_update(self) -> None:
        start = self.clock.now()
        tally = self.workers.collect(self.curriculum.levels)
        middle = self.clock.now()
        losses = self.learner.update(self._samples(), self.update)
        # not between collection and update: the policy that acted must be the one that is compared
        self._count_observations()
        self.curriculum.update((tally.falls[0], tally.falls[1]), (tally.steps[0], tally.steps[1]))
        self.update += 1
        self._publish()
        end = self.clock.now()
        self.spent.collect += (middle - start) / 1e9
        self.spent.learn += (end - middle) / 1e9
        figures = self._figures(tally, losses, (end - start) / 1e9)
        storage.append(self.run.out / "curves.jsonl", figures)
        self.hooks.progress(Progress(self.update, self.steps, self.done, self.seconds, figures))

    def _figures(self, tally: Tally, losses: dict[str, float], seconds: float) -> dict[str, Any]:
        per_step = [r / max(1, n) for r, n in zip(tally.reward, tally.steps, strict=True)]
        total = max(1, sum(tally.steps))
        return {
            "update": self.update, "steps": self.steps, "seconds": round(self.seconds, 2),
            "steps_per_s": round(self.config.samples / max(1e-9, seconds), 1),
            "reward_stand": round(per_step[0], 4), "reward_walk": round(per_step[1], 4),
            **{k: round(v, 4) for k, v in self.curriculum.to_json().items()},
            **{k: float(f"{v:.5g}") for k, v in losses.items()},
            "terms": {k: round(v / total, 4) for k, v in tally.terms.items()},
        }  # fmt: skip

    def _samples(self) -> Samples:
        """The shared samples as (steps, all robots, …), the groups side by side."""

        def rows(name: str) -> Any:
            array = np.moveaxis(self.workers.shared.array(name), 0, 1)  # (steps, shards, robots, …)
            return np.ascontiguousarray(array).reshape(array.shape[0], -1, *array.shape[3:])

        last = self.workers.shared.array("last")
        return Samples(
            rows("observation"), rows("action"), rows("action_mean"), rows("reward"), rows("over") > 0.5,
            last.reshape(-1, last.shape[-1]).copy(),
        )  # fmt: skip

    def _count_observations(self) -> None:
        seen = self.workers.shared.array("observation")
        self.learner.normaliser.update(seen.reshape(-1, seen.shape[-1]))

    def _publish(self) -> None:
        """Parameters and normalisation to the workers."""
        shared, learner = self.workers.shared, self.learner
        shared.array("parameters")[:] = learner.flat.detach().numpy()
        shared.array("mean")[:] = learner.normaliser.mean
        shared.array("deviation")[:] = learner.normaliser.deviation

    def _evaluate(self) -> None:
        start = self.clock.now()
        rows = self.workers.evaluate(self.config.seed, keep=self.run.pictures)
        tracks = {name: row.pop("track") for name, row in rows.items() if "track" in row}
        self.evaluation = rows
        self.spent.evaluate += (self.clock.now() - start) / 1e9
        line = {"update": self.update, "steps": self.steps, "seconds": round(self.seconds, 2), "cases": self.evaluation}
        storage.append(self.run.out / "evaluations.jsonl", line)
        storage.milestone(self.run.out, self.steps, self._model())
        folder = self.run.out / PICTURES / f"{self.steps:012d}"
        if tracks and not draw(tracks, self.config.body.embodiment, folder):
            self.hooks.warn(f"{folder}: not all pictures of this evaluation could be written; training goes on")
        self.hooks.evaluation(self.update, self.evaluation)

    def _model(self) -> storage.Tensors:
        model = {k: v.detach().clone() for k, v in self.learner.parameters.items()}
        return model | {
            f"observation.{k}": torch.from_numpy(np.array(v)) for k, v in self.learner.normaliser.arrays().items()
        }

    def save(self) -> None:
        """Write the checkpoint."""
        start = self.clock.now()
        arrays, generators = self.workers.save()
        training = {f"learner.{k}": v for k, v in self.learner.tensors().items()}
        training |= {f"robots.{k}": torch.from_numpy(np.array(v)) for k, v in arrays.items()}
        plain = {
            "update": self.update, "seconds": self.seconds, "rate": self.learner.rate,
            "curriculum": self.curriculum.to_json(), "generators": generators, "spent": self.spent.to_json(),
        }  # fmt: skip
        origin = {
            **software(), "seed": self.config.seed, "updates": self.update, "steps": self.steps,
            "seconds": round(self.seconds, 1), "processes": len(self.workers.shards), "threads": torch.get_num_threads(),
            "evaluation": self.evaluation,
        }  # fmt: skip
        storage.save(self.run.out, self.config, self._model(), training, plain, origin)
        self.spent.save += (self.clock.now() - start) / 1e9

    def restore(self, model: storage.Tensors, training: storage.Tensors, plain: dict[str, Any]) -> None:
        """Go on where a saved run stopped."""

        def part(prefix: str, of: storage.Tensors) -> storage.Tensors:
            return {k.removeprefix(prefix): v for k, v in of.items() if k.startswith(prefix)}

        self.learner.restore(part("learner.", training), plain["rate"])
        self.learner.normaliser.restore({k: v.numpy() for k, v in part("observation.", model).items()})
        self.curriculum = Curriculum.from_json(plain["curriculum"])
        self.update, self.before_s = int(plain["update"]), float(plain["seconds"])
        arrays = {k: v.numpy() for k, v in part("robots.", training).items()}
        self.workers.restore(arrays, plain["generators"])
        for name in ("curves.jsonl", "evaluations.jsonl"):
            storage.keep_until(self.run.out / name, self.update)


def train_body(run: RunConfig, config: TrainConfig, clock: Clock, hooks: Hooks) -> dict[str, Any]:
    """Train the body policy into a folder.

    :returns: a summary: updates, steps, seconds, steps_per_s, the last evaluation.
    :raises ConfigError: the output exists, or does not although it is to be resumed.
    :raises DataError: the checkpoint has other settings, or training diverged.
    :raises MissingExtra: pictures are wanted, and rerun is not installed.
    """
    started = clock.now()
    if run.pictures:
        load_rerun()
    storage.check_output(run.out, run.resume)
    saved = storage.load(run.out) if run.resume else None
    if saved is not None and saved[0] != config:
        raise DataError(f"cannot resume {run.out}: {_difference(saved[0], config)}")
    processes = run.processes or len(os.sched_getaffinity(0))
    torch.set_num_threads(processes)
    with Workers(config, processes) as workers:
        trainer = Trainer(run, config, clock, hooks, workers, Learner(config.ppo, config.seed), started_ns=started)
        if saved is not None:
            trainer.restore(*saved[1:])
        first = trainer.update
        trainer.train()
        return _summary(trainer, first)


def _summary(trainer: Trainer, first: int) -> dict[str, Any]:
    spent, made = trainer.spent, (trainer.update - first) * trainer.config.samples
    return {
        "out": str(trainer.run.out), "updates": trainer.update, "steps": trainer.steps,
        "seconds": round(trainer.seconds, 2), "steps_per_s": round(made / max(1e-9, spent.collect + spent.learn), 1),
        "spent_s": spent.to_json(), "complete": trainer.done >= 1.0, "levels": trainer.curriculum.to_json(),
        "evaluation": trainer.evaluation,
    }  # fmt: skip


def _difference(saved: TrainConfig, now: TrainConfig) -> str:
    ours, theirs = now.to_json(), saved.to_json()
    pairs = [(k, theirs[k], ours[k]) for k in ours if not isinstance(ours[k], dict)]
    for group in ("body", "ppo"):
        pairs += [(f"{group}.{k}", theirs[group][k], v) for k, v in ours[group].items()]
    key, before, after = next(p for p in pairs if p[1] != p[2])
    return f"{key} was {before}, now {after}"
