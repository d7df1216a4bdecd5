"""The learner alone: advantages, and that it learns something easy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from telerig.policies.body.train.actor import Networks, layout
from telerig.policies.body.train.config import PpoConfig
from telerig.policies.body.train.curriculum import Curriculum, Levels
from telerig.policies.body.train.joints import N_LEGS
from telerig.policies.body.train.observe import ACTOR, N_ACTOR, N_CRITIC
from telerig.policies.body.train.ppo import Learner, Samples, advantages, fading

F32 = NDArray[np.float32]
SMALL = PpoConfig(actor=(32,), critic=(32,), minibatches=2)
_START = sum(t.size for t in ACTOR[: [t.name for t in ACTOR].index("last_action")])
LAST = slice(_START, _START + N_LEGS)


def networks(learner: Learner) -> Networks:
    n = learner.normaliser
    return Networks(learner.config, learner.flat.numpy(), n.mean.astype(np.float32), n.deviation.astype(np.float32))


def toy_batch(learner: Learner, rng: np.random.Generator) -> Samples:
    """Every step stands alone; best is to repeat half of what the observation holds as last action."""
    t, n = 4, 256
    seen = rng.standard_normal((t, n, N_CRITIC), np.float32)
    net = networks(learner)
    mean = np.stack([net.act(x) for x in seen])
    action = mean + np.exp(net.log_sigma) * rng.standard_normal(mean.shape, np.float32)
    reward = -np.square(action - 0.5 * seen[..., LAST]).mean(axis=2)
    return Samples(seen, action, mean, reward, np.ones((t, n), np.bool_), seen[-1])


@pytest.mark.parametrize(
    "config", [SMALL, PpoConfig(actor=(32,), critic=(32,), minibatches=2, mirror_samples=False, mirror_loss=0)]
)
def test_learns_a_toy_problem(config: PpoConfig) -> None:
    torch.set_num_threads(1)
    learner, rng = Learner(config, 0), np.random.default_rng(0)
    rewards = []
    for k in range(25):
        samples = toy_batch(learner, rng)
        rewards.append(float(samples.reward.mean()))
        learner.update(samples, k)
    assert rewards[0] < -0.45  # exploration and the untouched target
    assert rewards[-1] > 0.6 * rewards[0]


@pytest.mark.parametrize(("steps", "weight"), [(0, 1.0), (32e6, 1.0), (36e6, 0.5), (40e6, 0.0), (1e9, 0.0)])
def test_the_entropy_s_weight_fades(steps: float, weight: float) -> None:
    assert fading(steps, *PpoConfig().entropy_fades) == pytest.approx(weight)


def test_noise_is_kept_up_until_its_weight_has_faded() -> None:
    torch.set_num_threads(1)
    sigma = {}
    for name, fades in (("kept", (1e9, 2e9)), ("faded", (0.0, 1.0))):
        config = replace(SMALL, entropy=0.5, entropy_fades=fades)
        learner, rng = Learner(config, 0), np.random.default_rng(0)
        for k in range(1, 10):
            told = learner.update(toy_batch(learner, rng), k)
        sigma[name] = told["sigma"]
    assert sigma["faded"] < 0.5 < sigma["kept"]


def test_mirror_loss_makes_the_policy_symmetric() -> None:
    torch.set_num_threads(1)
    after = {}
    for weight in (0.0, 5.0):
        config = replace(SMALL, mirror_samples=False, mirror_loss=weight)
        learner, rng = Learner(config, 0), np.random.default_rng(0)
        for k in range(10):
            samples = toy_batch(learner, rng)
            samples.reward[:] = -np.square(samples.action[..., :6] - 1.0).mean(axis=2)  # only the left leg is rewarded
            losses = learner.update(samples, k)
        seen = samples.observation[0]
        means = networks(learner).act(seen)
        after[weight] = float(np.abs(means[:, 0] - means[:, 6]).mean())
        assert (losses["mirror_loss"] > 0) == (weight > 0)
    assert after[5.0] < 0.5 * after[0.0]


def test_mirrored_samples_teach_the_other_leg() -> None:
    torch.set_num_threads(1)
    right = {}
    for samples_too in (False, True):
        config = replace(SMALL, mirror_samples=samples_too, mirror_loss=0.0)
        learner, rng = Learner(config, 0), np.random.default_rng(0)
        for k in range(10):
            samples = toy_batch(learner, rng)
            samples.reward[:] = -np.square(samples.action[..., 3] - 1.0)  # only the left knee is rewarded
            learner.update(samples, k)
        means = networks(learner).act(samples.observation[0])
        assert means[:, 3].mean() > 0.3
        right[samples_too] = float(means[:, 9].mean())
    assert right[True] > 0.3 > 0.15 > abs(right[False])


def test_workers_networks_are_the_learners() -> None:
    learner, rng = Learner(SMALL, 3), np.random.default_rng(0)
    learner.normaliser.update(rng.normal(2, 3, (100, N_CRITIC)).astype(np.float32))
    with torch.no_grad():
        learner.flat += 0.1 * torch.randn(learner.flat.shape, generator=torch.Generator().manual_seed(0))
    seen = rng.standard_normal((7, N_CRITIC), np.float32)
    net = networks(learner)
    with torch.no_grad():
        normal = torch.from_numpy(learner._normal(seen))
        mean, value = learner.network("actor", normal[:, :N_ACTOR]), learner.network("critic", normal)[:, 0]
    np.testing.assert_allclose(net.act(seen), mean.numpy(), atol=1e-5)
    np.testing.assert_allclose(net.value(seen), 10 * value.numpy(), atol=1e-4)
    assert layout(SMALL)[-1].end == learner.flat.numel()


def test_advantages_of_a_known_episode() -> None:
    reward = np.array([[1.0], [2.0], [3.0]], np.float32)
    value = np.array([[0.5], [1.0], [1.5], [9.0]], np.float32)
    over = np.array([[False], [True], [False]])
    found = advantages(reward, value, over, gamma=0.5, lam=0.5)[:, 0]
    # the last step looks at the value after it; the second ends an episode; the first sees a quarter of the second's
    np.testing.assert_allclose(found, [1 + 0.5 * 1.0 - 0.5 + 0.25 * 1.0, 2 - 1.0, 3 + 0.5 * 9 - 1.5])


def test_levels_follow_the_falls_of_their_own_mode() -> None:
    curriculum = Curriculum()
    for _ in range(400):
        curriculum.update((0, 50), (1000, 1000))  # standing never falls, walking often
    assert curriculum.levels.stand == 1.0
    assert curriculum.levels.walk == 0.2
    assert curriculum.levels.speed == 0.3
    assert curriculum.levels.push == 0.1
    for _ in range(400):
        curriculum.update((5, 5), (2000, 1000))  # 2.5 in 1,000, as pushes make; 5
    assert curriculum.levels == Levels(1.0, 0.2, 0.3, 0.1)
    for _ in range(500):
        curriculum.update((0, 0), (1000, 1000))
    assert curriculum.levels == Levels(1.0, 1.0, 1.0, 0.8)
    assert Curriculum.from_json(curriculum.to_json()) == curriculum
