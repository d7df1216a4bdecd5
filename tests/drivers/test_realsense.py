"""The RealSense driver on real librealsense: its software device, and the traps that parts of it set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from telerig.drivers import realsense, realsense_sources
from telerig.drivers.realsense import RealSense
from telerig.drivers.realsense_sources import find_usb
from telerig.drivers.rgbd import Intrinsics
from telerig.hardware.clock import VirtualClock
from telerig.hardware.depth import decode_depth
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError, MissingExtra
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Layout, Sample

from .realsense_rig import MS, H, W, distances, frames, picture, play, rs, soft

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
