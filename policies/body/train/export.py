"""From a training run to what is shipped: an ONNX file, its manifest, and where it comes from.

The observation's normalisation goes into the ONNX file, and so does what must agree with the manifest (``interface.py``).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from telerig.hardware.errors import ConfigError, DataError, TelerigError
from telerig.policies.body.checks import check
from telerig.policies.body.evaluation.evaluate import Request, evaluate
from telerig.policies.body.interface import KEY, interface
from telerig.policies.body.manifest import Manifest, parse_manifest
from telerig.policies.body.manifest_text import manifest_text
from telerig.policies.body.onnx_write import network_file
from telerig.policies.body.train.actor import CLIP
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.describe import tables
from telerig.policies.body.train.env import make_table
from telerig.policies.body.train.format import check_format
from telerig.policies.body.train.normalise import deviation
from telerig.policies.body.train.observe import N_ACTOR
from telerig.policies.body.train.physics import compile_model
from telerig.policies.body.train.response import points, responses
from telerig.policies.folder import replace_folder

Array = NDArray[np.float32]

TITLE = "telerig's body policy: stands, squats, walks and turns while the arms move"
LICENCE = "Apache-2.0"
SOURCE = "telerig train-body; see the .json beside this file"
MAX_BYTES = 1_000_000
FIRST_SEED = 10_000  # of the robots that responses are measured with


@dataclass(frozen=True, slots=True)
class Trained:
    """A model on disk.  ``origin``: what is known of how it was made."""

    config: TrainConfig
    tensors: dict[str, Array]
    origin: dict[str, Any]


def read_run(run: Path, steps: int | None = None) -> Trained:
    """The newest checkpoint of a run, or its milestone after so many environment steps.

    :raises ConfigError: no such milestone.  :raises DataError: not a run, or it cannot be read.
    """
    folder = run / "checkpoint"
    try:
        head = json.loads((folder / "config.json").read_text())
        origin = json.loads((folder / "provenance.json").read_text())
        check_format(head, folder)
        path = folder / "model.safetensors"
        if steps is not None:
            path, before = _milestone(run, steps), origin
            origin = {k: before[k] for k in ("commit", "packages", "seed", "processes", "threads")}
            origin |= _evaluation(run, steps)
        tensors = load_file(path)
    except TelerigError:
        raise
    except Exception as error:  # safetensors' own error class is not exported everywhere
        raise DataError(f"{run}: not a readable body training: {error}")
    return Trained(TrainConfig.from_json(head["config"]), tensors, origin)


def _milestone(run: Path, steps: int) -> Path:
    path = run / "milestones" / f"{steps:012d}.safetensors"
    if not path.is_file():
        known = ", ".join(str(int(p.stem)) for p in sorted((run / "milestones").glob("*.safetensors")))
        raise ConfigError(f"{run}: no milestone after {steps} steps (it has {known or 'none'})")
    return path


def _evaluation(run: Path, steps: int) -> dict[str, Any]:
    """What the run wrote when it kept a milestone."""
    lines = (run / "evaluations.jsonl").read_text().splitlines()
    found = [x for x in map(json.loads, lines) if x["steps"] == steps]
    if not found:
        raise DataError(f"{run}/evaluations.jsonl: nothing after {steps} steps")
    line = found[-1]
    return {"updates": line["update"], "steps": steps, "seconds": line["seconds"], "evaluation": line["cases"]}


def check_empty(out: Path) -> None:
    """:raises ConfigError: a folder that holds something already."""
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} holds something already: give an empty --out")


def export_body(
    trained: Trained,
    out: Path,
    name: str,
    full_model: Mapping[str, Any] | None = None,
    responses: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write ``NAME.onnx``, ``NAME.toml`` and ``NAME.json`` into a folder that holds nothing yet.

    :param responses: what it achieves of its commands (:func:`measured_responses`); without them they are given as wished.
    :param full_model: a table of ``telerig eval-body`` for the provenance.
    :returns: the provenance.
    :raises ConfigError: the folder holds something already; the table is of another file.
    """
    check_empty(out)
    body = trained.config.body
    head = {"name": name, "title": TITLE, "licence": LICENCE, "source": SOURCE, "model": {"file": f"{name}.onnx"}}
    made = tables(body, compile_model(body), make_table(body), head, responses)
    model = network(trained, _manifest(made))
    if len(model) > MAX_BYTES:
        raise ConfigError(f"the network takes {len(model)} bytes, at most {MAX_BYTES} are shipped")
    digest = hashlib.sha256(model).hexdigest()
    if full_model is not None and full_model.get("sha256") != digest:
        raise ConfigError("the table was made with another model file: run eval-body on what the same export wrote")
    made["model"] |= {"sha256": digest, "size_bytes": len(model)}
    _manifest(made)
    origin = _provenance(trained, name, digest, len(model), full_model)

    def fill(folder: Path) -> None:
        (folder / f"{name}.onnx").write_bytes(model)
        (folder / f"{name}.toml").write_text(manifest_text(made, _remark(name)), encoding="utf-8")
        (folder / f"{name}.json").write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")

    replace_folder(out, fill)
    return origin


def measured_responses(
    trained: Trained, robots: int = 8, processes: int = 0, done: Callable[[float], None] = lambda share: None
) -> dict[str, dict[str, Any]]:
    """What the policy achieves of its commands in the full model, arms sweeping, other seeds than the evaluation's.

    :param processes: 0: one a core.  :param done: told the share that is over.
    """
    wanted = points(trained.config.body)
    cases = tuple(case for point in wanted for case in point.cases)
    with tempfile.TemporaryDirectory() as folder:
        export_body(trained, Path(folder) / "plain", "plain")
        policy = str(Path(folder) / "plain" / "plain.toml")
        request = Request(policy, cases=cases, seeds=robots, first_seed=FIRST_SEED, processes=processes)
        return responses(wanted, evaluate(request, done).rows)


def _manifest(made: Mapping[str, Any]) -> Manifest:
    manifest = parse_manifest(made, "the exported manifest")
    check(manifest)
    return manifest


def network(trained: Trained, manifest: Manifest) -> bytes:
    """The actor as an ONNX file, with its manifest's interface inside."""
    tensors = trained.tensors
    count = len(trained.config.ppo.actor) + 1
    layers = [(tensors[f"actor.{i}.weight"], tensors[f"actor.{i}.bias"]) for i in range(count)]
    spread = deviation(tensors["observation.variance"].astype(np.float64))[:N_ACTOR]
    metadata = {
        KEY: json.dumps(interface(manifest)), "name": manifest.name, "licence": manifest.licence, "source": manifest.source,
    }  # fmt: skip
    mean = tensors["observation.mean"][:N_ACTOR]
    return network_file(mean.astype(np.float32), spread.astype(np.float32), CLIP, layers, metadata)


def _provenance(
    trained: Trained, name: str, digest: str, size: int, full_model: Mapping[str, Any] | None
) -> dict[str, Any]:
    origin = dict(trained.origin)
    hours = round(origin.get("seconds", 0.0) / 3600, 3)
    file = {"file": f"{name}.onnx", "sha256": digest, "bytes": size}
    return {
        "name": name, **file, "hours": hours, **origin, "evaluation_full_model": full_model,
        "config": trained.config.to_json(),
    }  # fmt: skip


def _remark(name: str) -> str:
    return (
        "Written by `telerig export-body`: what the training did is said here so that the runtime does the same.\n"
        f"{name}.json says how it was trained and how well it does.  docs/body.md explains every key."
    )
