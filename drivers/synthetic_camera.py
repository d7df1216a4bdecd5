"""A camera that needs no hardware: textured, moving, noisy colour frames, the same for the same seed.

For benchmarks and tests of everything behind a camera.  Frames cost a camera's bandwidth (noise σ = 4 makes a 640×480
JPEG of 60 kB or more) but hardly any computing: texture and noise are made once, at ``open``; a frame is a moving
window on one of eight noisy plates, plus moving patches, its number as a row of black and white squares, and the JPEG.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.emulation_control import ControlServer
from telerig.drivers.emulation_journal import JournalWriter
from telerig.drivers.emulation_sensor import FaultBox
from telerig.drivers.loss_report import LossReport
from telerig.drivers.rgbd import Intrinsics, color_stream
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

NOISE = 4.0  # σ of the Gaussian noise, in levels of 255
PLATES = 8
MARGIN = 64  # px by which plates are larger than frames: room to move
SQUARE = 8  # px
NUMBER_BITS = 24
FLUSH_FRAMES = 8


@dataclass(frozen=True, slots=True)
class SyntheticCameraConfig:
    """The camera's keys in a rig file.

    :param quality: JPEG quality; at 92 a 640×480 frame has 60 kB or more.
    :param seed: other seeds, other pictures.
    :param journal: file to which every frame made is noted (drivers/emulation_journal.py); empty for none.
    :param faults: folder in which it can be made to misbehave while it runs, as emulated devices can
        (``send_fault(folder, NAME, "unplug", seconds=2)``); empty for nowhere.
    """

    width: int = 640
    height: int = 480
    fps: float = 30.0
    quality: int = 92
    seed: int = 0
    journal: str = ""
    faults: str = ""

    def __post_init__(self) -> None:
        if not (NUMBER_BITS * SQUARE <= self.width <= 4096 and 64 <= self.height <= 4096):
            raise ConfigError(f"frames of {self.width}×{self.height}; from 192×64 to 4096×4096 can be made")
        if not (0 < self.fps <= 1000 and 1 <= self.quality <= 100):
            raise ConfigError(f"fps {self.fps} and quality {self.quality} must lie in 0…1000 and 1…100")


class Pictures:
    """The frames of one seed: ``picture(k)`` depends on the configuration and ``k`` only."""

    def __init__(self, config: SyntheticCameraConfig) -> None:
        self._width, self._height = config.width, config.height
        rng = np.random.default_rng(config.seed)
        texture = self._texture(rng)
        self._plates = [_noisy(texture, rng) for _ in range(PLATES)]
        side = min(config.width, config.height) // 6
        colours = rng.uniform(40, 215, (4, 3))
        self._patches = [_noisy(np.broadcast_to(c, (side, side, 3)), rng) for c in colours]
        self._rates = rng.uniform(0.02, 0.06, (5, 2))  # rad a frame, of the window and of each patch
        self._phases = rng.uniform(0, 2 * np.pi, (5, 2))
        self._frame = np.empty((config.height, config.width, 3), np.uint8)

    def _texture(self, rng: np.random.Generator) -> NDArray[np.float64]:
        y, x = np.mgrid[: self._height + MARGIN, : self._width + MARGIN].astype(np.float32)
        texture = np.full((*x.shape, 3), 128.0)
        for _ in range(6):  # plane waves of 15 … 150 px
            along, across = rng.uniform(-0.2, 0.2, 2)
            wave = np.sin(along * x + across * y + rng.uniform(0, 2 * np.pi))
            texture += wave[..., None] * rng.uniform(-22, 22, 3)
        return texture

    def picture(self, k: int) -> NDArray[np.uint8]:
        """Frame ``k``: (height, width, 3), RGB.  The array is used again for the next frame."""
        room = np.array([[MARGIN, MARGIN]] + [[self._height, self._width]] * 4)
        room[1:] -= len(self._patches[0])
        at = (0.5 * (1.0 + np.sin(self._rates * k + self._phases)) * room).astype(int)
        top, left = at[0]
        frame = self._frame
        frame[:] = self._plates[k % PLATES][top : top + self._height, left : left + self._width]
        for patch, (y, x) in zip(self._patches, at[1:].tolist(), strict=True):
            frame[y : y + len(patch), x : x + len(patch)] = patch
        bits = (k >> np.arange(NUMBER_BITS) & 1) * 255
        frame[:SQUARE, : NUMBER_BITS * SQUARE] = np.repeat(bits, SQUARE)[None, :, None]
        return frame


def frame_number(image: NDArray[np.uint8]) -> int:
    """The number (mod 2²⁴) that is written into a frame (height, width, 3), also after JPEG."""
    row = image[SQUARE // 2, SQUARE // 2 : NUMBER_BITS * SQUARE : SQUARE].mean(axis=-1) > 127
    return int(row @ (1 << np.arange(NUMBER_BITS)))


def _noisy(texture: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = rng.standard_normal(texture.shape, np.float32) * NOISE
    return np.clip(np.rint(texture + noise), 0, 255).astype(np.uint8)


class SyntheticCamera:
    """Streams ``NAME/color``.  ``seq_device`` is the number of the frame, by time: frames that were due and not made
    are missing from it, and reported.

    :ivar journal: called with (instant, number) of every frame made; ``open`` sets it where the rig names a file.
    :ivar produced: how many frames were made since the first ``open``.
    """

    Config = SyntheticCameraConfig
    FAULTS = ("unplug",)

    def __init__(self, config: SyntheticCameraConfig, context: DeviceContext) -> None:
        self._config, self._context = config, context
        self.journal: Callable[[int, int], None] | None = None
        self.produced = 0
        self.inputs: tuple[str, ...] = ()
        lens = Intrinsics.from_fovy(config.width, config.height, 45.0)
        self.streams = (color_stream(context.name, lens, config.fps),)
        self._period = 1e9 / config.fps
        self._pictures: Pictures | None = None
        self._writer: JournalWriter | None = None
        self._faults = FaultBox(self.FAULTS)
        self._server: ControlServer | None = None

    def open(self) -> None:
        """Make texture and noise (a fraction of a second); the first frame is due at once."""
        if self._unplugged():
            raise DeviceOpenError(f"{self._context.name}: it is unplugged")
        self._pictures = self._pictures or Pictures(self._config)
        if self._config.journal and self._writer is None:
            try:
                self.journal = self._writer = JournalWriter(Path(self._config.journal))
            except OSError as error:
                raise DeviceOpenError(f"{self._context.name}: journal {self._config.journal}: {error.strerror}")
        self._losses, self._skipped = LossReport(self._context), 0
        self._start, self._next = self._context.clock.now(), 0

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """The frame that is due, waiting for it at most ``timeout_s``."""
        if self._pictures is None:
            raise DeviceOpenError(f"{self._context.name}: read before open")
        if self._unplugged():
            raise DeviceLost(f"{self._context.name}: it was unplugged")
        clock = self._context.clock
        due = self._due(self._next)
        clock.sleep_until(min(due, clock.now() + int(timeout_s * 1e9)))
        if clock.now() < due:
            return []
        k = max(self._next, int((clock.now() - self._start) / self._period))
        self._skipped += k - self._next
        self._losses.update("device.frames_skipped", self._skipped, "frames not made: the computer was late")
        self._next = k + 1
        return [self._sample(k, self._due(k), self._pictures)]

    def close(self) -> None:
        """Complete the journal; whoever unplugged it can still plug it in again."""
        if self._server is not None and not self._faults:
            self._server.close()
            self._server = None
        if self._writer is not None:
            self._writer.close()
            self._writer = self.journal = None
        self._pictures = None

    def _unplugged(self) -> bool:
        """Hear what is ordered; whether the cable is out now."""
        if self._config.faults and self._server is None:
            folder = Path(self._config.faults)
            folder.mkdir(parents=True, exist_ok=True)
            self._server = ControlServer(folder, self._order)
        if self._server is not None:
            while ready := select.select(self._server.filenos(), [], [], 0)[0]:
                self._server.serve(ready)
        self._faults.at(self._context.clock.now())
        return self._faults.get("unplug") is not None

    def _order(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if (name := request.get("device")) != self._context.name:
            raise ConfigError(f"no device '{name}' here; this is {self._context.name}")
        how = {k: float(v) for k, v in request.items() if k not in ("device", "fault")}
        self._faults.order(str(request.get("fault", "")), how)
        return {}

    def _due(self, k: int) -> int:
        return self._start + round(k * self._period)

    def _sample(self, k: int, due: int, pictures: Pictures) -> Sample:
        import simplejpeg

        image = pictures.picture(k)
        jpeg: bytes = simplejpeg.encode_jpeg(image, self._config.quality, "RGB", "420", fastdct=True)
        self.produced += 1
        if self.journal is not None:
            self.journal(due, k)
        if self._writer is not None and self.produced % FLUSH_FRAMES == 0:
            self._writer.flush()
        now = self._context.clock.now()
        return Sample(self.streams[0].name, now, due, {"jpeg": jpeg}, 0, due - self._start, k)
