"""Intel RealSense depth cameras through librealsense: colour and depth with the camera's own timestamps.

See docs/realsense.md for what librealsense does that one would not expect, and which test holds each of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.frame_clock import FrameClock
from telerig.drivers.realsense_lens import agrees, intrinsics_of, same_geometry, stored_intrinsics
from telerig.drivers.realsense_sources import (
    FileSource,
    Format,
    FrameSource,
    Simulated,
    SoftwareSource,
    Source,
    UsbSource,
    find_usb,
)
from telerig.drivers.rgbd import UNIT_M, Intrinsics, color_stream, depth_stream
from telerig.hardware.clockfit import ClockFit
from telerig.hardware.depth import encode_depth
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError, MissingExtra
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import DeviceContext, StreamReader
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec

LOST_NS = 1_000_000_000


def _librealsense() -> Any:
    try:
        import pyrealsense2
    except ImportError as error:
        raise MissingExtra("pyrealsense2", "realsense") from error
    return pyrealsense2


class RealSense:
    """The device ``realsense``: ``NAME/color`` (JPEG) and ``NAME/depth`` (lossless, aligned to colour).

    ``t_device`` is the camera's timestamp, ``seq_device`` its frame number; ``t_sample`` comes from a fit of the
    camera's clock to the session's.
    """

    @dataclass(frozen=True)
    class Config:
        """Rig keys.

        :param source: ``usb``; a recording's path (``.db3``, ``.bag``); or ``software:mujoco``: librealsense's software
            device fed by a simulated camera, for which the keys from ``world`` on mean what they mean in
            ``mujoco_camera`` (``embodiment`` and ``camera`` are then required).
        :param serial: USB camera's serial number; "" where only one is connected.
        :param align: bring depth to the colour camera's view.
        :param quality: of the JPEG, 1 to 100.
        """

        source: str = "usb"
        serial: str = ""
        width: int = 640
        height: int = 480
        fps: int = 30
        depth: bool = True
        align: bool = True
        quality: int = 90
        world: str = "world"
        embodiment: str = ""
        task: str = ""
        target: str = "upper"
        hold_pelvis: bool = True
        camera: str = ""

        def __post_init__(self) -> None:
            software = self.source.startswith("software:")
            if software and self.source != "software:mujoco":
                raise ConfigError(f"source is '{self.source}', known software sources: software:mujoco")
            if not software and self.source != "usb" and not self.source.endswith((".db3", ".bag")):
                raise ConfigError(f"source is '{self.source}', allowed are usb, a .db3 or .bag file, software:mujoco")
            if software and not (self.embodiment and self.camera):
                raise ConfigError("source software:mujoco needs the keys embodiment and camera")
            if not 1 <= self.quality <= 100:
                raise ConfigError(f"quality is {self.quality}, allowed is 1 to 100")

        @property
        def simulated(self) -> bool:
            """Whether a simulated camera feeds it."""
            return self.source.startswith("software:")

    def __init__(self, config: Config, context: DeviceContext) -> None:
        self.config, self.context = config, context
        self._clock = FrameClock(context.clock, config.fps)
        self._streams: tuple[StreamSpec, ...] | None = None
        self._pipeline: Any = None
        self._running = False
        self._source: Source | None = None
        self._align: Any = None
        self._scale = 1.0  # camera's depth unit in units of the stream's
        self._fits: dict[str, ClockFit] = {}
        self._last: dict[str, int] = {}  # stream → number of the newest frame passed on
        self._heard = 0

    # --- before opening ------------------------------------------------------------------------------------------

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """Colour and depth; their intrinsics are asked of the camera, and left out while none is connected."""
        if self._streams is None:
            c, name = self.config, self.context.name
            lens, depth_lens = self._intrinsics()
            color = color_stream(name, lens, c.fps)
            depth = depth_stream(name, lens if c.align else depth_lens, c.fps)
            self._streams = (color, depth) if c.depth else (color,)
        return self._streams

    @property
    def inputs(self) -> tuple[str, ...]:
        """A simulated camera reads its world's state."""
        return (f"{self.config.world}/state",) if self.config.simulated else ()

    def _intrinsics(self) -> tuple[Intrinsics, Intrinsics]:
        """Of colour and of depth."""
        c = self.config
        if c.simulated:
            lens: Intrinsics = self._view().intrinsics
            return lens, lens
        rs = _librealsense()
        try:
            device = find_usb(rs, c.serial) if c.source == "usb" else rs.context().load_device(c.source)
        except (DeviceOpenError, RuntimeError):
            unknown = Intrinsics.unknown(c.width, c.height)
            return unknown, unknown
        color, depth = (stored_intrinsics(device, k, c.width, c.height) for k in (rs.stream.color, rs.stream.depth))
        return color, depth

    def _view(self) -> Any:
        from telerig.drivers.mujoco.frames import View

        c = self.config
        return View(c.embodiment, c.task, c.target, c.hold_pelvis, c.camera, c.width, c.height)

    # --- opening -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the pipeline.

        :raises DeviceOpenError: no such camera or recording, held by another program, or it has no such format.
        :raises MissingExtra: pyrealsense2 is not installed.
        """
        rs, c = _librealsense(), self.config
        self.close()
        self._pipeline, config = rs.pipeline(), rs.config()
        # without enable_stream a software device gives nothing ("No streams are selected!")
        config.enable_stream(rs.stream.color, c.width, c.height, rs.format.rgb8, c.fps)
        if c.depth:
            config.enable_stream(rs.stream.depth, c.width, c.height, rs.format.z16, c.fps)
        self._source = self._make_source()
        try:
            self._source.prepare(rs, self._pipeline, config)
            profile = self._pipeline.start(config)
        except RuntimeError as error:
            self._forget()
            raise DeviceOpenError(f"{self.context.name}: {c.source} does not start: {error}") from error
        self._running = True
        self._configure(rs, profile)
        self._fits, self._last = {}, {}
        self._heard = self.context.clock.now()

    def _make_source(self) -> Source:
        c = self.config
        if c.source == "usb":
            return UsbSource(c.serial)
        if not c.simulated:
            return FileSource(c.source)
        states = self.context.inputs[self.inputs[0]]
        return SoftwareSource(lambda: self._simulated(states), self._clock, Format(c.width, c.height, c.fps, c.depth))

    def _simulated(self, states: StreamReader) -> FrameSource:
        from telerig.drivers.mujoco.frames import Frames

        return Simulated(Frames(self._view(), states, self.config.depth), self._view().intrinsics)

    def _configure(self, rs: Any, profile: Any) -> None:
        """Depth unit and alignment; images of one geometry need none (librealsense's changes 2 % of the pixels)."""
        self._align, self._scale = None, 1.0
        if not self.config.depth:
            return
        color, depth = (profile.get_stream(k).as_video_stream_profile() for k in (rs.stream.color, rs.stream.depth))
        self._scale = profile.get_device().first_depth_sensor().get_depth_scale() / UNIT_M
        if abs(self._scale - 1.0) < 1e-6:  # the camera says 0.0010000000475
            self._scale = 1.0
        if self.config.align and not same_geometry(color, depth):
            self._align = rs.align(rs.stream.color)
        self._tell_surprises(color)

    def _tell_surprises(self, color: Any) -> None:
        """An event where the camera that opened has other intrinsics than the stream says."""
        found = intrinsics_of(color)
        if not agrees(found, self.streams[0].blobs[0].meta):
            text = f"{self.context.name}: the camera's intrinsics are not those of its stream; restart the session"
            now = self.context.clock.now()
            self.context.emit(Event(now, Level.WARNING, self.context.name, "camera.intrinsics", text, found.meta()))

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """The next colour and depth frame, each once.

        :raises DeviceLost: unplugged, silent for a second, the recording's end, or not open.
        """
        source, clock = self._source, self.context.clock
        if source is None:
            raise DeviceLost(f"{self.context.name}: not open")
        try:
            frames = source.frameset(self._pipeline, timeout_s)
        except RuntimeError as error:
            raise DeviceLost(f"{self.context.name}: {error}") from error
        if frames is not None:
            self._heard = clock.now()
            return self._samples(frames)
        if source.ended():
            raise DeviceLost(f"{self.context.name}: {self.config.source} has been played to its end")
        if clock.now() - self._heard > LOST_NS:
            raise DeviceLost(f"{self.context.name}: no frame arrived within 1 s")
        return []

    def _samples(self, frames: Any) -> list[Sample]:
        now, out = self.context.clock.now(), []
        color = frames.get_color_frame()
        if color and self._is_new("color", color):
            from simplejpeg import encode_jpeg

            image = np.ascontiguousarray(np.asanyarray(color.get_data()))
            jpeg = encode_jpeg(image, self.config.quality, "RGB", "420", fastdct=True)
            out.append(self._sample("color", "jpeg", color, jpeg, now))
        depth = frames.get_depth_frame() if self.config.depth else None
        if depth and self._is_new("depth", depth):
            if self._align is not None:
                depth = self._align.process(frames).get_depth_frame()
            out.append(self._sample("depth", "depth", depth, encode_depth(self._depth_mm(depth)), now))
        return out

    def _is_new(self, stream: str, frame: Any) -> bool:
        """A pipeline repeats the older frame of a pair that does not match: playback gives two framesets a pair."""
        number = frame.get_frame_number()
        new = bool(self._last.get(stream) != number)
        self._last[stream] = number
        return new

    def _depth_mm(self, frame: Any) -> NDArray[np.uint16]:
        image: NDArray[np.uint16] = np.array(frame.get_data(), np.uint16)
        if self._scale == 1.0:
            return image
        scaled = np.rint(image * self._scale)
        return np.where(scaled > 65535, 0, scaled).astype(np.uint16)

    def _sample(self, stream: str, field: str, frame: Any, blob: bytes, arrival: int) -> Sample:
        t_device = round(frame.get_timestamp() * 1e6)  # ms; doubles hold Unix ms to 0.25 us
        t_sample, sigma = self._fits.setdefault(stream, ClockFit()).update(t_device, arrival)
        name = f"{self.context.name}/{stream}"
        return Sample(name, arrival, t_sample, {field: blob}, sigma, t_device, frame.get_frame_number())

    # --- the end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the pipeline; a camera that is gone closes without complaint."""
        if self._running:
            with contextlib.suppress(RuntimeError):
                self._pipeline.stop()
        self._forget()

    def _forget(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source = self._pipeline = self._align = None
        self._running = False
