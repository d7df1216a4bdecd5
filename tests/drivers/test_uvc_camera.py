"""The OpenCV camera: a real capture of MJPEG over HTTP, and what V4L2 does differently on a stand-in capture."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import simplejpeg

from telerig.drivers.synthetic_camera import Pictures, SyntheticCameraConfig, frame_number
from telerig.drivers.uvc_camera import QUEUE, UvcCamera, UvcCameraConfig
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext

PICTURES = Pictures(SyntheticCameraConfig(width=192, height=144))
BOUNDARY = b"telerigframe"


class Stream:
    """An MJPEG server: sends a frame for every permit, ends its connections when told."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.stopping = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=" + BOUNDARY.decode())
                self.end_headers()
                k = 0
                try:
                    while not outer.stopping:
                        if not outer.permits.acquire(timeout=0.05):
                            continue
                        jpeg = simplejpeg.encode_jpeg(PICTURES.picture(k), 92, "RGB", "420")
                        size = str(len(jpeg)).encode()
                        part = (
                            b"--" + BOUNDARY + b"\r\nContent-Type: image/jpeg\r\nContent-Length: " + size + b"\r\n\r\n"
                        )
                        self.wfile.write(part + jpeg + b"\r\n")
                        k += 1
                except OSError:
                    return

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/stream.mjpg"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.stopping = True
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def stream() -> Iterator[Stream]:
    served = Stream()
    yield served
    served.close()


def camera(source: int | str, **more: Any) -> tuple[UvcCamera, list[Event]]:
    events: list[Event] = []
    config = UvcCameraConfig(source=source, **{"width": 192, "height": 144, **more})
    return UvcCamera(config, DeviceContext("cam", RealClock(), emit=events.append)), events


def read_until_it_fails(device: UvcCamera) -> None:
    for _ in range(100):
        device.read(0.5)


def test_an_mjpeg_stream_is_read_frame_by_frame_and_its_end_is_noticed(stream: Stream) -> None:
    pytest.importorskip("cv2")
    device, _ = camera(stream.url)
    for _ in range(40):
        stream.permits.release()
    device.open()
    samples = []
    while len(samples) < 12:
        samples += device.read(2.0)
        stream.permits.release()
    numbers = [frame_number(simplejpeg.decode_jpeg(s.blob("jpeg"))) for s in samples]
    assert numbers == sorted(set(numbers)), "frames came twice or out of order"
    assert all(a.t_arrival <= b.t_arrival for a, b in pairwise(samples))
    seqs = [s.seq_device for s in samples]
    assert numbers[0] - (seqs[0] or 0) == numbers[-1] - (seqs[-1] or 0), "a frame was skipped and not numbered"
    stream.stopping = True
    with pytest.raises(DeviceLost, match=r"cam: camera 'http.*' gives no more frames"):
        read_until_it_fails(device)
    device.close()


def test_another_size_than_the_rig_files_is_refused(stream: Stream) -> None:
    pytest.importorskip("cv2")
    device, _ = camera(stream.url, width=640, height=480)
    for _ in range(40):
        stream.permits.release()
    device.open()
    with pytest.raises(DeviceIdentityError, match="the camera gives 192×144, the rig file says 640×480: change width"):
        read_until_it_fails(device)
    device.close()


def test_no_camera_there() -> None:
    pytest.importorskip("cv2")
    for source in ("/dev/video99", "http://127.0.0.1:9/none.mjpg"):
        device, _ = camera(source)
        with pytest.raises(DeviceOpenError, match=f"^cam: camera '{source}' cannot be opened$"):
            device.open()
        with pytest.raises(DeviceOpenError, match="cam: read before open"):
            device.read(0)
    with pytest.raises(ConfigError, match="is no camera's format"):
        UvcCameraConfig(width=0)


class V4l2:
    """What OpenCV's V4L2 capture does with CONVERT_RGB off: the camera's JPEG in one row, the kernel's time in ms."""

    def __init__(self, frames: list[np.ndarray], clock: RealClock, cv2: Any) -> None:
        self.frames, self.clock, self.cv2 = frames, clock, cv2
        self.set_to: dict[int, float] = {}
        self.released = threading.Event()
        self.at = -1

    def isOpened(self) -> bool:
        return True

    def set(self, key: int, value: float) -> bool:
        self.set_to[key] = value
        return True

    def get(self, key: int) -> float:
        if key == self.cv2.CAP_PROP_POS_MSEC:
            return (self.clock.now() - self.clock.offset_ns) / 1e6 - 12.0  # measured 12 ms ago
        return self.set_to.get(key, 0.0)

    def grab(self) -> bool:
        self.at += 1
        return self.at < len(self.frames)

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, self.frames[self.at]

    def release(self) -> None:
        self.released.set()


def fake(monkeypatch: pytest.MonkeyPatch, frames: list[np.ndarray]) -> tuple[UvcCamera, V4l2, list[Event]]:
    cv2 = pytest.importorskip("cv2")
    device, events = camera(0)
    capture = V4l2(frames, device._context.clock, cv2)  # type: ignore[arg-type]
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: capture)
    device.open()
    assert capture.released.wait(5)
    return device, capture, events


def test_the_cameras_own_jpeg_is_kept_and_the_kernels_stamp_used(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg = simplejpeg.encode_jpeg(PICTURES.picture(5), 80, "RGB", "422")
    row = np.frombuffer(jpeg, np.uint8)[None]
    device, capture, _ = fake(monkeypatch, [row])
    (sample,) = device.read(1.0)
    assert sample.blob("jpeg") == jpeg
    assert sample.t_arrival - sample.t_sample == pytest.approx(12_000_000, abs=5_000_000)
    assert sample.t_device is not None
    cv2 = capture.cv2
    assert capture.set_to[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert capture.set_to[cv2.CAP_PROP_CONVERT_RGB] == 0
    with pytest.raises(DeviceLost, match="cam: camera 0 gives no more frames"):
        device.read(0)
    device.close()


def test_colours_survive_and_frames_not_fetched_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    bgr = np.zeros((144, 192, 3), np.uint8)
    bgr[..., 2] = 200  # red
    device, _, events = fake(monkeypatch, [bgr] * (QUEUE + 3))
    samples = device.read(1.0)
    assert [s.seq_device for s in samples] == [3, 4, 5, 6]
    assert [(e.code, e.data["count"]) for e in events] == [("device.frames_dropped", 3)]
    red = simplejpeg.decode_jpeg(samples[0].blob("jpeg")).mean(axis=(0, 1))
    assert red == pytest.approx([200, 0, 0], abs=5)
    device.close()


def test_what_is_no_jpeg_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    device, _, _ = fake(monkeypatch, [np.zeros((1, 500), np.uint8)])
    with pytest.raises(DeviceLost, match="the camera sent 500 bytes that are no JPEG"):
        device.read(1.0)
    device.close()
