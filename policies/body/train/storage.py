"""A training run on disk: a folder with the newest checkpoint, curves and evaluations; JSON and safetensors only.

``checkpoint/`` is replaced as a whole: ``config.json``, ``model.safetensors`` (parameters, normalisation),
``provenance.json`` and ``training/`` (moments, robots, generators).  ``curves.jsonl``, ``evaluations.jsonl``: one line per
update, per evaluation.  ``milestones/``: the model at every evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.format import FORMAT, VERSION, check_format
from telerig.policies.body.train.joints import JOINTS, UPPER_HOME
from telerig.policies.body.train.observe import ACTOR, CRITIC
from telerig.policies.folder import replace_folder

Tensors = dict[str, torch.Tensor]


def check_output(out: Path, resume: bool) -> None:
    """:raises ConfigError: there is a run although a new one is wanted, or none although one is to be resumed."""
    there = (out / "checkpoint").is_dir()
    if resume and not there:
        raise ConfigError(f"nothing to resume: {out} holds no checkpoint")
    if not resume and out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} exists: give --resume to go on training it, or another --out")


def description(config: TrainConfig) -> dict[str, Any]:
    """What a reader of the weights needs: joints, observation terms in order, every setting."""
    terms = [{"name": t.name, "size": t.size, "scale": t.scale} for t in ACTOR]
    return {
        "format": FORMAT, "version": VERSION, "joints": list(JOINTS), "upper_home": UPPER_HOME.tolist(),
        "observation": terms, "critic_observation": [{"name": t.name, "size": t.size} for t in CRITIC],
        "config": config.to_json(),
    }  # fmt: skip


def save(
    out: Path,
    config: TrainConfig,
    model: Tensors,
    training: Tensors,
    plain: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> None:
    """Replace the checkpoint in one step."""

    def fill(folder: Path) -> None:
        _write(folder / "config.json", description(config))
        _write(folder / "provenance.json", origin)
        save_file(model, folder / "model.safetensors")
        (folder / "training").mkdir()
        _write(folder / "training" / "state.json", plain)
        save_file({k: v.contiguous() for k, v in training.items()}, folder / "training" / "state.safetensors")

    replace_folder(out / "checkpoint", fill)


def load(out: Path) -> tuple[TrainConfig, Tensors, Tensors, dict[str, Any]]:
    """Configuration, model, training tensors and plain state.  :raises DataError: something is missing or broken."""
    folder = out / "checkpoint"
    try:
        head = json.loads((folder / "config.json").read_text())
        plain = json.loads((folder / "training" / "state.json").read_text())
        model = load_file(folder / "model.safetensors")
        training = load_file(folder / "training" / "state.safetensors")
    except Exception as error:  # safetensors' own error class is not exported everywhere
        raise DataError(f"{folder}: not a readable checkpoint: {error}")
    check_format(head, folder)
    return TrainConfig.from_json(head["config"]), model, training, plain


def milestone(out: Path, steps: int, model: Tensors) -> None:
    """Keep a copy of the model."""
    folder = out / "milestones"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model, folder / f"{steps:012d}.safetensors")


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def keep_until(path: Path, update: int) -> None:
    """Drop lines after ``update``: they were written after the checkpoint that is resumed."""
    if path.exists():
        lines = [x for x in path.read_text(encoding="utf-8").splitlines() if json.loads(x)["update"] <= update]
        path.write_text("".join(f"{x}\n" for x in lines), encoding="utf-8")


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, default=_plain) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"not JSON: {type(value)}")
