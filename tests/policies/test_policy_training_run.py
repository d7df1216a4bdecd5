"""From a dataset that was really recorded and built to a checkpoint, and back out of it."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from telerig.datasets.build import build
from telerig.datasets.dataset import Dataset
from telerig.datasets.recording import RecorderCore
from telerig.datasets.session_folder import SessionInfo
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.checkpoint import load
from telerig.policies.train import TrainConfig
from telerig.policies.training_run import Hooks, RunConfig, train_checkpoint


def _recordings():
    """The synthetic sessions of the datasets' tests."""
    path = Path(__file__).parents[1] / "datasets" / "conftest.py"
    spec = importlib.util.spec_from_file_location("datasets_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    made, folder = _recordings(), tmp_path_factory.mktemp("data")
    info = SessionInfo("pair_rig", made.EMBODIMENT, 55, simulated=True)
    core, start = RecorderCore(folder / "session", made.specs(), info, made.T0), made.T0
    for success in (True, False, True):
        made.record_episode(core, start, 1.0, "move", True, success, np.random.default_rng(0))
        start += 2_000_000_000
    core.close(start)
    build([folder / "session"], folder / "data")
    return folder / "data"


def _config(fakes, **how):
    return TrainConfig(**({"max_steps": 6, "batch": 4, "options": fakes.SMALL} | how))


def test_a_built_dataset_trains(dataset, fakes, tmp_path):
    run = RunConfig(dataset, tmp_path / "c", horizon=4, image_size=(16, 16), threads=1)
    told = []
    summary = train_checkpoint(run, _config(fakes), RealClock(), Hooks(lambda d, t: told.append((d, t))))
    assert summary["steps"] == 6
    assert summary["complete"]
    assert told[-1] == (2, 2)  # the failure is not read
    checkpoint = load(tmp_path / "c")
    spec, data = checkpoint.spec, Dataset.open(dataset)
    assert (spec.embodiment, spec.target, spec.state_stream) == ("pair", "robot/upper", "robot/state")
    assert spec.joints == tuple(data.meta["joints"])
    assert [(c.name, c.stream) for c in spec.cameras] == [("head", "head/color")]
    assert 0 <= spec.image_age_ns < 34_000_000
    assert spec.latency_ns % 5_000_000 == 0
    assert spec.latency_ns > 0
    assert checkpoint.provenance["dataset_hash"] == data.content_hash
    assert len(checkpoint.provenance["episodes"]) == 2
    assert checkpoint.provenance["packages"]["torch"]
    np.testing.assert_array_equal(checkpoint.stats.high, 2.0)
    rows = sum(int(e.engaged.sum()) for e in data.episodes if e.outcome == "success")
    assert checkpoint.provenance["rows"] == rows


def test_only_recorded_device_streams_are_learnt_from(dataset):
    every = [key for episode in Dataset.open(dataset).episodes for key in list(episode.keys())]
    keys = {key.split("/")[1] for key in every if key.startswith("time/")}
    assert "world" not in keys
    assert "head" in keys


def test_stopping_and_resuming_equals_one_run(dataset, fakes, tmp_path):
    run = RunConfig(dataset, tmp_path / "a", horizon=4, image_size=(16, 16), threads=1)
    train_checkpoint(run, _config(fakes), RealClock(), Hooks())
    halves = replace(run, out=tmp_path / "b")
    seen = []
    hooks = Hooks(training=lambda p: seen.append(p.step), stop=lambda: bool(seen) and seen[-1] >= 3)
    assert not train_checkpoint(halves, _config(fakes), RealClock(), hooks)["complete"]
    assert seen == [1, 2, 3]
    assert train_checkpoint(replace(halves, resume=True), _config(fakes), RealClock(), Hooks())["complete"]
    model = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert model[0] == model[1]


def test_nothing_is_overwritten_and_mistakes_are_one_line(dataset, fakes, tmp_path):
    run = RunConfig(dataset, tmp_path / "c", horizon=4, image_size=(16, 16), threads=1)
    with pytest.raises(ConfigError, match=r"nothing to resume: .* does not exist"):
        train_checkpoint(replace(run, resume=True), _config(fakes), RealClock(), Hooks())
    train_checkpoint(run, _config(fakes, max_steps=1), RealClock(), Hooks())
    before = (run.out / "config.json").read_bytes()
    with pytest.raises(ConfigError, match="exists: give --resume"):
        train_checkpoint(run, _config(fakes), RealClock(), Hooks())
    with pytest.raises(DataError, match="its policy is 'flow', not 'regress'"):
        train_checkpoint(replace(run, resume=True), _config(fakes, policy="regress"), RealClock(), Hooks())
    with pytest.raises(DataError, match="its horizon, stride or image size differ"):
        train_checkpoint(replace(run, resume=True, horizon=8), _config(fakes), RealClock(), Hooks())
    provenance = json.loads((run.out / "provenance.json").read_text())
    (run.out / "provenance.json").write_text(json.dumps(provenance | {"dataset_hash": "another"}))
    with pytest.raises(DataError, match="trained on another dataset"):
        train_checkpoint(replace(run, resume=True), _config(fakes), RealClock(), Hooks())
    with pytest.raises(DataError, match="not a dataset"):
        train_checkpoint(replace(run, dataset=tmp_path, out=tmp_path / "d"), _config(fakes), RealClock(), Hooks())
    assert (run.out / "config.json").read_bytes() == before
    assert not (tmp_path / "d").exists()


def test_the_command(dataset, tmp_path):
    import typer

    from telerig.policies.commands.train import train

    app = typer.Typer()
    app.command()(train)
    small = [w for o in ("channels=[4,8,8]", "width=16", "blocks=1") for w in ("--set", o)]
    arguments = [str(dataset), "--out", str(tmp_path / "c"), "--max-steps", "2", "--batch", "2", "--threads", "1"]
    done = CliRunner().invoke(app, [*arguments, *small, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    summary = json.loads(done.stdout.strip().splitlines()[-1])
    assert summary["steps"] == 2
    assert load(tmp_path / "c").options.width == 16
    with pytest.raises(ConfigError, match="--minutes or --max-steps"):
        CliRunner().invoke(app, [str(dataset), "--out", str(tmp_path / "d")], catch_exceptions=False)


def test_the_command_costs_help_nothing():
    import subprocess

    code = "import sys, telerig.policies.commands.train; sys.exit(any(m in sys.modules for m in ('torch', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
