"""Rollouts of a policy that looks: the renderer, the network and the pool of processes repeat bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from telerig.hardware.commands import TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.policies.checkpoint import Checkpoint, save
from telerig.policies.demo_picture import save_rollout
from telerig.policies.evaluate import evaluate
from telerig.policies.normalise import Normaliser
from telerig.policies.registry import policy
from telerig.policies.rollout import RolloutSpec, rollout, rollout_spec
from telerig.policies.spec import CameraInput, PolicySpec
from telerig.policies.stats import Stats
from telerig.teleop.rig import load_rig

pytest.importorskip("mujoco")
RIG = Path(__file__).parents[2] / "rigs" / "homie_g1.toml"
SIZE = (24, 32)  # pixels, height and width
REACH = 0.1  # rad, about what the home posture's joints are told


@pytest.fixture(scope="module")
def checkpoint(fakes: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of random weights for the demo's robot and both its cameras; nothing was learnt, all of it is run."""
    embodiment = load_embodiment("g1_like")
    target: TargetSpec = embodiment.target("robot", "upper")
    cameras = tuple(CameraInput(c, f"{c}/color") for c in ("head", "front"))
    spec = PolicySpec(
        embodiment.name, embodiment.version, target.name, target.names, "robot/state", "position", cameras, SIZE, 30.0,
        horizon=8, execute=3, latency_ns=20_000_000,
    )  # fmt: skip
    home = np.array(target.home)
    around = Normaliser(home, np.full(target.size, REACH), np.ones(target.size, bool))
    means = np.full((2, *SIZE, 3), 128, np.uint8)
    stats = Stats(around, around, home, np.array(target.low), np.array(target.high), means, np.full(2, 40.0))
    torch.manual_seed(0)
    weights = policy("flow")(spec, fakes.SMALL, stats).state_dict()
    path = tmp_path_factory.mktemp("policy") / "checkpoint"
    save(path, Checkpoint("flow", spec, fakes.SMALL, stats, weights, {}))
    return path


def specs(checkpoint: Path, *seeds: int) -> list[RolloutSpec]:
    rig = load_rig(RIG)
    return [rollout_spec(rig, str(checkpoint), seed, limit_s=0.6) for seed in seeds]


def test_a_policy_with_images_repeats_bit_for_bit_in_one_process_and_in_two(checkpoint: Path) -> None:
    todo = specs(checkpoint, 1, 2)
    first = evaluate(todo, processes=1).outcomes
    # outcomes are exact: seconds, final joint vectors, and a digest of the joints at every tick
    assert evaluate(todo, processes=1).outcomes == first
    assert evaluate(todo, processes=2).outcomes == first
    assert [len(o.joints) for o in first] == [28, 28]
    assert all(o.engaged for o in first)
    assert first[0].joints != first[1].joints
    blind = rollout(replace(todo[0], ablate=("images",)))
    assert blind.joints != first[0].joints  # so the images did take part


def test_the_demo_s_picture_tells_how_far_it_is(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    (spec,) = specs(checkpoint, 1)
    told: list[float] = []
    out = save_rollout(spec, spec.limit_s, tmp_path, told.append)
    assert out.stat().st_size > 0
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len({round(10 * t) for t in told}) >= 10  # all the way, not only at its ends
