"""Depth as 16 bit PNG, for datasets: slower and larger than telerig's own encoding, but everybody reads it."""

from __future__ import annotations

import numpy as np

from telerig.hardware.depth import decode_depth
from telerig.hardware.errors import DataError, MissingExtra


def depth_to_png(data: bytes) -> bytes:
    """A depth image of a raw log as PNG.

    :raises DataError: it is damaged.
    :raises MissingExtra: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingExtra("opencv-python-headless (needed to write depth as PNG; or build with --no-depth)", "uvc")
    image = decode_depth(data)
    # horizontal differences suit depth: measured 0.5 to 2 ms a 320×240 image, the default 2 ms and larger
    how = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]
    done, png = cv2.imencode(".png", image, how)
    if not done:
        raise DataError(f"OpenCV cannot encode a depth image of {image.shape}")
    return bytes(png.tobytes())


def png_to_depth(data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """The depth image ``(height, width)`` of a PNG.

    :raises DataError: it is none of 16 bit.
    :raises MissingExtra: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingExtra("opencv-python-headless", "uvc")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        raise DataError("not a PNG of 16 bit and one channel")
    found: np.ndarray[tuple[int, int], np.dtype[np.uint16]] = image
    return found
