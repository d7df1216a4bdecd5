"""Whole runs, tiny: exact resume, the same samples whoever collects them, checkpoints, refusals."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from safetensors.numpy import load_file
from typer.testing import CliRunner

from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DataError, MissingExtra
from telerig.policies.body.train import storage, trainer
from telerig.policies.body.train.config import BodyConfig, PpoConfig, TrainConfig
from telerig.policies.body.train.curriculum import FULL
from telerig.policies.body.train.evaluation import CASES, Case
from telerig.policies.body.train.trainer import Hooks, Progress, RunConfig, train_body
from telerig.policies.body.train.workers import Workers
from telerig.policies.commands import train_body_display
from telerig.policies.commands.train_body import train_body as train_command

TINY = TrainConfig(seed=5, shards=2, robots=3, steps=4, ppo=PpoConfig(actor=(8,), critic=(8,), minibatches=2, epochs=2))


def run(
    out: Path,
    updates: int,
    resume: bool = False,
    config: TrainConfig = TINY,
    how: tuple[int, int] = (1, 0),
    **hooks: Any,
) -> dict[str, Any]:
    """``how``: processes, updates between two evaluations."""
    return train_body(RunConfig(out, resume, None, updates, *how), config, RealClock(), Hooks(**hooks))


def arrays(out: Path) -> dict[str, Any]:
    folder = out / "checkpoint"
    found = load_file(folder / "model.safetensors") | load_file(folder / "training" / "state.safetensors")
    plain = json.loads((folder / "training" / "state.json").read_text())
    return found | {f"plain.{k}": plain[k] for k in ("update", "rate", "curriculum", "generators")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four updates without a break."""
    out = tmp_path_factory.mktemp("body") / "whole"
    run(out, 4)
    return out


class Judges(Workers):
    """Two cases of two robots each, to be quick."""

    def __init__(self, config: TrainConfig, processes: int) -> None:
        super().__init__(config, processes, robots_per_case=2)

    def evaluate(self, seed: int, cases: tuple[Case, ...] = CASES, keep: bool = False) -> dict[str, dict[str, Any]]:
        return super().evaluate(seed, cases[:2], keep)


@pytest.mark.parametrize("how", [(1, 0), (2, 2)], ids=["one process", "two processes, with evaluations"])
def test_resumed_run_equals_the_uninterrupted_one(
    finished: Path, tmp_path: Path, how: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations on the way leave no trace in what is learnt."""
    monkeypatch.setattr(trainer, "Workers", Judges)
    if how[0] > 1:  # the learner's threads too: other sums, other bits
        finished = tmp_path / "whole"
        run(finished, 4, how=(how[0], 0))
    seen: list[Progress] = []
    out = tmp_path / "parts"
    run(out, 9, how=how, progress=seen.append, stop=lambda: len(seen) >= 2)  # Ctrl-C after two of nine
    assert [p.update for p in seen] == [1, 2]
    storage.append(out / "curves.jsonl", {"update": 3})  # written after the checkpoint, before a crash
    result = run(out, 4, resume=True, how=how)
    assert result["updates"] == 4
    whole, parts = arrays(finished), arrays(out)
    assert whole.keys() == parts.keys()
    for key, value in whole.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(parts[key], value, err_msg=key)
        else:
            assert parts[key] == value, key
    lines = [json.loads(x) for x in (out / "curves.jsonl").read_text().splitlines()]
    assert [x["update"] for x in lines] == [1, 2, 3, 4]
    assert (
        lines[-1]["policy_loss"] == json.loads((finished / "curves.jsonl").read_text().splitlines()[-1])["policy_loss"]
    )
    if how[1]:
        judged = [json.loads(x) for x in (out / "evaluations.jsonl").read_text().splitlines()]
        assert [x["update"] for x in judged] == [2, 4]
        assert all(list(x["cases"]) == ["stand", "height_0.60"] for x in judged)


def test_pictures_of_evaluations_leave_no_trace_in_what_is_learnt(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rerun_chunk = pytest.importorskip("rerun.chunk", reason="pip install telerig[view]")
    monkeypatch.setattr(trainer, "Workers", Judges)
    out = tmp_path / "run"
    train_body(RunConfig(out, False, None, 4, 1, 2, True), TINY, RealClock(), Hooks())
    found = sorted(f.relative_to(out).as_posix() for f in (out / "pictures").rglob("*.*"))
    steps = [f"{k * TINY.samples:012d}" for k in (2, 4)]
    assert found == [f"pictures/{s}/{case}.rrd" for s in steps for case in ("height_0.60", "stand")]
    entities = {c.entity_path for c in rerun_chunk.RrdReader(out / found[0]).stream().to_chunks()}
    assert {"/robot/pelvis", "/robot/left_knee_link", "/height/done"} <= entities
    assert "track" not in (out / "evaluations.jsonl").read_text()
    for key, value in arrays(finished).items():
        np.testing.assert_array_equal(arrays(out)[key], value, err_msg=key)


def test_pictures_need_rerun_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingExtra, match=r"telerig\[view\]"):
        train_body(RunConfig(tmp_path / "run", False, None, 1, 1, 1, True), TINY, RealClock(), Hooks())
    assert not (tmp_path / "run").exists()


def test_checkpoint_says_what_it_is(finished: Path) -> None:
    head = json.loads((finished / "checkpoint" / "config.json").read_text())
    assert TrainConfig.from_json(head["config"]) == TINY
    assert sum(t["size"] for t in head["observation"]) == 67
    assert head["joints"][0] == "left_hip_pitch_joint"
    origin = json.loads((finished / "checkpoint" / "provenance.json").read_text())
    assert (origin["seed"], origin["steps"]) == (5, 4 * TINY.samples)


def test_other_settings_are_not_resumed(finished: Path) -> None:
    other = replace(TINY, body=replace(BodyConfig(), period=0.9))
    with pytest.raises(DataError, match=r"body\.period was 0\.8, now 0\.9"):
        run(finished, 5, resume=True, config=other)


def test_a_run_is_not_overwritten(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        run(finished, 5)
    with pytest.raises(ConfigError, match="no checkpoint"):
        run(tmp_path / "nothing", 5, resume=True)
    with pytest.raises(ConfigError, match="--minutes or --updates"):
        RunConfig(tmp_path)


def test_a_broken_checkpoint_is_one_line(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    (folder / "training").mkdir(parents=True)
    (folder / "config.json").write_text("{")
    with pytest.raises(DataError, match="not a readable checkpoint"):
        storage.load(tmp_path)


def test_number_of_processes_changes_nothing() -> None:
    samples = []
    for processes in (1, 2):
        with Workers(TINY, processes, robots_per_case=2) as workers:
            assert len(workers.shards) == processes
            tally = workers.collect(FULL)
            names = ("observation", "action", "reward", "over", "last")
            samples.append((tally, [workers.shared.array(k).copy() for k in names], workers.save()[0]))
            assert tally.steps[0] + tally.steps[1] == TINY.samples
    assert samples[0][0] == samples[1][0]
    for a, b in zip(samples[0][1], samples[1][1], strict=True):
        np.testing.assert_array_equal(a, b)
    for key, value in samples[0][2].items():
        np.testing.assert_array_equal(samples[1][2][key], value)


def test_workers_evaluate_with_the_shared_parameters() -> None:
    two = tuple(c for c in CASES if c.name in ("stand", "height_0.34"))
    with Workers(TINY, 2, robots_per_case=2) as workers:
        found = workers.evaluate(0, two)
        assert list(found) == ["stand", "height_0.34"]
        assert found["stand"]["n"] == 2
        assert found["stand"]["up"] == 0  # the reference alone


def test_a_workers_failure_is_told() -> None:
    broken = replace(TINY, body=replace(BodyConfig(), embodiment="arm7"))
    with (
        Workers(broken, 1) as workers,
        pytest.raises(DataError, match="body training needs joints left_hip_pitch_joint"),
    ):
        workers.collect(FULL)


def test_a_dead_worker_is_told() -> None:
    with Workers(TINY, 1) as workers:
        workers.collect(FULL)
        workers._processes[0].kill()
        workers._processes[0].join()
        with pytest.raises(DataError, match="worker died"):
            workers.collect(FULL)


@pytest.mark.parametrize(
    ("flags", "samples", "loss"),
    [
        ((), True, 0.1),
        (("--no-mirror-samples", "--mirror-loss", "0"), False, 0.0),
        (("--mirror-loss", "0.3"), True, 0.3),
    ],
)
def test_mirror_flags_reach_the_learner(
    tmp_path: Path, flags: Any, samples: bool, loss: float, monkeypatch: Any
) -> None:
    asked: list[TrainConfig] = []
    monkeypatch.setattr(train_body_display, "run_with_display", lambda run, config, *_: asked.append(config))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # the command sets it: put back afterwards
    app = typer.Typer()
    app.command()(train_command)
    done = CliRunner().invoke(app, ["--out", str(tmp_path), "--updates", "1", *flags])
    assert done.exit_code == 0, done.output
    assert (asked[0].ppo.mirror_samples, asked[0].ppo.mirror_loss) == (samples, loss)
