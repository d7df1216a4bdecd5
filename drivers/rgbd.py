"""What cameras' streams look like: intrinsics, a colour stream of JPEGs, a depth stream of 16 bit images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from telerig.hardware.depth import MEDIA_TYPE, max_bytes
from telerig.hardware.specs import BlobSpec, StreamSpec

UNIT_M = 0.001  # what one step of a 16 bit depth image means, as RealSense cameras ship
CAPACITY_S = 1.0


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera, px.  Pixel centres have whole coordinates (as in OpenCV).

    :param distortion_model, distortion: as the camera's maker names them; empty for none.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = ""
    distortion: tuple[float, ...] = ()

    @staticmethod
    def unknown(width: int, height: int) -> Intrinsics:
        """Of a camera that cannot be asked (it is not connected): only its size is known, the rest is NaN."""
        return Intrinsics(width, height, math.nan, math.nan, math.nan, math.nan)

    @staticmethod
    def from_fovy(width: int, height: int, fovy_deg: float) -> Intrinsics:
        """From a vertical field of view: square pixels, axis through the middle of the image."""
        f = 0.5 * height / math.tan(math.radians(fovy_deg) / 2)
        return Intrinsics(width, height, f, f, (width - 1) / 2, (height - 1) / 2)

    def meta(self) -> dict[str, Any]:
        """As a blob's ``meta``; what is unknown is left out."""
        out: dict[str, Any] = {"width": self.width, "height": self.height}
        if math.isfinite(self.fx):
            out |= {"fx": self.fx, "fy": self.fy, "cx": self.cx, "cy": self.cy}
        if self.distortion_model:
            out |= {"distortion_model": self.distortion_model, "distortion": list(self.distortion)}
        return out


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
    blob = BlobSpec("depth", max_bytes(w, h), MEDIA_TYPE, f"{device}_optical", meta)
    return StreamSpec(f"{device}/depth", (blob,), fps, CAPACITY_S)
