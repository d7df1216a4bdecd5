"""Checkpoints: a folder of JSON and safetensors, never pickle.

``config.json``: policy's name, spec, options.  ``model.safetensors``: weights (their exponential moving average).
``stats.safetensors``: normalisation, mean images.  ``provenance.json``: where it came from.  ``training/``: what exact
resumption needs; running a policy does not read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DataError, MissingExtra
from telerig.policies.folder import replace_folder
from telerig.policies.options import Options
from telerig.policies.registry import policy
from telerig.policies.spec import PolicySpec
from telerig.policies.stats import Stats

if TYPE_CHECKING:
    from torch import Tensor

    from telerig.policies.flow.policy import FlowPolicy

FORMAT = "telerig-checkpoint"
VERSION = 1
_FILES = ("config.json", "model.safetensors", "stats.safetensors", "provenance.json")


@dataclass(frozen=True)
class TrainingState:
    """What exact resumption needs: tensors (weights, optimiser's moments) and plain numbers (step, seconds, settings)."""

    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds, without the training state."""

    name: str
    spec: PolicySpec
    options: Options
    stats: Stats
    weights: Mapping[str, Tensor]
    provenance: Mapping[str, Any]

    def build(self) -> FlowPolicy:
        """The policy with its weights, ready to run.  :raises DataError: the weights do not fit the configuration."""
        module = policy(self.name)(self.spec, self.options, self.stats)
        try:
            module.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise DataError(f"checkpoint's weights do not fit its config.json: {' '.join(str(error).split())[:200]}")
        return module.eval().requires_grad_(False)


def save(path: Path, checkpoint: Checkpoint, training: TrainingState | None = None) -> None:
    """Write a checkpoint folder, replacing what was there in one step."""
    st, st_numpy = _safetensors()
    head = {
        "format": FORMAT, "version": VERSION, "policy": checkpoint.name,
        "spec": checkpoint.spec.to_json(), "options": checkpoint.options.to_json(),
    }  # fmt: skip

    def fill(folder: Path) -> None:
        _write_json(folder / "config.json", head)
        _write_json(folder / "provenance.json", checkpoint.provenance)
        weights = {k: v.contiguous() for k, v in checkpoint.weights.items()}
        st.save_file(weights, folder / "model.safetensors")
        arrays: dict[str, NDArray[Any]] = {k: np.ascontiguousarray(v) for k, v in checkpoint.stats.to_arrays().items()}
        st_numpy.save_file(arrays, folder / "stats.safetensors")
        if training is not None:
            (folder / "training").mkdir()
            _write_json(folder / "training" / "state.json", training.plain)
            tensors = {k: v.contiguous() for k, v in training.tensors.items()}
            st.save_file(tensors, folder / "training" / "state.safetensors")

    replace_folder(path, fill)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint folder.

    :raises DataError: it is none, a file is missing or broken, or a newer version wrote it.
    """
    st, st_numpy = _safetensors()
    head = _head(path)
    try:
        spec, options = PolicySpec.from_json(head["spec"]), Options.from_json(head["options"])
        name = str(head["policy"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}/config.json: {type(error).__name__} {error}")
    stats = Stats.from_arrays(_tensors(st_numpy, path / "stats.safetensors"))
    if stats.low.shape != (spec.size,) or len(stats.image_mean) != len(spec.cameras):
        raise DataError(
            f"{path}: statistics of {len(stats.low)} joints, {len(stats.image_mean)} cameras do not fit config.json"
        )
    weights = _tensors(st, path / "model.safetensors")
    return Checkpoint(name, spec, options, stats, weights, _read_json(path / "provenance.json"))


def load_training(path: Path) -> TrainingState:
    """Read the training state of a checkpoint.  :raises DataError: it has none."""
    st, _ = _safetensors()
    folder = path / "training"
    if not (folder / "state.json").is_file():
        raise DataError(f"{path} has no training state to resume from")
    return TrainingState(_tensors(st, folder / "state.safetensors"), _read_json(folder / "state.json"))


def _tensors(library: Any, path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = library.load_file(path)
    except Exception as error:  # safetensors' own error class is not exported everywhere
        raise DataError(f"{path}: not a readable safetensors file: {error}")
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable JSON: {error}")
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected a JSON object")
    return data


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n")


def _safetensors() -> tuple[Any, Any]:
    try:
        import safetensors.numpy
        import safetensors.torch
    except ImportError:
        raise MissingExtra("safetensors", "learn")
    return safetensors.torch, safetensors.numpy


def load_spec(path: Path) -> PolicySpec:
    """Only the spec of a checkpoint folder, without its weights and without torch.  :raises DataError: it is none."""
    head = _head(path)
    try:
        return PolicySpec.from_json(head["spec"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}/config.json: {type(error).__name__} {error}")


def _head(path: Path) -> dict[str, Any]:
    """``config.json``, its format and version checked."""
    if missing := [f for f in _FILES if not (path / f).is_file()]:
        raise DataError(f"{path} is not a checkpoint: {', '.join(missing)} missing")
    head = _read_json(path / "config.json")
    if head.get("format") != FORMAT:
        raise DataError(f"{path}/config.json: format is {head.get('format')!r}, expected '{FORMAT}'")
    if head.get("version") != VERSION:
        raise DataError(f"{path}/config.json: version {head.get('version')}, this telerig reads version {VERSION}")
    return head
