"""The RealSense driver on librealsense's own recordings: every frame once, in the stream's units and view."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.drivers.realsense import RealSense
from telerig.hardware.clock import RealClock
from telerig.hardware.depth import decode_depth
from telerig.hardware.errors import DeviceLost, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

from .realsense_rig import MS, H, W, picture, play, rs


def video(kind: Any, uid: int, pixel: Any, size: int, focal: float) -> Any:
    stream, lens = rs.video_stream(), rs.intrinsics()
    stream.type, stream.index, stream.uid, stream.fmt, stream.bpp = kind, 0, uid, pixel, size
    stream.width, stream.height, stream.fps = W, H, 30
    lens.width, lens.height, lens.fx, lens.fy, lens.ppx, lens.ppy = W, H, focal, focal, 31.5, 23.5
    lens.model, lens.coeffs = rs.distortion.none, [0.0] * 5
    stream.intrinsics = lens
    return stream


def record(path: Path, n: int, unit: float = 0.001, focal: float = 50.0, baseline: float = 0.0) -> None:
    """A recording of ``n`` pairs: frame k is at 1000 + k · 33.335 ms and has the depth 1 m / unit + k."""
    write(path, n, unit, focal, baseline)  # returns when nothing holds the file any more
    pace(path)


def write(path: Path, n: int, unit: float, focal: float, baseline: float) -> None:
    """The recording, as fast as it can be written."""
    device = rs.software_device()
    color_sensor, depth_sensor = device.add_sensor("RGB Camera"), device.add_sensor("Stereo Module")
    color = color_sensor.add_video_stream(video(rs.stream.color, 1, rs.format.rgb8, 3, 50.0))
    depth = depth_sensor.add_video_stream(video(rs.stream.depth, 2, rs.format.z16, 2, focal))
    depth_sensor.add_read_only_option(rs.option.depth_units, unit)
    move = rs.extrinsics()
    move.rotation, move.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [baseline, 0, 0]
    depth.register_extrinsics_to(color, move)
    recorder = rs.recorder(str(path), device)
    queue = rs.frame_queue(2 * n + 2)
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles())
        sensor.start(queue)
    for k in range(1, n + 1):
        images = picture(k), np.full((H, W), round(1.0 / unit) + k, np.uint16)
        for sensor, profile, image in zip((color_sensor, depth_sensor), (color, depth), images, strict=True):
            frame = rs.software_video_frame()
            size = image.itemsize * (3 if image.ndim == 3 else 1)
            frame.pixels, frame.stride, frame.bpp = image, W * size, size
            frame.timestamp, frame.domain = 1000 + k * 33.335, rs.timestamp_domain.hardware_clock
            frame.frame_number, frame.profile, frame.depth_units = k, profile.as_video_stream_profile(), unit
            sensor.on_video_frame(frame)
            queue.wait_for_frame()
    for sensor in sensors:
        sensor.stop()
        sensor.close()


def pace(path: Path, period: int = 20 * MS) -> None:
    """Give a recording a pace: it was written as fast as it can be, and a player stumbles over one without any."""
    with closing(sqlite3.connect(path)) as file, file:
        images = "SELECT id FROM topics WHERE name LIKE '%/image/%'"
        for (topic,) in file.execute(images).fetchall():
            rows = file.execute("SELECT id FROM messages WHERE topic_id = ? ORDER BY id", (topic,)).fetchall()
            instants = [(k * period, row) for k, (row,) in enumerate(rows)]
            file.executemany("UPDATE messages SET timestamp = ? WHERE id = ?", instants)


def play_all(device: RealSense) -> list[Sample]:
    """Everything until the recording ends."""
    out: list[Sample] = []
    device.open()
    with pytest.raises(DeviceLost, match="played to its end"):  # noqa: PT012
        for _ in range(200):
            out += device.read(0.05)
    device.close()
    return out


def test_playback_gives_every_frame_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    record(path, 12)
    device = play(RealClock(), path)
    meta = device.streams[0].blobs[0].meta
    assert (meta["fx"], meta["cx"]) == (50.0, 31.5)
    got = play_all(device)
    for stream in ("color", "depth"):
        numbers = [s.seq_device for s in got if s.stream == f"head/{stream}"]
        assert numbers == sorted(set(numbers))  # playback alone repeats almost every frame
        assert numbers
    for s in got:
        assert s.t_device == round((1000 + s.seq_device * 33.335) * 1e6)
        if s.stream == "head/depth":
            assert (decode_depth(s.blob("depth")) == 1000 + s.seq_device).all()


def test_other_depth_units_become_the_stream_s(tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    record(path, 12, unit=0.0001)
    depths = [s for s in play_all(play(RealClock(), path)) if s.stream == "head/depth"]
    for s in depths:
        assert (decode_depth(s.blob("depth")) == round((10000 + s.seq_device) * 0.1)).all()
    assert depths


def test_depth_is_brought_to_the_colour_camera_s_view(tmp_path: Path) -> None:
    """A depth camera of twice the focal length sees the middle of what the colour camera sees."""
    path = tmp_path / "a.db3"
    record(path, 12, focal=100.0)
    aligned = [s for s in play_all(play(RealClock(), path)) if s.stream == "head/depth"]
    image = decode_depth(aligned[0].blob("depth"))
    assert (image[H // 4 + 2 : -H // 4 - 2, W // 4 + 2 : -W // 4 - 2] > 1000).all()
    assert (image[: H // 4 - 2] == 0).all()
    assert (image[:, : W // 4 - 2] == 0).all()
    device = play(RealClock(), path, align=False)
    assert device.streams[1].blobs[0].meta["fx"] == 100.0
    raw = [s for s in play_all(device) if s.stream == "head/depth"]
    assert (decode_depth(raw[0].blob("depth")) > 1000).all()


def test_a_shifted_depth_camera_is_aligned_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    record(path, 12, baseline=0.2)  # 10 px at 1 m
    image = decode_depth(next(s for s in play_all(play(RealClock(), path)) if s.stream == "head/depth").blob("depth"))
    assert (image[:, :9] == 0).all()
    assert (image[:, 11:] > 1000).mean() > 0.95  # rounding leaves a row of holes


def test_a_format_the_recording_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    record(path, 2)
    device = RealSense(RealSense.Config(str(path), width=640, height=480), DeviceContext("head", RealClock()))
    with pytest.raises(DeviceOpenError, match="does not start"):
        device.open()
