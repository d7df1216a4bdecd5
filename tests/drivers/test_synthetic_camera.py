"""The synthetic camera: heavy enough, cheap enough to matter, the same for the same seed, every frame accounted for."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from telerig.drivers.emulation_control import send_fault
from telerig.drivers.emulation_journal import read_journal
from telerig.drivers.synthetic_camera import (
    MARGIN,
    Pictures,
    SyntheticCamera,
    SyntheticCameraConfig,
    frame_number,
)
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

SMALL = SyntheticCameraConfig(width=192, height=144)


def camera(config: SyntheticCameraConfig = SMALL) -> tuple[SyntheticCamera, VirtualClock, list[Event]]:
    clock, events = VirtualClock(), []
    device = SyntheticCamera(config, DeviceContext("cam", clock, emit=events.append))
    device.open()
    return device, clock, events


def run(device: SyntheticCamera, clock: VirtualClock, ticks: int) -> list[Sample]:
    samples: list[Sample] = []
    for _ in range(ticks):
        samples += device.read(0)
        clock.advance(5_000_000)
    return samples


def test_frames_of_640_by_480_have_60_kilobytes_or_more_and_fit() -> None:
    device, clock, _ = camera(SyntheticCameraConfig())
    frames = [s.blob("jpeg") for s in run(device, clock, 200)]
    assert len(frames) == 30
    assert min(map(len, frames)) >= 60_000
    assert max(map(len, frames)) <= device.streams[0].blobs[0].max_bytes
    assert simplejpeg.decode_jpeg_header(frames[0])[:2] == (480, 640)
    meta = device.streams[0].blobs[0].meta
    assert (meta["width"], meta["height"]) == (640, 480)
    assert meta["fx"] > 0


def test_each_frame_carries_its_number_and_is_another_picture() -> None:
    device, clock, events = camera()
    samples = run(device, clock, 400)
    images = [simplejpeg.decode_jpeg(s.blob("jpeg")) for s in samples]
    assert [frame_number(i) for i in images] == [s.seq_device for s in samples] == list(range(60))
    assert events == []
    still = np.mean([np.abs(a.astype(int) - b).mean() < 4.0 for a, b in pairwise(images)])
    assert still < 0.2, "the picture hardly moves"
    assert frame_number(Pictures(SMALL).picture(0xABCDEF)) == 0xABCDEF


def test_noise_has_sigma_4_and_is_new_in_every_frame() -> None:
    pictures = Pictures(SMALL)
    plates = [p.astype(float) for p in pictures._plates]
    for a, b in pairwise(plates):
        assert (a - b).std() / np.sqrt(2) == pytest.approx(4.0, abs=0.1)
    pictures._rates[:] = 0.0  # nothing moves: what differs is noise
    first, second = (pictures.picture(k)[16:].astype(float) for k in (0, 1))
    changed = (first - second)[np.abs(first - second).max(axis=-1) > 0]
    assert len(changed) > 0.6 * first[..., 0].size
    assert changed.std() / np.sqrt(2) == pytest.approx(4.0, abs=0.2)
    assert plates[0].shape == (144 + MARGIN, 192 + MARGIN, 3)
    assert plates[0].std() > 15, "there is no texture"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    a, b, c = (
        [s.blob("jpeg") for s in run(*camera(config)[:2], 40)]
        for config in (SMALL, SMALL, SyntheticCameraConfig(width=192, height=144, seed=1))
    )
    assert a == b
    assert all(x != y for x, y in zip(a, c, strict=True))


def test_frames_are_stamped_when_due_and_late_ones_are_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "cam.journal"
    device, clock, events = camera(SyntheticCameraConfig(width=192, height=144, fps=50.0, journal=str(path)))
    start = clock.now()
    samples = run(device, clock, 40)  # 0.2 s
    clock.advance(500_000_000)
    samples += run(device, clock, 40)
    assert all(s.t_sample == start + s.seq_device * 20_000_000 for s in samples if s.seq_device is not None)
    assert [s.seq_device for s in samples] == [*range(10), *range(35, 45)]
    assert all(s.t_arrival >= s.t_sample for s in samples)
    assert [(e.code, e.data["count"]) for e in events] == [("device.frames_skipped", 25)]
    assert device.produced == len(samples)
    device.close()
    journal = read_journal(path)
    assert journal["seq"].tolist() == [s.seq_device for s in samples]
    assert journal["t_ns"].tolist() == [s.t_sample for s in samples]


def test_read_waits_for_the_frame_and_not_longer() -> None:
    class Sleeper(VirtualClock):
        def sleep_until(self, t: int) -> None:
            if t > self.now():
                self.advance(t - self.now())

    clock = Sleeper()
    device = SyntheticCamera(SMALL, DeviceContext("cam", clock))
    with pytest.raises(DeviceOpenError, match="cam: read before open"):
        device.read(0)
    device.open()
    start = clock.now()
    assert len(device.read(1.0)) == 1
    assert clock.now() == start
    assert device.read(0.01) == []
    assert clock.now() == start + 10_000_000
    assert len(device.read(0.5)) == 1
    assert clock.now() == start + 33_333_333


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ConfigError, match="frames of 100×100; from 192×64"):
        SyntheticCameraConfig(width=100, height=100)
    with pytest.raises(ConfigError, match="fps 0"):
        SyntheticCameraConfig(fps=0)
    clock = VirtualClock()
    device = SyntheticCamera(SyntheticCameraConfig(journal="/nowhere/x"), DeviceContext("cam", clock))
    with pytest.raises(DeviceOpenError, match="journal /nowhere/x: No such file"):
        device.open()


def order(folder: Path, device: SyntheticCamera, name: str, kind: str, **how: float) -> None:
    """Ask for a fault while the camera is being read, as its worker does."""
    problem: list[ConfigError] = []

    def asking() -> None:
        try:
            send_fault(folder, name, kind, **how)
        except ConfigError as error:
            problem.append(error)

    asks = threading.Thread(target=asking)
    asks.start()
    try:
        while asks.is_alive():
            with suppress(DeviceLost):
                device.read(0)
    finally:
        asks.join()
    if problem:
        raise problem[0]


def test_its_cable_can_be_pulled_for_a_while(tmp_path: Path) -> None:
    device, clock, _ = camera(replace(SMALL, faults=str(tmp_path / "faults")))
    with pytest.raises(ConfigError, match="no device 'other' here"):
        order(tmp_path / "faults", device, "other", "unplug")
    with pytest.raises(ConfigError, match="'explode' is unknown"):
        order(tmp_path / "faults", device, "cam", "explode")
    order(tmp_path / "faults", device, "cam", "unplug", seconds=2)
    with pytest.raises(DeviceLost, match="unplugged"):
        device.read(0)
    device.close()
    clock.advance(1_900_000_000)
    with pytest.raises(DeviceOpenError, match="unplugged"):
        device.open()
    clock.advance(200_000_000)
    device.open()
    assert len(device.read(0)) == 1
    device.close()
    assert not list((tmp_path / "faults").iterdir())
