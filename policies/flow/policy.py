"""Action chunks by flow matching (Lipman et al. 2023, arXiv:2210.02747) on joints and camera keypoints.

Noise x₀ and a chunk a are joined by the straight line x_t = (1 − t)·x₀ + t·a.  The network predicts a from x_t; the
velocity is (a − x_t) / (1 − t), which Euler steps follow from noise (t = 0) to a chunk (t = 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from telerig.policies.flow.encoder import KeypointEncoder, shift_at_random
from telerig.policies.flow.net import ChunkNet
from telerig.policies.options import Options
from telerig.policies.spec import PolicySpec
from telerig.policies.stats import Stats

CLIP = 1.5  # normalised chunks and states are clipped here when deployed
WEIGHT_FLOOR = 0.3  # 1 − t is not taken below this in the loss's weight


@dataclass(frozen=True, slots=True)
class Batch:
    """Training samples: ``n`` joints, ``H`` steps, ``C`` cameras.

    :param images: ``(B, C, h, w, 3)`` uint8.
    :param state: ``(B, n)`` measured joints, rad.
    :param actions: ``(B, H, n)`` joint targets sent, rad; ``valid`` ``(B, H)``: somebody sent that one on purpose.
    :param future: ``(B, F, n)`` measured joints later on, rad.
    """

    images: Tensor
    state: Tensor
    actions: Tensor
    valid: Tensor
    future: Tensor


class FlowPolicy(nn.Module):
    """The default policy.

    All its randomness comes from generators and noise that callers hand in, so it repeats bit for bit.
    """

    def __init__(self, spec: PolicySpec, options: Options, stats: Stats) -> None:
        super().__init__()
        self.spec, self.options, self.stats = spec, options, stats
        self.active: Tensor
        self._buffers_from(stats)
        self.encoders = nn.ModuleList(KeypointEncoder(options.channels, spec.image_size) for _ in spec.cameras)
        seen = 3 * options.channels[-1] * len(spec.cameras) + spec.size
        width = options.width
        self.context = nn.Sequential(nn.Linear(seen, width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width))
        self.net = ChunkNet(spec.horizon * len(self.active), width, width, options.blocks)
        self.future = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, len(options.future_s) * len(self.active))
        )

    def _buffers_from(self, stats: Stats) -> None:
        """Statistics as buffers; they are saved in a file of their own, not among the weights."""
        for name, value in (
            ("state_centre", stats.state.centre), ("state_half", stats.state.half), ("rest", stats.rest),
            ("action_centre", stats.action.centre), ("action_half", stats.action.half), ("low", stats.low),
            ("high", stats.high), ("image_mean", stats.image_mean), ("image_std", stats.image_std),
        ):  # fmt: skip
            self.register_buffer(name, torch.as_tensor(np.asarray(value, np.float32)), persistent=False)
        self.register_buffer("active", torch.as_tensor(np.flatnonzero(stats.action.active)), persistent=False)

    def encode(self, images: Tensor, state: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What the policy knows, ``(B, width)``; with a generator images and joints are augmented (training).

        :param images: ``(B, C, h, w, 3)`` uint8.
        :param state: ``(B, n)`` rad.
        """
        seen = []
        for i, encoder in enumerate(self.encoders):
            image = images[:, i].permute(0, 3, 1, 2).float()  # (B, 3, h, w), channels-last in memory
            image.sub_(self.image_mean[i].permute(2, 0, 1)).mul_(1 / self.image_std[i])  # type: ignore[index]
            if generator is not None:
                shift_at_random(image, self.options.shift, generator)
            seen.append(encoder(image))
        joints = ((state - self.state_centre) / self.state_half).clamp(-CLIP, CLIP)  # type: ignore[operator]
        if generator is not None and self.options.state_dropout:
            keep = torch.rand((len(state), 1), generator=generator) >= self.options.state_dropout
            joints = joints * keep
        return self.context(torch.cat((*seen, joints), dim=-1))  # type: ignore[no-any-return]

    def loss(self, batch: Batch, generator: torch.Generator, augment: bool = True) -> tuple[Tensor, dict[str, float]]:
        """A scalar to minimise, and its parts for the log."""
        state = batch.state
        if augment:
            noise = torch.randn(state.shape, generator=generator)
            state = state + self.options.state_noise * self.state_half * noise  # type: ignore[operator]
        context = self.encode(batch.images, state, generator if augment else None)
        chunk = self.chunk_loss(context, self.normalised(batch.actions, state), batch.valid, generator)
        if not self.options.future_weight:
            return chunk, {"chunk": float(chunk.detach())}
        later = ((batch.future - self.state_centre) / self.state_half)[..., self.active]  # type: ignore[operator]
        future = (self.future(context).view(later.shape) - later).square().mean()
        return chunk + self.options.future_weight * future, {
            "chunk": float(chunk.detach()), "future": float(future.detach()),
        }  # fmt: skip

    def normalised(self, actions: Tensor, state: Tensor) -> Tensor:
        """Joint targets ``(B, H, n)`` rad to the chunk that is learnt, ``(B, H, active)``."""
        base = state[:, None] if self.options.relative else 0.0
        y: Tensor = (actions - base - self.action_centre) / self.action_half  # type: ignore[operator]
        return y[..., self.active]

    def chunk_loss(self, context: Tensor, chunk: Tensor, valid: Tensor, generator: torch.Generator) -> Tensor:
        """Flow-matching loss over ``draws`` noises a context."""
        draws = self.options.draws
        context = context.repeat_interleave(draws, 0)
        clean = chunk.flatten(1).repeat_interleave(draws, 0)
        mask = valid[:, :, None].expand(chunk.shape).flatten(1).repeat_interleave(draws, 0)
        t = torch.rand(len(clean), generator=generator)
        noise = torch.randn(clean.shape, generator=generator)
        noisy = (1 - t)[:, None] * noise + t[:, None] * clean
        error = (self.net(noisy, t, context) - clean).square() * mask
        weight = (1 - t).clamp_min(WEIGHT_FLOOR).reciprocal()[:, None]
        loss: Tensor = (error * weight).sum() / mask.sum().clamp_min(1)
        return loss

    def field(self, context: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at ``x`` (B, H·active) and ``t`` (B,) < 1."""
        return (self.net(x, t, context) - x) / (1 - t)[:, None]  # type: ignore[no-any-return]

    def sample(self, context: Tensor, noise: Tensor) -> Tensor:
        """Chunks ``(B, H, active)``, normalised, from noise ``(B, H·active)``."""
        x, steps = noise, self.options.sample_steps
        for i in range(steps):
            t = torch.full((len(x),), i / steps)
            x = x + self.field(context, x, t) / steps
        return x.view(len(x), self.spec.horizon, -1)

    @property
    def noise_shape(self) -> tuple[int]:
        """Shape of one sample's noise."""
        return (self.spec.horizon * len(self.active),)

    @torch.no_grad()
    def predict(self, images: Tensor, state: Tensor, noise: Tensor) -> Tensor:
        """Absolute joint targets ``(B, H, n)`` rad within the joint limits; joints that never moved get ``rest``."""
        chunk = self.sample(self.encode(images, state), noise).clamp(-CLIP, CLIP)
        targets: Tensor = self.rest.expand(len(state), self.spec.horizon, -1).clone()  # type: ignore[operator]
        values = chunk * self.action_half[self.active] + self.action_centre[self.active]  # type: ignore[index]
        if self.options.relative:
            values = values + state[:, None, self.active]
        targets[..., self.active] = values
        return torch.minimum(torch.maximum(targets, self.low), self.high)  # type: ignore[arg-type]
