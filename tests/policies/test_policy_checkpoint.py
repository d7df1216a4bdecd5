"""Checkpoints: what is written comes back, and what does not fit is refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.checkpoint import load, load_spec, load_training, save
from telerig.policies.inference import Inputs, PolicyRunner
from telerig.policies.options import Options, parse_options
from telerig.policies.registry import policy, policy_names
from telerig.policies.spec import require_fit
from telerig.policies.train import TrainConfig, Trainer


@pytest.fixture
def saved(fakes, tmp_path):
    data, stats = fakes.fake_data()
    trainer = Trainer(data, stats, TrainConfig(max_steps=3, batch=4, options=fakes.SMALL), VirtualClock(), 0)
    trainer.run()
    save(tmp_path / "c", trainer.checkpoint({"dataset_hash": "abc"}), trainer.state())
    return tmp_path / "c", trainer


def test_a_checkpoint_comes_back_whole(saved):
    path, trainer = saved
    back = load(path)
    assert back.spec == load_spec(path) == trainer.data.spec
    assert back.options == trainer.config.options
    for key, value in trainer.average.stats.to_arrays().items():
        np.testing.assert_array_equal(back.stats.to_arrays()[key], value)
    for key, value in trainer.average.state_dict().items():
        assert torch.equal(back.weights[key], value)
    assert back.provenance["dataset_hash"] == "abc"
    assert back.provenance["steps"] == 3
    assert back.provenance["episodes"] == ["e0", "e1", "e2"]
    assert {p.name for p in path.iterdir()} == {
        "config.json", "model.safetensors", "stats.safetensors", "provenance.json", "training",
    }  # fmt: skip


def test_same_seed_same_chunk_after_loading(saved):
    path, trainer = saved
    inputs = Inputs(
        0, np.random.default_rng(0).integers(0, 255, (1, 16, 16, 3), np.uint8), np.zeros(3, np.float32), (0, 0)
    )
    runners = [PolicyRunner(path), PolicyRunner(path), PolicyRunner(trainer.checkpoint({}))]
    for r in runners:
        r.reset(7)
    chunks = [r.infer(inputs).actions for r in runners]
    np.testing.assert_array_equal(chunks[0], chunks[1])
    np.testing.assert_array_equal(chunks[0], chunks[2])
    runners[0].reset(8)
    assert not np.array_equal(runners[0].infer(inputs).actions, chunks[0])


def test_what_is_no_checkpoint_is_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(DataError, match=r"is not a checkpoint: config\.json"):
        load(tmp_path / "nowhere")
    config = json.loads((path / "config.json").read_text())
    cases = [
        (config | {"format": "x"}, "format is 'x', expected 'telerig-checkpoint'"),
        (config | {"version": 99}, "version 99, this telerig reads version 1"),
        (config | {"spec": {}}, "missing or unknown"),
        (config | {"options": {"wings": 2}}, "unknown wings"),
        ({k: v for k, v in config.items() if k != "policy"}, "KeyError 'policy'"),
    ]
    for broken, message in cases:
        (path / "config.json").write_text(json.dumps(broken))
        with pytest.raises(DataError, match=message):
            load(path)
    (path / "config.json").write_text("{")
    with pytest.raises(DataError, match="not readable JSON"):
        load(path)


def test_damaged_or_foreign_weights_are_refused(saved):
    path, _ = saved
    config = json.loads((path / "config.json").read_text())
    config["options"]["width"] = 64
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="weights do not fit"):
        PolicyRunner(path)
    (path / "model.safetensors").write_bytes((path / "model.safetensors").read_bytes()[:100])
    with pytest.raises(DataError, match=r"model\.safetensors: not a readable"):
        load(path)
    for item in (path / "training").iterdir():
        item.unlink()
    with pytest.raises(DataError, match="no training state"):
        load_training(path)


def test_a_rig_that_does_not_fit_is_named(fakes):
    spec = fakes.small_spec()
    fits = ("toy", 1, spec.joints, {"robot/state", "head/color"})
    require_fit(spec, *fits)
    cases = [
        (("other", *fits[1:]), "for embodiment 'toy', this rig has 'other'"),
        (("toy", 2, *fits[2:]), "version 1 of 'toy', this rig has version 2"),
        (("toy", 1, ("j0", "j2", "j1"), fits[3]), "element 1 is 'j1' in the checkpoint, 'j2' in the rig"),
        (("toy", 1, ("j0", "j1"), fits[3]), "3 in the checkpoint, 2 in the rig"),
        ((*fits[:3], {"robot/state"}), "reads head/color, which this rig has not"),
    ]
    for rig, message in cases:
        with pytest.raises(DataError, match=message):
            require_fit(spec, *rig)


def test_policies_and_options_by_name():
    assert {"flow", "regress"} <= set(policy_names())
    assert policy("flow").__name__ == "FlowPolicy"
    with pytest.raises(ConfigError, match="policy 'walk' is unknown; known: flow"):
        policy("walk")
    assert parse_options(["width=64", "channels=[4,8,8]", "state_noise=0"]) == Options(
        width=64, channels=(4, 8, 8), state_noise=0.0
    )
    for wrong, message in [
        ("wdth=3", "one of channels"),
        ("width=wide", "is not a number"),
        ("width=1.5", "not like 256"),
    ]:
        with pytest.raises(ConfigError, match=message):
            parse_options([wrong])


def test_options_survive_json():
    options = replace(Options(), future_s=(0.5,), relative=False)
    assert Options.from_json(json.loads(json.dumps(options.to_json()))) == options
