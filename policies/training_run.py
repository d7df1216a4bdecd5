"""One training run from a dataset folder to a checkpoint folder: what ``telerig train`` does, without its display."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from telerig.datasets.dataset import Dataset, EpisodeFile
from telerig.hardware.errors import ConfigError, DataError
from telerig.hardware.protocols import Clock
from telerig.policies.checkpoint import load, load_training, save
from telerig.policies.data import load as load_data
from telerig.policies.data import statistics
from telerig.policies.registry import policy
from telerig.policies.spec import CameraInput, PolicySpec
from telerig.policies.train import Progress, TrainConfig, Trainer
from telerig.teleop.bench.origin import origin

SAVE_EVERY_NS = 60_000_000_000
LATENCY_RUNS = 20


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Where from, where to, and what a policy's chunk looks like.

    :param horizon, stride, execute: see :class:`~telerig.policies.spec.PolicySpec`.
    """

    dataset: Path
    out: Path
    resume: bool = False
    horizon: int = 16
    stride: int = 1
    execute: int = 8
    image_size: tuple[int, int] = (96, 96)
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a run tells what it does and learns that it should stop."""

    reading: Callable[[int, int], None] = lambda done, total: None
    training: Callable[[Progress], None] = lambda progress: None
    stop: Callable[[], bool] = lambda: False


def spec_of(meta: Mapping[str, Any], episode: EpisodeFile, run: RunConfig) -> PolicySpec:
    """What a policy for this dataset takes and gives.  :raises DataError: the dataset does not say."""
    try:
        robot, target, joints = meta["embodiment"], str(meta["target"]), tuple(meta["joints"])
        cameras = tuple(CameraInput(name, c["stream"]) for name, c in sorted(meta["cameras"].items()))
        return PolicySpec(
            robot["name"], int(robot["version"]), target, joints, _state_stream(episode, target, joints), "position",
            cameras, run.image_size, float(meta["rate_hz"]), run.horizon, run.stride, run.execute, _age(episode, cameras),
        )  # fmt: skip
    except KeyError as error:
        raise DataError(f"{run.dataset}: the dataset's description lacks {error}")


def _state_stream(episode: EpisodeFile, target: str, joints: tuple[str, ...]) -> str:
    """The stream that measures the target's joints, its own device's first."""
    preferred = f"{target.rsplit('/', 1)[0]}/state"
    streams = episode.meta["streams"]
    for name in sorted(streams, key=lambda n: (n != preferred, n)):
        for item in streams[name]["fields"]:
            if item["name"] == "position" and set(joints) <= set(item.get("axes", ())):
                return str(name)
    raise DataError(f"{episode.path}: no stream measures the position of {', '.join(joints)}")


def _age(episode: EpisodeFile, cameras: tuple[CameraInput, ...]) -> int:
    """Median age of the images in the dataset's rows, ns."""
    ages = [episode.age_ns(c.stream)[episode.valid(c.stream)] for c in cameras]
    known = np.concatenate(ages) if ages else np.zeros(0, np.int64)
    return int(np.median(known)) if len(known) else 0


def train_checkpoint(run: RunConfig, config: TrainConfig, clock: Clock, hooks: Hooks) -> dict[str, Any]:
    """Train and write the checkpoint; it is also written every minute on the way.

    :returns: a summary: steps, seconds, losses, episodes, whether the run was stopped early.
    :raises ConfigError: the output exists, or does not although it is to be resumed.
    :raises DataError: dataset or checkpoint do not hold what they should.
    """
    started = clock.now()
    _check_output(run)
    policy(config.policy)  # known, or said at once and not after the reading
    torch.set_num_threads(run.threads)
    dataset = Dataset.open(run.dataset)
    if not dataset.episodes:
        raise DataError(f"{run.dataset}: the dataset has no episodes")
    spec = spec_of(dataset.meta, dataset.episodes[0], run)
    if run.resume:
        _check_resumable(run, dataset.content_hash, config)
    low, high = _limits(dataset.meta, spec)
    data = load_data(dataset.episodes, spec, config.seed, config.validation, hooks.reading, run.threads)
    trainer = Trainer(data, statistics(data, config.options, low, high), config, clock, started)
    if run.resume:
        trainer.restore(load_training(run.out))
    provenance = {"dataset_hash": dataset.content_hash, "dataset": run.dataset.name, **software()}
    saved = clock.now()

    def report(progress: Progress) -> None:
        nonlocal saved
        hooks.training(progress)
        if clock.now() - saved > SAVE_EVERY_NS:
            save(run.out, trainer.checkpoint(provenance), trainer.state())
            saved = clock.now()

    trainer.run(report, hooks.stop)
    checkpoint = trainer.checkpoint(provenance)
    finished = replace(checkpoint, spec=replace(spec, latency_ns=_latency(trainer, clock)))
    save(run.out, finished, trainer.state())
    p = trainer.progress()
    return {
        "checkpoint": str(run.out), "policy": config.policy, "steps": p.step, "seconds": round(p.seconds, 2),
        "loss": p.loss, "validation_loss": p.validation, "episodes": len(data.episodes), "rows": len(data.train),
        "latency_ms": finished.spec.latency_ns / 1e6, "complete": p.done >= 1.0,
    }  # fmt: skip


def software() -> dict[str, Any]:
    """Commit and package versions, for the provenance."""
    packages: dict[str, str | None] = {}
    for name in ("telerig", "torch", "numpy", "safetensors", "simplejpeg"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {"commit": origin()["commit"], "packages": packages}


def _limits(meta: Mapping[str, Any], spec: PolicySpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Joint limits in the spec's order, rad."""
    low, high = meta.get("low"), meta.get("high")
    if low is None or high is None:
        raise DataError(f"the dataset gives no limits of the joints of {spec.target}")
    shape = (spec.size,)
    return np.broadcast_to(np.array(low, float), shape).copy(), np.broadcast_to(np.array(high, float), shape).copy()


def _check_output(run: RunConfig) -> None:
    if run.resume and not run.out.is_dir():
        raise ConfigError(f"nothing to resume: {run.out} does not exist")
    if not run.resume and run.out.exists():
        raise ConfigError(f"{run.out} exists: give --resume to go on training it, or another --out")


def _check_resumable(run: RunConfig, content_hash: str, config: TrainConfig) -> None:
    before = load(run.out)
    if before.provenance.get("dataset_hash") != content_hash:
        raise DataError(f"cannot resume {run.out}: it was trained on another dataset than {run.dataset}")
    if before.name != config.policy:
        raise DataError(f"cannot resume {run.out}: its policy is '{before.name}', not '{config.policy}'")
    now = (run.horizon, run.stride, run.image_size)
    if (before.spec.horizon, before.spec.stride, before.spec.image_size) != now:
        raise DataError(f"cannot resume {run.out}: its horizon, stride or image size differ from {now}")


def _latency(trainer: Trainer, clock: Clock) -> int:
    """Typical time of one inference on one thread, rounded up to whole 5 ms: what virtual time takes it to last."""
    batch = trainer.data.batch(trainer.data.train[:1], ())
    noise = torch.zeros((1, *trainer.average.noise_shape))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    took = []
    for _ in range(LATENCY_RUNS):
        before = clock.now()
        trainer.average.predict(batch.images, batch.state, noise)
        took.append(clock.now() - before)
    torch.set_num_threads(threads)
    return int(np.ceil(np.median(took) / 5e6) * 5e6)
