"""The network that cleans a noisy action chunk, conditioned on what the policy sees (FiLM, arXiv:1709.07871)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIME_FREQUENCIES = 8


def embed_time(t: Tensor) -> Tensor:
    """Flow time ``(B,)`` in [0, 1] to ``(B, 2·TIME_FREQUENCIES)`` sines and cosines."""
    angles = t[:, None] * (2.0 ** torch.arange(TIME_FREQUENCIES)) * torch.pi / 2
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


class FilmBlock(nn.Module):
    """A residual block whose normalised activations are scaled and shifted by the condition."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.film = nn.Linear(condition, 2 * width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """``(B, width)``, ``(B, condition)`` to ``(B, width)``."""
        scale, shift = self.film(condition).chunk(2, dim=-1)
        inner = self.norm(h) * (1 + scale) + shift
        return h + self.down(nn.functional.silu(self.up(nn.functional.silu(inner))))  # type: ignore[no-any-return]


class ChunkNet(nn.Module):
    """Predicts the clean chunk from a noisy one.

    It predicts the chunk and not the velocity, so that no noise need pass through its narrow middle
    (Li and He 2025, arXiv:2511.13720).

    :param size: numbers in a chunk (horizon × active joints).
    """

    def __init__(self, size: int, context: int, width: int, blocks: int) -> None:
        super().__init__()
        condition = context + 2 * TIME_FREQUENCIES
        self.enter = nn.Linear(size + context, width)
        self.blocks = nn.ModuleList(FilmBlock(width, condition) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, size)

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """``x`` (B, size), ``t`` (B,) in [0, 1], ``context`` (B, context) to the clean chunk (B, size)."""
        condition = torch.cat((context, embed_time(t)), dim=-1)
        h = self.enter(torch.cat((x, context), dim=-1))
        for block in self.blocks:
            h = block(h, condition)
        return self.leave(nn.functional.silu(self.norm(h)))  # type: ignore[no-any-return]
