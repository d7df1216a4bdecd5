"""What librealsense knows of its streams' geometry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from telerig.drivers.rgbd import Intrinsics


def intrinsics_of(profile: Any) -> Intrinsics:
    """Of a video stream profile."""
    i = profile.get_intrinsics()
    bent = any(i.coeffs)
    model = str(i.model).rsplit(".", 1)[-1] if bent else ""
    return Intrinsics(i.width, i.height, i.fx, i.fy, i.ppx, i.ppy, model, tuple(i.coeffs) if bent else ())


def stored_intrinsics(device: Any, stream: Any, width: int, height: int) -> Intrinsics:
    """What a connected camera or a recording knows of one of its streams at that size; unknown if it has no such."""
    for sensor in device.query_sensors():
        for profile in sensor.get_stream_profiles():
            if profile.stream_type() == stream and profile.is_video_stream_profile():
                found = intrinsics_of(profile.as_video_stream_profile())
                if (found.width, found.height) == (width, height):
                    return found
    return Intrinsics.unknown(width, height)


def same_geometry(a: Any, b: Any) -> bool:
    """Whether two streams see the same through the same lens from the same place."""
    if intrinsics_of(a) != intrinsics_of(b):
        return False
    move = b.get_extrinsics_to(a)
    turned = not np.allclose(move.rotation, np.eye(3).ravel(), atol=1e-6)
    return not turned and bool(np.allclose(move.translation, 0.0, atol=1e-6))


def agrees(found: Intrinsics, said: Mapping[str, Any]) -> bool:
    """Whether a stream's ``meta`` says what was found, to the single precision in which librealsense keeps it."""
    for key, value in found.meta().items():
        other = said.get(key)
        if isinstance(value, float):
            if other is None or not math.isclose(value, other, rel_tol=1e-6, abs_tol=1e-6):
                return False
        elif value != other:
            return False
    return True
