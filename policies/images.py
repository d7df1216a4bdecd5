"""From a camera's JPEG to the small picture a policy sees.  Training and inference both call :func:`small_image`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DataError


@lru_cache(maxsize=32)
def _area_weights(source: int, target: int) -> NDArray[np.float32]:
    """Exact area resampling along one axis as a matrix ``(target, source)``; rows sum to 1."""
    edges = np.linspace(0.0, source, target + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source)[None, :]
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0.0, None)
    return np.ascontiguousarray(overlap / overlap.sum(axis=1, keepdims=True), np.float32)


def area_resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Reduce ``(h, w, 3)`` to ``(*size, 3)`` by averaging over areas; the aspect ratio is not kept."""
    h, w, c = image.shape
    if (h, w) == size:
        return image
    rows = _area_weights(h, size[0]) @ image.reshape(h, w * c).astype(np.float32)  # (H, w*c)
    columns = rows.reshape(size[0], w, c).transpose(0, 2, 1) @ _area_weights(w, size[1]).T  # (H, c, W)
    out: NDArray[np.uint8] = np.clip(np.rint(columns.transpose(0, 2, 1)), 0, 255).astype(np.uint8)
    return out


def small_image(jpeg: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a JPEG (RGB) and reduce it to ``(*size, 3)`` uint8.

    The decoder may halve the picture in the DCT domain while it stays at least as large as ``size``.

    :raises DataError: the bytes are no JPEG.
    """
    import simplejpeg

    try:
        image = simplejpeg.decode_jpeg(jpeg, "RGB", min_height=size[0], min_width=size[1])
    except ValueError as error:
        raise DataError(f"not a JPEG of {len(jpeg)} bytes: {error}")
    return area_resize(image, size)
