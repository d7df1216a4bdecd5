"""Camera intrinsics of a stream as one ``foxglove.CameraCalibration`` message, so that any viewer can project."""

from __future__ import annotations

from typing import Any

from telerig.datasets.rawlog_schema import CALIBRATION, IMAGE, descriptor_set, kind_of
from telerig.hardware.specs import StreamSpec


def intrinsics(spec: StreamSpec) -> dict[str, Any] | None:
    """Width, height, fx, fy, cx, cy (pixels), distortion model and coefficients of an image stream, by those names.

    They come from its blob's ``meta``, flat or in a table ``intrinsics``; None where they are not declared.
    """
    if kind_of(spec) != IMAGE:
        return None
    meta = dict(spec.blobs[0].meta)
    nested = meta.get("intrinsics")
    if isinstance(nested, dict):
        meta |= nested
    if any(meta.get(key) is None for key in ("width", "height", "fx", "fy", "cx", "cy")):
        return None
    out: dict[str, Any] = {key: int(meta[key]) for key in ("width", "height")}
    out |= {key: float(meta[key]) for key in ("fx", "fy", "cx", "cy")}
    out["distortion_model"] = str(meta.get("distortion_model", ""))
    out["distortion"] = [float(v) for v in meta.get("distortion", ())]
    return out


def calibration_message(spec: StreamSpec, t: int) -> bytes | None:
    """The serialized message for an image stream, or None without intrinsics.  ``t``: session clock, ns."""
    values = intrinsics(spec)
    if values is None:
        return None
    from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration

    message = CameraCalibration(
        frame_id=spec.blobs[0].frame or spec.name,
        width=values["width"],
        height=values["height"],
        distortion_model=values["distortion_model"],
        D=values["distortion"],
        K=[values["fx"], 0, values["cx"], 0, values["fy"], values["cy"], 0, 0, 1],
        R=[1, 0, 0, 0, 1, 0, 0, 0, 1],
        P=[values["fx"], 0, values["cx"], 0, 0, values["fy"], values["cy"], 0, 0, 0, 1, 0],
    )
    message.timestamp.seconds, message.timestamp.nanos = divmod(t, 1_000_000_000)
    return bytes(message.SerializeToString(deterministic=True))


def calibration_schema() -> bytes:
    """The FileDescriptorSet of these messages."""
    return descriptor_set(CALIBRATION)
