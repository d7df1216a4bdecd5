"""Where things are in an image: a small convolutional encoder that ends in a spatial soft-max.

Spatial soft-max: Levine et al. 2016 (arXiv:1504.00702).  Each of the last feature maps becomes one keypoint, the mean
pixel position under the soft-max of the map, so the encoder can only say *where*, which is what reaching needs.
Images are kept channels-last throughout: on a CPU that saves about half of the time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SHARPNESS = 30.0  # of the last convolution at the start, against torch's default
SHIFT_GROUP = 8  # images that are shifted together


class _SoftArgmax(torch.autograd.Function):
    """Mean position and mean height of each map under its own soft-max, with the gradient in closed form.

    Autograd's own would keep and pass over the maps twice as often; this is the encoder's widest place.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, grid: Tensor) -> Tensor:
        """``maps`` (B, P, K) over P pixels, ``grid`` (P, 2) to (B, 3, K): x, y, height."""
        weights = torch.softmax(maps, dim=1)
        points = grid.T @ weights  # (B, 2, K)
        height = torch.linalg.vecdot(weights, maps, dim=1)[:, None]  # (B, 1, K)
        ctx.save_for_backward(maps, weights, grid, points, height)
        return torch.cat((points, height), dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """d out / d map_p = weight_p · (grid_p − point) for positions, weight_p · (1 + map_p − height) for heights."""
        maps, weights, grid, points, height = ctx.saved_tensors
        to_points, to_height = gradients[0][:, :2], gradients[0][:, 2:]
        offset = to_height * (1 - height) - (points * to_points).sum(1, keepdim=True)  # (B, 1, K)
        out = grid @ to_points  # (B, P, K)
        return out.addcmul_(maps, to_height).add_(offset).mul_(weights), None


class KeypointEncoder(nn.Module):
    """One camera's encoder: images to ``3 · keypoints`` numbers (x and y in [−1, 1], and strength).

    :param channels: feature maps of three convolutions (strides 2, 2, 1); the last is the number of keypoints.
    :param size: (height, width) of the images.
    """

    def __init__(self, channels: tuple[int, int, int], size: tuple[int, int]) -> None:
        super().__init__()
        a, b, c = channels
        self.net = nn.Sequential(
            nn.Conv2d(3, a, 5, 2, 2), nn.ReLU(), nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(), nn.Conv2d(b, c, 3, 1, 1)
        )
        with torch.no_grad():
            # At torch's default the soft-max is nearly flat: all keypoints sit in the middle and learn slowly.  Sharp maps
            # stick to whatever stands out from the mean image (measured: docs/policies.md).
            self.net[4].weight.mul_(SHARPNESS)  # type: ignore[operator]
            self.net[4].bias.zero_()  # type: ignore[operator]
        h, w = -(-size[0] // 4), -(-size[1] // 4)
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        self.grid: Tensor
        self.register_buffer("grid", torch.stack((xs.flatten(), ys.flatten()), dim=1), persistent=False)  # (P, 2)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, h, w)`` float, channels-last, to ``(B, 3·keypoints)``."""
        maps = self.net(images).permute(0, 2, 3, 1).flatten(1, 2)  # (B, P, K)
        found: Tensor = _SoftArgmax.apply(maps, self.grid)  # type: ignore[no-untyped-call]
        return torch.cat((found[:, :2], torch.tanh(found[:, 2:] / 4)), dim=1).flatten(1)


def shift_at_random(images: Tensor, pixels: int, generator: torch.Generator) -> None:
    """Move images in place by whole pixels, up to ``pixels`` each way; ``SHIFT_GROUP`` neighbours move together.

    What leaves on one side comes in on the other, which does no harm: at the edges images equal the mean image.

    :param images: ``(B, 3, h, w)`` float, zero where an image equals the mean image.
    """
    if pixels == 0:
        return
    groups = torch.split(images, SHIFT_GROUP)
    offsets = torch.randint(-pixels, pixels + 1, (len(groups), 2), generator=generator).tolist()
    for group, (dy, dx) in zip(groups, offsets, strict=True):
        if dy or dx:
            group.copy_(group.roll((dy, dx), dims=(2, 3)))
