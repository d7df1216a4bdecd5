"""The RealSense driver on real librealsense: software device, recordings, and the traps that parts of it set."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from telerig.drivers import realsense, realsense_sources
from telerig.drivers.realsense import RealSense
from telerig.drivers.realsense_sources import SoftFrame, find_usb
from telerig.drivers.rgbd import Intrinsics
from telerig.hardware.clock import RealClock, VirtualClock
from telerig.hardware.depth import decode_depth
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError, MissingExtra
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Layout, Sample

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


# --- the software device -------------------------------------------------------------------------------------------


def test_every_pair_comes_out_of_the_read_that_put_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    device, _ = soft(monkeypatch, clock)
    device.open()
    for n in range(1, 61):
        clock.advance(35 * MS)
        color, depth = device.read(0)
        assert (color.stream, depth.stream) == ("head/color", "head/depth")
        for sample in (color, depth):
            assert (sample.seq_device, sample.t_device) == (n, n * 33_335_000)
            assert sample.t_arrival == clock.now()
            assert sample.t_sample <= sample.t_arrival
        assert np.array_equal(decode_depth(depth.blob("depth")), distances(n))
        seen = simplejpeg.decode_jpeg(color.blob("jpeg")).astype(int)
        assert np.abs(seen - picture(n)).mean() < 4.0
    device.close()


def test_two_runs_are_equal_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[Any]:
        clock = VirtualClock()
        device, _ = soft(monkeypatch, clock)
        device.open()
        got = frames(device, clock, 20)
        device.close()
        return [(s.stream, s.t_sample, s.sigma_t, s.t_device, s.seq_device, *s.data.values()) for s in got]

    first = run()
    assert len(first) == 40
    assert run() == first


def test_frames_come_at_the_camera_s_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    device, _ = soft(monkeypatch, clock, depth=False)
    device.open()
    got = []
    for _ in range(200):
        clock.advance(5 * MS)
        got += device.read(0)
    assert [s.stream for s in got] == ["head/color"] * 30
    assert [s.name for s in device.streams] == ["head/color"]
    device.close()


def test_samples_fit_their_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, events = VirtualClock(), []
    device, _ = soft(monkeypatch, clock, events)
    specs = {s.name: s for s in device.streams}
    device.open()
    for sample in frames(device, clock, 1):
        layout = Layout(specs[sample.stream])
        memory = memoryview(bytearray(layout.size))
        layout.pack_into(memory, 0, sample, 0)
        assert layout.unpack_from(memory, 0).data == dict(sample.data)
    meta = specs["head/depth"].blobs[0].meta
    assert (meta["fx"], meta["cx"], meta["unit_m"]) == (50.0, 31.5, 0.001)
    assert events == []  # the pipeline's own intrinsics agree
    device.close()


def test_a_source_with_nothing_new_is_lost_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    device, source = soft(monkeypatch, clock)
    device.open()
    assert len(frames(device, clock, 3)) == 6
    source.ready = False
    assert frames(device, clock, 28) == []
    with pytest.raises(DeviceLost, match="no frame arrived within 1 s"):
        frames(device, clock, 2)
    device.close()
    assert source.closed


def test_it_opens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    device, _ = soft(monkeypatch, clock)
    for _ in range(3):
        device.open()
        assert [s.seq_device for s in frames(device, clock, 2)] == [1, 1, 2, 2]
        device.close()
    device.close()
    with pytest.raises(DeviceLost, match="not open"):
        device.read(0)


def test_a_swallowed_frame_is_loss_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    device, _ = soft(monkeypatch, clock)
    device.open()
    monkeypatch.setattr(realsense_sources, "WAIT_MS", 30)
    monkeypatch.setattr(realsense_sources.SoftwareSource, "_inject", lambda self, frame: None)
    with pytest.raises(DeviceLost, match="software frame 1 within 30 ms"):
        frames(device, clock, 1)
    device.close()


def test_other_intrinsics_than_the_stream_says_are_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, events = VirtualClock(), []
    device, source = soft(monkeypatch, clock, events)
    _ = device.streams
    source.intrinsics = Intrinsics(W, H, 51.0, 50.0, 31.5, 23.5)
    device.open()
    assert [(e.code, e.data["fx"]) for e in events] == [("camera.intrinsics", 51.0)]
    device.close()


def test_a_software_device_is_not_on_usb() -> None:
    """It cannot be found by serial number even where it was added to the context, hence ``pipeline.set_device``."""
    context, device = rs.context(), rs.software_device()
    device.add_to(context)
    with pytest.raises(DeviceOpenError, match="no RealSense camera with serial number 0; none is connected"):
        find_usb(rs, "0")


# --- recordings ----------------------------------------------------------------------------------------------------


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


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"source": "software:blender", "embodiment": "x", "camera": "y"}, "software:mujoco"),
        ({"source": "clip.mp4"}, "usb, a .db3 or .bag file, software:mujoco"),
        ({"source": "software:mujoco"}, "needs the keys embodiment and camera"),
        ({"quality": 0}, "allowed is 1 to 100"),
    ],
)
def test_config_mistakes(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        RealSense.Config(**keys)


def test_what_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    clock = VirtualClock()
    usb = RealSense(RealSense.Config(serial="123456"), DeviceContext("head", clock))
    assert "fx" not in usb.streams[0].blobs[0].meta  # nobody to ask
    assert usb.streams[0].blobs[0].meta["width"] == 640
    with pytest.raises(DeviceOpenError, match="serial number 123456; none is connected"):
        usb.open()
    with pytest.raises(DeviceOpenError, match="exactly one RealSense camera must be connected"):
        RealSense(RealSense.Config(), DeviceContext("head", clock)).open()
    with pytest.raises(DeviceOpenError, match="no such recording"):
        play(clock, tmp_path / "missing.db3").open()
    (tmp_path / "broken.db3").write_bytes(b"no recording")
    with pytest.raises(DeviceOpenError, match="does not start"):
        play(clock, tmp_path / "broken.db3").open()


def test_a_format_the_recording_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    record(path, 2)
    device = RealSense(RealSense.Config(str(path), width=640, height=480), DeviceContext("head", RealClock()))
    with pytest.raises(DeviceOpenError, match="does not start"):
        device.open()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(MissingExtra, match=r"telerig\[realsense\]"):
        realsense._librealsense()


# --- a simulated camera behind it ----------------------------------------------------------------------------------


class States:
    """``world/state``, set by hand."""

    spec: Any = None
    sample: Sample | None = None

    def latest(self) -> Sample | None:
        return self.sample

    def window(self, t0: int, t1: int) -> list[Sample]:
        return []


def test_a_simulated_head_camera_through_librealsense() -> None:
    pytest.importorskip("mujoco", reason="the extra 'sim' is not installed")
    from telerig.drivers.mujoco.frames import Frames, View
    from telerig.drivers.mujoco.plant import Plant

    clock, states, events = VirtualClock(), States(), []
    view = View("g1_like", "pick_place", "upper", True, "head", 160, 120)
    config = RealSense.Config(
        "software:mujoco", width=160, height=120, embodiment="g1_like", task="pick_place", camera="head"
    )
    device = RealSense(config, DeviceContext("head", clock, None, {"world/state": states}, events.append))
    assert device.inputs == ("world/state",)
    plant = Plant(view_scene())
    plant.reset(4, 0, robot=True)
    device.open()
    clock.advance(40 * MS)
    t = clock.now() - 2 * MS
    data = {"qpos": plant.data.qpos.copy(), "mocap": plant.mocap()}
    states.sample = Sample("world/state", t, t, data, 0, 35 * MS)
    color, depth = device.read(0)
    shown = Frames(view, states, True).next()
    assert shown is not None
    assert color.t_device == depth.t_device == 35 * MS  # the state's own time, as the camera's hardware stamp
    assert np.array_equal(decode_depth(depth.blob("depth")), shown.depth)
    assert np.abs(simplejpeg.decode_jpeg(color.blob("jpeg")).astype(int) - shown.rgb).mean() < 3.0
    assert events == []
    device.close()


def view_scene() -> Any:
    from telerig.drivers.mujoco.scene import build_scene

    return build_scene("g1_like", "pick_place")
