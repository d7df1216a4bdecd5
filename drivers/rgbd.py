"""What cameras' streams look like: intrinsics, a colour stream of JPEGs, a depth stream of 16 bit images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from telerig.hardware.specs import BlobSpec, StreamSpec

DEPTH_MEDIA_TYPE = "application/x-telerig-depth"
UNIT_M = 0.001  # what one step of a 16 bit depth image means, as RealSense cameras ship
CAPACITY_S = 1.0


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera without distortion, px.  Pixel centres have whole coordinates (as in OpenCV)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @staticmethod
    def from_fovy(width: int, height: int, fovy_deg: float) -> Intrinsics:
        """From a vertical field of view: square pixels, axis through the middle of the image."""
        f = 0.5 * height / math.tan(math.radians(fovy_deg) / 2)
        return Intrinsics(width, height, f, f, (width - 1) / 2, (height - 1) / 2)

    def meta(self) -> dict[str, float]:
        """As a blob's ``meta``."""
        return {"width": self.width, "height": self.height, "fx": self.fx, "fy": self.fy, "cx": self.cx, "cy": self.cy}


def color_stream(device: str, intrinsics: Intrinsics, fps: float) -> StreamSpec:
    """``DEVICE/color``: one JPEG a frame, RGB once decoded."""
    w, h = intrinsics.width, intrinsics.height
    meta = {**intrinsics.meta(), "color_order": "rgb"}
    # noise at quality 100 takes about 2 bytes a pixel; headers and tables fit in the rest
    blob = BlobSpec("jpeg", 2 * w * h + 4096, "image/jpeg", f"{device}_optical", meta)
    return StreamSpec(f"{device}/color", (blob,), fps, CAPACITY_S)


def depth_stream(device: str, intrinsics: Intrinsics, fps: float, unit_m: float = UNIT_M) -> StreamSpec:
    """``DEVICE/depth``: distance along the optical axis in steps of ``unit_m``, 0 = unknown, lossless."""
    w, h = intrinsics.width, intrinsics.height
    meta = {**intrinsics.meta(), "unit_m": unit_m}
    # zstd adds at most 1/256 to what does not compress
    blob = BlobSpec("depth", 2 * w * h + w * h // 64 + 4096, DEPTH_MEDIA_TYPE, f"{device}_optical", meta)
    return StreamSpec(f"{device}/depth", (blob,), fps, CAPACITY_S)
