"""Rendering a simulated world: what is seen, when it was, and what it takes."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import simplejpeg

from telerig.drivers.frame_clock import FrameClock
from telerig.drivers.mujoco import gl
from telerig.drivers.mujoco.camera import MujocoCamera
from telerig.drivers.mujoco.plant import Plant
from telerig.drivers.mujoco.render import Renderer
from telerig.drivers.mujoco.scene import build_scene, load_task
from telerig.drivers.rgbd import Intrinsics
from telerig.hardware.clock import VirtualClock
from telerig.hardware.depth import decode_depth
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError, MissingExtra
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Layout, Sample

MS = 1_000_000


class LateClock:
    """A real clock's face with a hand-set time: sleeping arrives late by ``late``."""

    virtual, offset_ns = False, 0

    def __init__(self) -> None:
        self.t, self.late = 1_700_000_000_000_000_000, 0

    def now(self) -> int:
        return self.t

    def sleep_until(self, t: int) -> None:
        self.t, self.late = max(self.t, t) + self.late, 0


class States:
    """``world/state`` with the newest sample set by hand."""

    spec: Any = None

    def __init__(self, clock: Any, seed: int = 1) -> None:
        self.plant, self.sample = Plant(build_scene("g1_like", "pick_place")), None
        self.clock, self.t0 = clock, clock.now()
        self.plant.reset(seed, 0, robot=True)
        self.show()

    def show(self, age_ns: int = 0) -> None:
        t = self.clock.now() - age_ns
        data = {"qpos": self.plant.data.qpos.copy(), "mocap": self.plant.mocap()}
        self.sample: Sample | None = Sample("world/state", t, t, data, 0, t - self.t0)

    def latest(self) -> Sample | None:
        return self.sample

    def window(self, t0: int, t1: int) -> list[Sample]:
        return []


def camera(clock: Any, states: States, events: list[Event] | None = None, **keys: Any) -> MujocoCamera:
    config = MujocoCamera.Config(**{"embodiment": "g1_like", "camera": "front", "task": "pick_place", **keys})
    emit = (events if events is not None else []).append
    return MujocoCamera(config, DeviceContext("front", clock, None, {"world/state": states}, emit))


def test_frames_carry_the_state_s_time_not_theirs() -> None:
    clock = VirtualClock()
    states = States(clock)
    cam = camera(clock, states, depth=True)
    cam.open()
    clock.advance(50 * MS)
    states.show(age_ns=17 * MS)
    color, depth = cam.read(0)
    assert (color.stream, depth.stream) == ("front/color", "front/depth")
    for sample in (color, depth):
        assert (sample.t_sample, sample.t_arrival) == (clock.now() - 17 * MS, clock.now())
        assert sample.t_device == 33 * MS
    cam.close()
    with pytest.raises(DeviceLost, match="not open"):
        cam.read(0)


def test_samples_fit_their_streams() -> None:
    clock = VirtualClock()
    cam = camera(clock, States(clock), depth=True)
    specs = {s.name: s for s in cam.streams}
    cam.open()
    for sample in cam.read(0):
        layout = Layout(specs[sample.stream])
        memory = memoryview(bytearray(layout.size))
        layout.pack_into(memory, 0, sample, 1)
        assert layout.unpack_from(memory, 0).data == dict(sample.data)
        meta = specs[sample.stream].blobs[0].meta
        assert (meta["width"], meta["height"]) == (320, 240)
    cam.close()


def test_same_state_same_bytes_and_another_state_others() -> None:
    clock = VirtualClock()
    states = States(clock)
    shots = []
    for _ in range(2):
        cam = camera(clock, states, depth=True)
        cam.open()
        states.show()
        shots.append([next(iter(s.data.values())) for s in cam.read(0)])
        cam.close()
    assert shots[0] == shots[1]
    other = States(clock, seed=2)
    cam = camera(clock, other, depth=True)
    cam.open()
    assert all(next(iter(s.data.values())) != b for s, b in zip(cam.read(0), shots[0], strict=True))
    cam.close()


def test_thirty_frames_a_second_in_virtual_time() -> None:
    clock = VirtualClock()
    states = States(clock)
    cam = camera(clock, states, width=32, height=24)
    cam.open()
    numbers, gaps, last = [], [], clock.now()
    for _ in range(200):
        clock.advance(5 * MS)
        states.show()
        for sample in cam.read(0):
            numbers.append(sample.seq_device)
            gaps.append(sample.t_sample - last)
            last = sample.t_sample
    assert numbers == list(range(30))
    assert set(gaps[1:]) == {30 * MS, 35 * MS}
    assert (cam.frames, cam.frames_due) == (30, 30)
    cam.close()


def test_a_late_camera_skips_and_says_so() -> None:
    clock, events = LateClock(), []
    states = States(clock)
    cam = camera(clock, states, events, width=32, height=24)
    cam.open()
    assert cam.read(0.05)[0].seq_device == 0
    clock.late = 110 * MS
    states.show(age_ns=1)
    (frame,) = cam.read(0.05)
    assert (frame.seq_device, cam.frames, cam.frames_due) == (4, 2, 5)
    assert [(e.code, e.data["total"]) for e in events] == [("device.frames_skipped", 3)]
    before = clock.now()
    states.show()
    (frame,) = cam.read(0.05)  # no burst: the next one is a whole deadline away
    assert frame.seq_device == 5
    assert clock.now() - before > 20 * MS
    cam.close()


def test_a_world_that_stands_still_makes_no_frames() -> None:
    clock, events = VirtualClock(), []
    states = States(clock)
    cam = camera(clock, states, events, width=32, height=24)
    cam.open()
    assert len(cam.read(0)) == 1
    for _ in range(3):
        clock.advance(40 * MS)
        assert cam.read(0) == []
    states.sample = None
    clock.advance(40 * MS)
    assert cam.read(0) == []
    assert [e.code for e in events] == ["device.frames_skipped"]
    cam.close()


def test_deadlines_are_absolute() -> None:
    clock = LateClock()
    frames, t0 = FrameClock(clock, 30.0), clock.now()
    assert frames.wait(1.0) == 0
    for k in range(1, 200):
        clock.late = 3 * MS
        assert frames.wait(1.0) == k
        assert clock.now() == t0 + round(k * 1e9 / 30) + 3 * MS
    assert frames.wait(0.001) is None
    frames.restart()
    assert frames.wait(0.0) == 200


# --- what is seen --------------------------------------------------------------------------------------------------


def project(renderer: Renderer, plant: Plant, name: str, point: np.ndarray) -> tuple[float, float, float]:
    """Pixel and distance along the axis of a world point, from mujoco's camera pose and the stated intrinsics."""
    cam = plant.data.cam(name)
    x, y, z = cam.xmat.reshape(3, 3).T @ (point - cam.xpos)
    i = renderer.intrinsics
    return i.cx + i.fx * x / -z, i.cy - i.fy * y / -z, -z


@pytest.mark.parametrize("name", ["front", "head"])
def test_intrinsics_and_depth_say_where_the_target_is(name: str) -> None:
    states = States(VirtualClock(), seed=3)
    plant = states.plant
    plant._mj.mj_forward(plant.model, plant.data)
    renderer = Renderer(plant.scene.model, name, 320, 240)
    rgb, depth = renderer.render(plant.data.qpos, plant.mocap(), depth=True)
    assert depth is not None
    assert plant.scene.task is not None
    target = plant.data.xpos[plant.scene.task.target] + [0, 0, 0.002]
    u, v, z = project(renderer, plant, name, target)
    blue = rgb[..., 2].astype(int) - rgb[..., :2].max(axis=-1) > 60
    rows, columns = np.nonzero(blue)
    assert len(rows) > 20
    if name == "front":  # wholly in view: its middle is the disc's middle
        assert abs(columns.mean() - u) < 1.5
        assert abs(rows.mean() - v) < 1.5
        assert abs(depth[round(v), round(u)] / 1000 - z) < 0.004
    assert blue[min(239, max(0, round(v))), min(319, max(0, round(u)))] or name == "head"


def test_depth_of_the_table_is_a_plane() -> None:
    """Every pixel of the table top, put back into the world by depth and intrinsics, lies at the table's height."""
    states = States(VirtualClock(), seed=3)
    plant = states.plant
    plant._mj.mj_forward(plant.model, plant.data)
    renderer = Renderer(plant.scene.model, "front", 320, 240)
    _, depth = renderer.render(plant.data.qpos, plant.mocap(), depth=True)
    assert depth is not None
    cam, i = plant.data.cam("front"), renderer.intrinsics
    v, u = np.mgrid[:240, :320]
    z = depth / 1000.0
    points = (
        np.stack(((u - i.cx) / i.fx * z, -(v - i.cy) / i.fy * z, -z), axis=-1) @ cam.xmat.reshape(3, 3).T + cam.xpos
    )
    heights = points[..., 2][depth > 0]
    assert (np.abs(heights - load_task("pick_place").TABLE_TOP) < 0.002).mean() > 0.2
    assert heights.min() > -0.01  # nothing below the floor


@pytest.mark.parametrize("name", ["front", "head"])
def test_what_is_left_out_was_not_in_view(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    states = States(VirtualClock(), seed=3)
    model, plant = build_scene("g1_like", "pick_place").model, states.plant
    for shift in (0.0, 0.4, -0.7):
        qpos = plant.data.qpos.copy()
        qpos[:14] += shift
        culled = Renderer(model, name, 160, 120)
        rgb, depth = culled.render(qpos, plant.mocap(), depth=True)
        with monkeypatch.context() as patch:
            patch.setattr(Renderer, "_cull", lambda self: None)
            every = Renderer(model, name, 160, 120)
            whole, far = every.render(qpos, plant.mocap(), depth=True)
        assert np.array_equal(rgb, whole)
        assert np.array_equal(depth, far)
        assert name != "head" or culled._scene.ngeom < 0.6 * every._scene.ngeom


def test_intrinsics_of_a_field_of_view() -> None:
    lens = Intrinsics.from_fovy(320, 240, 90.0)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == pytest.approx((120.0, 120.0, 159.5, 119.5))
    assert Intrinsics.unknown(4, 3).meta() == {"width": 4, "height": 3}
    assert replace(lens, distortion_model="x", distortion=(1.0,)).meta()["distortion"] == [1.0]


def test_depth_travels_losslessly_and_far_is_unknown() -> None:
    clock = VirtualClock()
    states = States(clock)
    cam = camera(clock, states, depth=True)
    cam.open()
    color, depth = cam.read(0)
    renderer = Renderer(states.plant.scene.model, "front", 320, 240)
    rgb, mm = renderer.render(states.plant.data.qpos, states.plant.mocap(), depth=True)
    assert np.array_equal(decode_depth(depth.blob("depth")), mm)
    seen = simplejpeg.decode_jpeg(color.blob("jpeg"))
    assert np.abs(seen.astype(int) - rgb).mean() < 2.0
    up = build_scene("g1_like").model  # no floor, no table: the sky has no distance
    _, sky = Renderer(up, "head", 64, 48).render(up.qpos0, depth=True)
    assert sky is not None
    assert (sky == 0).any()
    cam.close()


def test_mistakes_are_one_line() -> None:
    clock = VirtualClock()
    states = States(clock)
    with pytest.raises(ConfigError, match="camera 'tail' is not in the model; it has front, head"):
        _ = camera(clock, states, camera="tail").streams
    for key, value in (("width", 5), ("fps", 0.0), ("quality", 101)):
        with pytest.raises(ConfigError, match=f"{key}.* allowed is"):
            camera(clock, states, **{key: value})


# --- what it needs -------------------------------------------------------------------------------------------------


def test_opengl_is_chosen_by_what_the_system_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL")
    have: set[str] = set()

    def load(name: str) -> object:
        if name not in have:
            raise OSError(name)
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert gl.choose_gl() == "disable"
    have |= set(gl.LIBRARIES["osmesa"])
    assert gl.choose_gl() == "osmesa"
    have |= set(gl.LIBRARIES["egl"])
    assert gl.choose_gl() == "egl"
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert gl.choose_gl() == "osmesa"


def test_without_opengl_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    cam = camera(clock, States(clock))
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(DeviceOpenError, match=r"apt-get install -y .*libegl1 libgl1 libgl1-mesa-dri"):
        cam.open()


def test_without_mujoco_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(MissingExtra, match=r"pip install 'telerig\[sim\]'"):
        gl.load_mujoco()
