"""The exported policy is the one that was trained: same observation, same action, same target, for the same state."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.body.load import body_policy
from telerig.policies.body.manifest_text import manifest_text
from telerig.policies.body.runtime import BodyPolicy, BodyState, BodyTarget
from telerig.policies.body.train import arms, storage
from telerig.policies.body.train.actor import Networks, layout, size
from telerig.policies.body.train.config import BodyConfig, TrainConfig
from telerig.policies.body.train.env import BodyEnv
from telerig.policies.body.train.export import Trained, export_body, read_run
from telerig.policies.body.train.joints import JOINTS, N_LEGS
from telerig.policies.body.train.normalise import deviation
from telerig.policies.body.train.observe import FIXED, N_ACTOR, N_CRITIC, motion
from telerig.policies.body.train.pose import HeightTable

CONFIG = TrainConfig()
# vx, vy m/s, yaw rate rad/s, height m, and for how many control steps: squat, walk, walk low, turn aside, stop
SCRIPT = (
    ((0.0, 0.0, 0.0, 0.55), 25),
    ((0.6, 0.0, 0.0, 0.74), 40),
    ((0.3, -0.2, 0.5, 0.60), 40),
    ((-0.4, 0.3, -0.9, 0.76), 40),
    ((0.0, 0.0, 0.0, 0.40), 60),
)


def random_model(seed: int = 0) -> tuple[dict[str, Any], Networks]:
    """Tensors as a run keeps them, and the training's own networks with the same numbers."""
    rng = np.random.default_rng(seed)
    flat = np.zeros(size(CONFIG.ppo), np.float32)
    slots = {s.name: s for s in layout(CONFIG.ppo)}
    views = {name: flat[s.start : s.end].reshape(s.shape) for name, s in slots.items()}
    for name, view in views.items():
        view[...] = rng.normal(0, 0.7 / np.sqrt(view.shape[-1]) if "weight" in name else 0.1, view.shape)
    views["actor.2.bias"][5] = 9.0  # beyond the action's bound, and its target beyond the ankle's range
    mean = np.where(FIXED, 0.0, rng.normal(0, 0.1, N_CRITIC))
    variance = np.where(FIXED, 0.5, rng.uniform(0.05, 0.5, N_CRITIC))
    variance[10] = 0.0  # one that never changed, or hardly: normalised, it meets the bound
    tensors = {k: v.copy() for k, v in views.items()} | {"observation.mean": mean, "observation.variance": variance}
    spread = deviation(variance).astype(np.float32)
    return tensors, Networks(CONFIG.ppo, flat, mean.astype(np.float32), spread)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Networks]:
    tensors, networks = random_model()
    out = tmp_path_factory.mktemp("export") / "policy"
    export_body(Trained(CONFIG, tensors, {"seed": 0, "steps": 5, "seconds": 1800.0}), out, "toy")
    return out, networks


class Heard:
    """A model that remembers what it was shown."""

    def __init__(self, policy: BodyPolicy) -> None:
        self._infer = policy.infer
        policy.infer = self
        self.seen: NDArray[np.float32] = np.zeros(0, np.float32)

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen = x[0].copy()
        return self._infer(x)


def test_the_file_is_the_actor(made: tuple[Path, Networks]) -> None:
    folder, networks = made
    infer = body_policy(str(folder / "toy.toml"), load_embodiment("g1_like")).infer
    for x in np.random.default_rng(1).normal(0, 2.0, (200, N_ACTOR)).astype(np.float32):
        want = networks.act(np.concatenate((x, np.zeros(N_CRITIC - N_ACTOR, np.float32)))[None])
        np.testing.assert_allclose(infer(x[None]), want, atol=1e-5)


def test_runtime_and_training_agree_step_by_step(made: tuple[Path, Networks], nominal: Any, table: HeightTable) -> None:
    """Order, scale, frame, slew, stepping flag, clock, reference, clips: all of them, on a robot that moves about."""
    folder, networks = made
    robot = load_embodiment("g1_like")
    policy = body_policy(str(folder / "toy.toml"), robot, joints=JOINTS)
    heard = Heard(policy)
    env = standing(nominal, table)
    limits = {j: (a, b) for g in robot.groups for j, a, b in zip(g.joints, g.low, g.high, strict=True)}
    low, high = np.array([limits[j] for j in JOINTS[:N_LEGS]]).T
    flags = []
    for wanted, steps in SCRIPT:
        for _ in range(steps):
            seen = env.state.observation[0, :N_ACTOR].copy()
            done = run_step(policy, env)
            np.testing.assert_allclose(heard.seen, seen, atol=2e-6)
            action = networks.act(env.state.observation)
            np.testing.assert_allclose(done.action, np.clip(action[0], -6, 6), atol=1e-4)
            env.state.wanted[:], env.state.walking[:] = wanted, any(wanted[:3])
            step_with_the_left_leg_first(env, action)
            np.testing.assert_allclose(done.position, np.clip(env.state.target[0, :N_LEGS], low, high), atol=5e-5)
            flags.append(done.walking)
    assert {True, False} == set(flags)
    assert not flags[-1]
    assert sum(np.diff(flags)) == 2  # began once, ended once


def standing(nominal: Any, table: HeightTable) -> BodyEnv:
    """One robot, nothing random, at the home command; its arms move."""
    body = BodyConfig(push_share=0.0, delay_s=0.0)
    env = BodyEnv(body, [nominal], np.random.default_rng(0), table)
    env.noise = False
    env.reset()
    state = env.state
    state.wanted[:] = state.command[:] = (0, 0, 0, 0.74)
    state.walking[:] = state.stepping[:] = False
    state.phase[:], state.age[:], state.redraw[:], state.arm_kind[:] = 0.0, 0, 1 << 40, arms.WAVE
    env.place(np.arange(1), shake=1.0)
    env.observe()
    return env


def run_step(policy: BodyPolicy, env: BodyEnv) -> BodyTarget:
    """The runtime is told what is wanted, and slews by itself."""
    now = motion(env.physics.qpos, env.physics.qvel, env.physics.joints())
    state = BodyState(now.position[0], now.speed[0], now.spin[0], now.gravity[0])
    return policy.step(state, env.state.wanted[0].copy())


def step_with_the_left_leg_first(env: BodyEnv, action: NDArray[np.float32]) -> None:
    """In training the first swing is either leg's; the runtime always begins with the left one."""
    before = env.state.stepping.copy()
    env.step(action.astype(np.float64), auto_reset=False)
    if env.state.stepping[0] and not before[0]:
        env.state.phase[:] = 0.0
        env.observe()


def test_manifest_reads_back_as_written(made: tuple[Path, Networks]) -> None:
    folder, _ = made
    text = (folder / "toy.toml").read_text()
    tables = tomllib.loads(text)
    assert tomllib.loads(manifest_text(tables)) == tables
    assert max(map(len, text.splitlines())) <= 130


def test_provenance_and_size(made: tuple[Path, Networks]) -> None:
    folder, _ = made
    origin = json.loads((folder / "toy.json").read_text())
    assert (origin["hours"], origin["steps"]) == (0.5, 5)
    assert TrainConfig.from_json(origin["config"]) == CONFIG
    assert (folder / "toy.onnx").stat().st_size == origin["bytes"] <= 1_000_000


def test_a_table_of_another_file_is_none_of_this_one_s(made: tuple[Path, Networks], tmp_path: Path) -> None:
    trained = Trained(CONFIG, random_model()[0], {"seed": 0, "steps": 5, "seconds": 1800.0})
    with pytest.raises(ConfigError, match="another model file"):
        export_body(trained, tmp_path / "no", "toy", {"sha256": "0" * 64, "cases": {}})
    assert not (tmp_path / "no").exists()
    own = json.loads((made[0] / "toy.json").read_text())["sha256"]
    told = export_body(trained, tmp_path / "yes", "toy", {"sha256": own, "cases": {}})
    assert told["evaluation_full_model"]["sha256"] == own


def test_a_file_and_a_manifest_of_two_trainings_do_not_fit(made: tuple[Path, Networks], tmp_path: Path) -> None:
    """The manifest's numbers are in the file too: another reference or scale beside it is refused."""
    folder, _ = made
    robot = load_embodiment("g1_like")
    text = (folder / "toy.toml").read_text()
    (tmp_path / "toy.onnx").write_bytes((folder / "toy.onnx").read_bytes())
    (tmp_path / "toy.toml").write_text(text.replace("scale = 0.3", "scale = 0.25", 1))
    with pytest.raises(ConfigError, match=r"action scale: element 0 .left_hip_pitch_joint. is 0.25 in the manifest"):
        body_policy(str(tmp_path / "toy.toml"), robot)


def test_a_run_is_read_at_its_end_or_at_a_milestone(tmp_path: Path) -> None:
    import torch

    tensors, _ = random_model(2)
    kept = {k: torch.from_numpy(np.array(v)) for k, v in tensors.items()}
    later = {k: v + 1 for k, v in kept.items()}
    origin = {"commit": "c", "packages": {}, "seed": 3, "processes": 2, "threads": 2, "steps": 90, "seconds": 9.0}
    storage.save(tmp_path, CONFIG, later, {}, {}, origin)
    storage.milestone(tmp_path, 40, kept)
    storage.append(tmp_path / "evaluations.jsonl", {"update": 4, "steps": 40, "seconds": 4.0, "cases": {"stand": {}}})
    end, before = read_run(tmp_path), read_run(tmp_path, 40)
    assert (end.origin["steps"], before.origin["steps"]) == (90, 40)
    assert before.origin["seconds"] == 4.0
    assert before.origin["evaluation"] == {"stand": {}}
    np.testing.assert_array_equal(before.tensors["actor.0.bias"] + 1, end.tensors["actor.0.bias"])
    with pytest.raises(ConfigError, match=r"no milestone after 41 steps .it has 40"):
        read_run(tmp_path, 41)
    with pytest.raises(DataError, match="not a readable body training"):
        read_run(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="holds something already"):
        export_body(end, tmp_path, "toy")
