"""What the policies can learn, on problems small enough for a test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from telerig.hardware.clock import VirtualClock
from telerig.policies.data import TrainingData, load, statistics
from telerig.policies.flow.encoder import KeypointEncoder, _SoftArgmax, shift_at_random
from telerig.policies.options import Options
from telerig.policies.train import TrainConfig, Trainer


def test_gradient_of_the_soft_argmax():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 20, 3, dtype=torch.double, generator=generator, requires_grad=True)
    grid = torch.rand(20, 2, dtype=torch.double, generator=generator)
    assert torch.autograd.gradcheck(lambda m: _SoftArgmax.apply(m, grid), (maps,))


def test_keypoints_follow_what_they_see_from_the_start():
    torch.manual_seed(0)
    encoder = KeypointEncoder((4, 8, 8), (32, 32))
    image = torch.zeros(2, 3, 32, 32)
    image[0, :, 8:12, 8:12] = image[1, :, 8:12, 20:24] = 5.0
    first, second = encoder(image).view(2, 3, 8).detach()
    moved = (second - first)[:2]
    assert moved[0].abs().max() > 0.3
    assert moved[0].abs().max() > 5 * moved[1].abs().max()  # sideways only


def test_shift_moves_whole_pictures():
    image = torch.zeros(64, 3, 16, 16)
    image[:, :, 8, 8] = 1.0
    shift_at_random(image, 2, torch.Generator().manual_seed(0))
    places = image[:, 0].flatten(1).argmax(1)
    y, x = places // 16, places % 16
    assert int((image.sum((1, 2, 3)) == 3).sum()) == 64
    assert y.min() >= 6
    assert x.max() <= 10
    assert len(places.unique()) > 3


def _pointing(fakes, frames=300, seed=0):
    """One-step episodes: a bright dot somewhere, two joints that should point at it, and two that say nothing."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-0.8, 0.8, (frames, 2))
    episodes = []
    for i, (x, y) in enumerate(places):
        image = rng.integers(60, 80, (32, 32, 3)).astype(np.uint8)
        column, row = round(16 + 14 * x), round(16 + 14 * y)
        image[row - 1 : row + 2, column - 1 : column + 2] = (250, 40, 40)
        state = rng.normal(0, 0.1, (2, 2))
        episodes.append(
            fakes.FakeEpisode(f"p{i}", state, np.tile((x, y), (2, 1)), {"head": [fakes.jpeg_of(image)] * 2})
        )
    return episodes


def _train(data: TrainingData, options: Options, steps: int, policy: str = "flow", n=2):
    stats = statistics(data, options, np.full(n, -2.0), np.full(n, 2.0))
    config = TrainConfig(policy, max_steps=steps, batch=64, options=options, learning_rate=3e-3)
    trainer = Trainer(data, stats, config, VirtualClock(), 0)
    trainer.run()
    return trainer.average, stats


@pytest.mark.parametrize("policy", ["flow", "regress"])
def test_it_learns_to_look(fakes, policy):
    spec = fakes.small_spec(n=2, size=(32, 32), horizon=2)
    options = Options(channels=(8, 16, 16), width=64, blocks=1, shift=0, relative=policy == "flow", future_weight=0.0)
    model, stats = _train(load(_pointing(fakes), spec, 0, 0.0), options, 150, policy)
    test = load(_pointing(fakes, 60, seed=1), spec, 0, 0.0)
    batch = test.batch(test.train[::2], ())
    noise = torch.randn((len(batch.state), *model.noise_shape), generator=torch.Generator().manual_seed(0))
    error = (model.predict(batch.images, batch.state, noise) - batch.actions).abs().mean()
    mean = torch.from_numpy(stats.image_mean).expand(len(batch.state), -1, -1, -1, -1)
    blind = (model.predict(mean, batch.state, noise) - batch.actions).abs().mean()
    assert error < 0.12
    assert blind > 0.3


def _two_ways(fakes):
    """facts check 4: from the same state the operator goes to −1 or to +1, and nothing between is valid."""
    rng = np.random.default_rng(0)
    episodes = []
    for i in range(200):
        side = rng.choice((-1.0, 1.0))
        action = side * np.linspace(0.6, 1.0, 4)[:, None] + rng.normal(0, 0.03, (4, 1))
        episodes.append(fakes.FakeEpisode(f"b{i}", np.zeros((4, 1)), action))
    return episodes


@pytest.mark.parametrize("policy", ["flow", "regress"])
def test_two_ways_to_do_it(fakes, policy):
    spec = fakes.small_spec(n=1, cameras=(), horizon=4)
    data = load(_two_ways(fakes), spec, 0, 0.0)
    data = replace(data, train=data.train[::4])
    options = Options(width=64, blocks=1, relative=False, future_weight=0.0)
    model, _ = _train(data, options, 150, policy, n=1)
    n = 300
    noise = torch.randn((n, *model.noise_shape), generator=torch.Generator().manual_seed(1))
    chunks = model.predict(torch.zeros((n, 0, 16, 16, 3), dtype=torch.uint8), torch.zeros(n, 1), noise)[..., 0]
    right = torch.linspace(0.6, 1.0, 4)
    up, down = ((chunks - s * right).abs().amax(1) < 0.25 for s in (1, -1))
    invalid = float((~(up | down)).float().mean())
    if policy == "flow":
        assert invalid < 0.05
        assert up.float().mean() >= 0.30
        assert down.float().mean() >= 0.30
    else:
        assert invalid > 0.5
