"""The RealSense driver on scripted frames and on recordings, for tests; skips where librealsense is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.drivers.realsense import RealSense
from telerig.drivers.realsense_sources import SoftFrame
from telerig.drivers.rgbd import Intrinsics
from telerig.hardware.clock import VirtualClock
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

rs = pytest.importorskip("pyrealsense2", reason="the extra 'realsense' is not installed")

MS = 1_000_000
W, H = 64, 48
LENS = Intrinsics(W, H, 50.0, 50.0, 31.5, 23.5)


def picture(n: int) -> np.ndarray:
    """A smooth colour image that says which it is."""
    y, x = np.mgrid[:H, :W]
    return np.stack((x * 3, y * 4, np.full_like(x, 7 * n % 250)), axis=-1).astype(np.uint8)


def distances(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 65535, (H, W), np.uint16)


class Scripted:
    """A frame source: frame ``n`` at device time ``n`` · 33.335 ms, as long as ``ready``."""

    intrinsics = LENS

    def __init__(self) -> None:
        self.n, self.ready, self.closed = 0, True, False

    def next(self) -> SoftFrame | None:
        if not self.ready:
            return None
        self.n += 1
        return SoftFrame(self.n * 33_335_000, picture(self.n), distances(self.n))

    def close(self) -> None:
        self.closed = True


class View:
    intrinsics = LENS


def soft(
    monkeypatch: pytest.MonkeyPatch, clock: Any, events: list[Event] | None = None, **keys: Any
) -> tuple[RealSense, Scripted]:
    """The driver on a software device whose frames are scripted; everything from ``pipeline.start`` on is real."""
    source = Scripted()
    monkeypatch.setattr(RealSense, "_view", lambda self: View())
    monkeypatch.setattr(RealSense, "_simulated", lambda self, states: source)
    config = RealSense.Config("software:mujoco", width=W, height=H, embodiment="x", camera="y", **keys)
    emit = (events if events is not None else []).append
    return RealSense(config, DeviceContext("head", clock, None, {"world/state": object()}, emit)), source  # type: ignore[dict-item]


def play(clock: Any, path: Path, events: list[Event] | None = None, **keys: Any) -> RealSense:
    config = RealSense.Config(str(path), width=W, height=H, **keys)
    emit = (events if events is not None else []).append
    return RealSense(config, DeviceContext("head", clock, emit=emit))


def frames(device: RealSense, clock: VirtualClock, n: int) -> list[Sample]:
    out: list[Sample] = []
    for _ in range(n):
        clock.advance(35 * MS)
        out += device.read(0)
    return out
