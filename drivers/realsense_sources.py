"""Where a RealSense pipeline's frames come from: a camera on USB, a recorded file, or librealsense's software device.

Each source configures a pipeline and afterwards says what to do before a read; everything behind ``pipeline.start`` is
the same code for all three (:mod:`telerig.drivers.realsense`).  librealsense's software device cannot leave its process
and is invisible to its device list, hence the route ``pipeline.set_device``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.frame_clock import FrameClock
from telerig.drivers.rgbd import UNIT_M, Intrinsics
from telerig.hardware.errors import DeviceLost, DeviceOpenError

WAIT_MS = 1000  # for what was injected; it takes 0.2 ms


@dataclass(frozen=True, slots=True)
class Format:
    """What is asked of the pipeline; depth and colour of one size."""

    width: int
    height: int
    fps: int
    depth: bool


@dataclass(frozen=True, slots=True, eq=False)
class SoftFrame:
    """A frame to inject: ``rgb`` ``(h, w, 3)`` u1; ``depth`` ``(h, w)`` u2 mm or None; device time ns."""

    t_device: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16] | None


class FrameSource(Protocol):
    """Feeds a software device; ``next`` is called once a frame period and may have nothing."""

    @property
    def intrinsics(self) -> Intrinsics: ...
    def next(self) -> SoftFrame | None: ...
    def close(self) -> None: ...


class Source(Protocol):
    """``prepare`` is called before ``pipeline.start``, ``frameset`` for every read: what has arrived, or None."""

    def prepare(self, rs: Any, pipeline: Any, config: Any) -> None: ...
    def frameset(self, pipeline: Any, timeout_s: float) -> Any: ...
    def ended(self) -> bool: ...
    def close(self) -> None: ...


def _wait(pipeline: Any, timeout_s: float) -> Any:
    """The next frameset, None if none came in time."""
    ok, frames = pipeline.try_wait_for_frames(max(1, round(timeout_s * 1000)))
    return frames if ok else None


class UsbSource:
    """A camera on USB, by serial number; "" takes the only one.

    :raises DeviceOpenError: not there, or several and no number given.
    """

    def __init__(self, serial: str) -> None:
        self._serial = serial

    def prepare(self, rs: Any, pipeline: Any, config: Any) -> None:
        """Name the camera in the configuration."""
        config.enable_device(find_usb(rs, self._serial).get_info(rs.camera_info.serial_number))

    def frameset(self, pipeline: Any, timeout_s: float) -> Any:
        """Wait for the camera."""
        return pipeline.poll_for_frames() or None if timeout_s <= 0 else _wait(pipeline, timeout_s)

    def ended(self) -> bool:
        """A camera never ends; it is lost."""
        return False

    def close(self) -> None:
        """Nothing of its own."""


def find_usb(rs: Any, serial: str) -> Any:
    """The camera with that serial number.  :raises DeviceOpenError: not there, or "" and not exactly one."""
    found = {d.get_info(rs.camera_info.serial_number): d for d in rs.context().query_devices()}
    if serial in found:
        return found[serial]
    there = f"; there: {', '.join(found)}" if found else "; none is connected"
    if serial:
        raise DeviceOpenError(f"no RealSense camera with serial number {serial}{there}")
    if len(found) != 1:
        raise DeviceOpenError(f"exactly one RealSense camera must be connected, or its serial number given{there}")
    return next(iter(found.values()))


class FileSource:
    """A recording (``.db3``, or ``.bag`` of older versions), played back once at the pace it was recorded.

    Frames that are not read in time are left out, as with a camera.  librealsense's other mode, as fast as one reads,
    is not offered: 3 of 40 runs of it gave no frame at all (2.59.1).

    :raises DeviceOpenError: no such file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._playback: Any = None
        self._rs: Any = None
        if not Path(path).is_file():
            raise DeviceOpenError(f"{path}: no such recording")

    def prepare(self, rs: Any, pipeline: Any, config: Any) -> None:
        """Name the file in the configuration."""
        config.enable_device_from_file(self._path, repeat_playback=False)
        self._rs = rs

    def frameset(self, pipeline: Any, timeout_s: float) -> Any:
        """Wait for the player."""
        if self._playback is None:
            self._playback = pipeline.get_active_profile().get_device().as_playback()
        return pipeline.poll_for_frames() or None if timeout_s <= 0 else _wait(pipeline, timeout_s)

    def ended(self) -> bool:
        """Whether the recording has been played to its end."""
        stopped = self._rs.playback_status.stopped
        return self._playback is not None and bool(self._playback.current_status() == stopped)

    def close(self) -> None:
        """Let the player go."""
        self._playback = None


class SoftwareSource:
    """librealsense's software device, fed in this process at the camera's rate.

    Injecting a pair and receiving it are one call, so that it works in virtual time too; the pipeline's threads make
    that wait about 0.2 ms, never more than one second.

    :param make: opens the frame source (its off-screen context belongs to the thread that reads).
    """

    def __init__(self, make: Callable[[], FrameSource], clock: FrameClock, form: Format) -> None:
        self._make, self._clock, self._form = make, clock, form
        self._frames: FrameSource | None = None
        self._number = 0
        self._inputs: list[tuple[Any, Any, int]] = []  # sensor, profile, bytes a pixel
        self._rs: Any = None
        self._device: Any = None

    def prepare(self, rs: Any, pipeline: Any, config: Any) -> None:
        """Build the device and put it under the pipeline."""
        self._rs, self._frames = rs, self._make()
        self._device = rs.software_device()
        self._device.register_info(rs.camera_info.name, "software device")
        self._device.register_info(rs.camera_info.serial_number, "0")
        color = self._add(rs, "RGB Camera", rs.stream.color, rs.format.rgb8, 3)
        if self._form.depth:
            depth = self._add(rs, "Stereo Module", rs.stream.depth, rs.format.z16, 2)
            depth[0].add_read_only_option(rs.option.depth_units, UNIT_M)
            same = rs.extrinsics()
            same.rotation, same.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
            depth[1].register_extrinsics_to(color[1], same)
        self._device.create_matcher(rs.matchers.default)
        pipeline.set_device(self._device)
        self._clock.restart()

    def _add(self, rs: Any, sensor_name: str, kind: Any, pixel: Any, size: int) -> tuple[Any, Any, int]:
        assert self._frames is not None
        sensor, stream = self._device.add_sensor(sensor_name), rs.video_stream()
        stream.type, stream.index, stream.uid, stream.fmt, stream.bpp = kind, 0, len(self._inputs) + 1, pixel, size
        stream.width, stream.height, stream.fps = self._form.width, self._form.height, self._form.fps
        lens, given = rs.intrinsics(), self._frames.intrinsics
        lens.width, lens.height, lens.fx, lens.fy = given.width, given.height, given.fx, given.fy
        lens.ppx, lens.ppy, lens.model, lens.coeffs = given.cx, given.cy, rs.distortion.none, [0.0] * 5
        stream.intrinsics = lens
        self._inputs.append((sensor, sensor.add_video_stream(stream), size))
        return self._inputs[-1]

    def frameset(self, pipeline: Any, timeout_s: float) -> Any:
        """Wait for the frame's deadline, inject it, and take it out of the pipeline.

        :raises DeviceLost: the pipeline swallowed it.
        """
        assert self._frames is not None
        if self._clock.wait(timeout_s) is None:
            return None
        frame = self._frames.next()
        if frame is None:
            return None
        self._number += 1
        self._inject(frame)
        while (found := _wait(pipeline, WAIT_MS / 1000)) is not None:
            if all(f.get_frame_number() == self._number for f in found) and found.size() == len(self._inputs):
                return found
        raise DeviceLost(f"the pipeline did not deliver software frame {self._number} within {WAIT_MS} ms")

    def _inject(self, frame: SoftFrame) -> None:
        rs = self._rs
        images = [frame.rgb, frame.depth] if self._form.depth and frame.depth is not None else [frame.rgb]
        for (sensor, profile, size), image in zip(self._inputs, images, strict=True):
            made = rs.software_video_frame()
            made.pixels, made.stride, made.bpp = image, self._form.width * size, size
            made.timestamp, made.domain = frame.t_device / 1e6, rs.timestamp_domain.hardware_clock
            made.frame_number, made.profile = self._number, profile.as_video_stream_profile()
            if size == 2:
                made.depth_units = UNIT_M
            sensor.set_metadata(rs.frame_metadata_value.sensor_timestamp, frame.t_device // 1000)
            sensor.on_video_frame(made)

    def ended(self) -> bool:
        """A world that stands still sends nothing, which is loss, not an end."""
        return False

    def close(self) -> None:
        """Close the frame source."""
        if self._frames is not None:
            self._frames.close()
        self._frames = self._device = None
        self._inputs.clear()


class Simulated:
    """A simulated camera as a :class:`FrameSource`: device time is the world's clock."""

    def __init__(self, frames: Any, intrinsics: Intrinsics) -> None:
        self._frames, self.intrinsics = frames, intrinsics

    def next(self) -> SoftFrame | None:
        """A frame of a state not shown before."""
        frame = self._frames.next()
        if frame is None:
            return None
        state = frame.state
        return SoftFrame(state.t_sample if state.t_device is None else state.t_device, frame.rgb, frame.depth)

    def close(self) -> None:
        """Free the off-screen context."""
        self._frames.close()
