"""Any camera that OpenCV opens: USB (UVC) cameras by index or path, network cameras by URL.  Needs the extra ``uvc``.

A thread of its own takes the frames, so that each is stamped when it arrives and ``read`` keeps its timeout, which
OpenCV's blocking calls do not.  A JPEG that the camera has made is kept as it came where OpenCV hands it over (V4L2).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.loss_report import LossReport
from telerig.drivers.rgbd import Intrinsics, color_stream
from telerig.hardware.errors import ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError, MissingExtra
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

QUEUE = 4  # frames; whoever is slower than this loses the oldest, and is told
JPEG_START = b"\xff\xd8"


@dataclass(frozen=True, slots=True)
class UvcCameraConfig:
    """The camera's keys in a rig file.

    :param source: index, path (``/dev/v4l/by-id/…`` stays the same when cameras are re-plugged) or URL.
    :param quality: of JPEGs made here, where the camera gives none.
    :param fovy_deg: vertical field of view, from the data sheet; intrinsics follow from it.
    :param timeout_s: without a frame for so long the camera counts as lost.
    """

    source: int | str = 0
    width: int = 640
    height: int = 480
    fps: float = 30.0
    quality: int = 92
    fovy_deg: float = 43.0
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        if not (0 < self.width <= 8192 and 0 < self.height <= 8192 and 0 < self.fps <= 1000):
            raise ConfigError(f"{self.width}×{self.height} at {self.fps} Hz is no camera's format")
        if not (0 < self.fovy_deg < 180 and 1 <= self.quality <= 100 and self.timeout_s > 0):
            raise ConfigError("fovy_deg must lie in 0…180, quality in 1…100, timeout_s above 0")


@dataclass(frozen=True, slots=True)
class Grabbed:
    """A frame as OpenCV gave it, when, and what the capture says its own time is (ms)."""

    number: int
    t_arrival: int
    position_ms: float
    image: NDArray[np.uint8]


class Grabber:
    """Takes frames from a capture in a thread and keeps the newest few."""

    def __init__(self, capture: Any, position: int, context: DeviceContext) -> None:
        self.dropped = 0
        self.ended = False
        self._capture, self._position, self._context = capture, position, context
        self._frames: deque[Grabbed] = deque()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"{context.name} frames", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> list[Grabbed]:
        """All frames since the last call, waiting at most so long for one."""
        with self._news:
            self._news.wait_for(lambda: self._frames or self.ended, timeout_s)
            frames = list(self._frames)
            self._frames.clear()
        return frames

    def stop(self) -> None:
        """End the thread.  One that hangs in the camera's driver ends with its call; nothing waits for it."""
        self.ended = True
        self._thread.join(0.5)

    def _run(self) -> None:
        number = 0
        try:
            while not self.ended and self._capture.grab():
                now = self._context.clock.now()
                good, image = self._capture.retrieve()
                if not good:
                    break
                frame = Grabbed(number, now, float(self._capture.get(self._position)), image)
                number += 1
                with self._news:
                    if len(self._frames) == QUEUE:
                        self._frames.popleft()
                        self.dropped += 1
                    self._frames.append(frame)
                    self._news.notify()
        finally:
            self._capture.release()
            with self._news:
                self.ended = True
                self._news.notify()


class UvcCamera:
    """Streams ``NAME/color``.  ``t_sample``: the kernel's stamp where the capture gives it (V4L2), or the arrival."""

    Config = UvcCameraConfig

    def __init__(self, config: UvcCameraConfig, context: DeviceContext) -> None:
        self._config, self._context = config, context
        self.inputs: tuple[str, ...] = ()
        lens = Intrinsics.from_fovy(config.width, config.height, config.fovy_deg)
        self.streams = (color_stream(context.name, lens, config.fps),)
        self._grabber: Grabber | None = None
        self._newest = 0

    def open(self) -> None:
        """:raises DeviceOpenError: no such camera.  :raises MissingExtra: OpenCV is not installed."""
        try:
            import cv2
        except ImportError:
            raise MissingExtra("opencv-python-headless", "uvc")
        capture = self._capture(cv2)
        if not capture.isOpened():
            capture.release()
            raise DeviceOpenError(f"{self._context.name}: camera {self._config.source!r} cannot be opened")
        self._losses = LossReport(self._context)
        self._grabber = Grabber(capture, cv2.CAP_PROP_POS_MSEC, self._context)
        self._newest = self._context.clock.now()

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """The frames that arrived.  :raises DeviceLost: the camera gives no more."""
        if self._grabber is None:
            raise DeviceOpenError(f"{self._context.name}: read before open")
        samples = [self._sample(frame) for frame in self._grabber.take(timeout_s)]
        self._losses.update("device.frames_dropped", self._grabber.dropped, "frames not fetched in time")
        if samples:
            self._newest = samples[-1].t_arrival
        elif self._grabber.ended:
            raise DeviceLost(f"{self._context.name}: camera {self._config.source!r} gives no more frames")
        elif self._context.clock.now() - self._newest > self._config.timeout_s * 1e9:
            raise DeviceLost(f"{self._context.name}: no frame for {self._config.timeout_s:g} s")
        return samples

    def close(self) -> None:
        """Let go of the camera."""
        if self._grabber is not None:
            self._grabber.stop()
            self._grabber = None

    def _capture(self, cv2: Any) -> Any:
        """An OpenCV capture with one buffer (old frames are worth nothing) and, if it can, the camera's own JPEGs."""
        config = self._config
        if isinstance(config.source, str) and "://" in config.source:
            limit = round(config.timeout_s * 1000)
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
            capture = cv2.VideoCapture(config.source, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(config.source)
            mjpg = cv2.VideoWriter.fourcc(*"MJPG")
            capture.set(cv2.CAP_PROP_FOURCC, mjpg)
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
            capture.set(cv2.CAP_PROP_FPS, config.fps)
            if capture.get(cv2.CAP_PROP_FOURCC) == mjpg:
                capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return capture

    def _sample(self, frame: Grabbed) -> Sample:
        jpeg, width, height = self._jpeg(frame.image)
        config = self._config
        if (width, height) != (config.width, config.height):
            wanted = f"the rig file says {config.width}×{config.height}"
            raise DeviceIdentityError(
                f"{self._context.name}: the camera gives {width}×{height}, {wanted}: change width, height"
            )
        t_device, t_sample, sigma = None, frame.t_arrival, round(0.5e9 / config.fps)
        stamp = round(frame.position_ms * 1e6)  # V4L2: the kernel's monotonic clock; elsewhere anything
        if 0 <= frame.t_arrival - (stamp + self._context.clock.offset_ns) < 1_000_000_000:
            t_device, t_sample, sigma = stamp, stamp + self._context.clock.offset_ns, 1_000_000
        data = {"jpeg": jpeg}
        return Sample(self.streams[0].name, frame.t_arrival, t_sample, data, sigma, t_device, frame.number)

    def _jpeg(self, image: NDArray[np.uint8]) -> tuple[bytes, int, int]:
        """The frame as JPEG, its width and height; as received where it is one."""
        import simplejpeg

        if image.ndim == 1 or (image.ndim == 2 and image.shape[0] == 1):
            raw = image.tobytes()
            if not raw.startswith(JPEG_START):
                raise DeviceLost(f"{self._context.name}: the camera sent {len(raw)} bytes that are no JPEG")
            height, width, *_ = simplejpeg.decode_jpeg_header(raw)
            return raw, width, height
        pixels = np.ascontiguousarray(image)
        colours = "BGR" if pixels.ndim == 3 else "GRAY"
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        made: bytes = simplejpeg.encode_jpeg(pixels, self._config.quality, colours, "420", fastdct=True)
        return made, image.shape[1], image.shape[0]
