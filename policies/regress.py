"""The baseline: the same eyes and network, but one regressed chunk.  It averages where the operator had two ways."""

from __future__ import annotations

import torch
from torch import Tensor

from telerig.policies.flow.policy import FlowPolicy


class RegressPolicy(FlowPolicy):
    """Predicts the mean chunk; ignores noise."""

    def chunk_loss(self, context: Tensor, chunk: Tensor, valid: Tensor, generator: torch.Generator) -> Tensor:
        """Mean square error."""
        mask = valid[:, :, None].expand(chunk.shape).flatten(1)
        error = (self._mean(context) - chunk.flatten(1)).square() * mask
        return error.sum() / mask.sum().clamp_min(1)

    def sample(self, context: Tensor, noise: Tensor) -> Tensor:
        """The one chunk ``(B, H, active)``, normalised."""
        return self._mean(context).view(len(context), self.spec.horizon, -1)

    def _mean(self, context: Tensor) -> Tensor:
        b = len(context)
        return self.net(context.new_zeros((b, *self.noise_shape)), context.new_zeros(b), context)  # type: ignore[no-any-return]
