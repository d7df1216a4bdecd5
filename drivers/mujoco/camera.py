"""A camera in a simulated world: renders the world's newest state, stamps the frame with that state's time.

A process of its own (rendering beside physics made 1681 of 1774 physics steps late); late frames are left out, never
made up for in a burst, because the present is what a camera shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telerig.drivers.frame_clock import FrameClock
from telerig.drivers.loss_report import LossReport
from telerig.drivers.mujoco.frames import Frames, View
from telerig.drivers.rgbd import color_stream, depth_stream
from telerig.hardware.depth import encode_depth
from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec


class _Picture:
    """``jpeg`` and ``depth`` of one state, made when first asked for."""

    def __init__(self, frames: Frames, state: Sample, encode: Callable[[Any], bytes]) -> None:
        self._frames, self._state, self._encode = frames, state, encode
        self._done: dict[str, bytes] = {}

    def blob(self, field: str) -> bytes:
        """One of them."""
        if not self._done:
            frame = self._frames.render(self._state)
            self._done["jpeg"] = self._encode(frame.rgb)
            if frame.depth is not None:
                self._done["depth"] = encode_depth(frame.depth)
        return self._done[field]


class _Deferred(Mapping[str, bytes]):
    """A sample's data whose one field is made when somebody looks."""

    def __init__(self, field: str, picture: _Picture) -> None:
        self._field, self._picture = field, picture

    def __getitem__(self, field: str) -> bytes:
        if field != self._field:
            raise KeyError(field)
        return self._picture.blob(field)

    def __iter__(self) -> Iterator[str]:
        return iter((self._field,))

    def __len__(self) -> int:
        return 1


class MujocoCamera:
    """The device ``mujoco_camera``: ``NAME/color`` (JPEG) and, with ``depth``, ``NAME/depth`` (mm).

    Reads ``WORLD/state``.  ``t_sample`` is the state's instant, ``t_device`` the world's clock.

    ``seq_device`` counts the frames that were due.

    :ivar frames: rendered so far; :attr:`frames_due`: what the rate asked for.  The difference is reported as events.
    """

    @dataclass(frozen=True)
    class Config:
        """Rig keys; ``embodiment``, ``task``, ``target`` and ``hold_pelvis`` must be the world's.

        :param camera: a camera of the embodiment's model (``head``) or of the task's scene (``front``).
        :param quality: of the JPEG, 1 to 100.
        """

        embodiment: str
        camera: str
        world: str = "world"
        task: str = ""
        target: str = "upper"
        hold_pelvis: bool = True
        width: int = 320
        height: int = 240
        fps: float = 30.0
        depth: bool = False
        quality: int = 90

        def __post_init__(self) -> None:
            if not (16 <= self.width <= 1920 and 16 <= self.height <= 1080):
                raise ConfigError(f"width x height is {self.width}x{self.height}, allowed is 16x16 to 1920x1080")
            if not 1 <= self.fps <= 120:
                raise ConfigError(f"fps is {self.fps}, allowed is 1 to 120")
            if not 1 <= self.quality <= 100:
                raise ConfigError(f"quality is {self.quality}, allowed is 1 to 100")

    def __init__(self, config: Config, context: DeviceContext) -> None:
        self.config, self.context = config, context
        self.frames = 0
        self._clock = FrameClock(context.clock, config.fps)
        self._losses = LossReport(context)
        self._frames: Frames | None = None
        self._encode: Any = None

    @property
    def _view(self) -> View:
        c = self.config
        return View(c.embodiment, c.task, c.target, c.hold_pelvis, c.camera, c.width, c.height)

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """Compiles the model, which knows the camera's field of view."""
        c, name = self.config, self.context.name
        intrinsics = self._view.intrinsics
        color = color_stream(name, intrinsics, c.fps)
        return (color, depth_stream(name, intrinsics, c.fps)) if c.depth else (color,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The world's state."""
        return (f"{self.config.world}/state",)

    @property
    def frames_due(self) -> int:
        """How many frames the rate asked for so far."""
        return self._clock.due

    def open(self) -> None:
        """Make the off-screen context.

        :raises DeviceOpenError: this machine has no off-screen OpenGL; the text names the packages to install.
        :raises ConfigError: unknown embodiment, task or camera.
        """
        from simplejpeg import encode_jpeg

        self.close()
        self._encode = encode_jpeg
        self._frames = Frames(self._view, self.context.inputs[self.inputs[0]], self.config.depth)
        self._clock.restart()

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """A frame when one is due (and its depth image).  :raises DeviceLost: not open."""
        if self._frames is None:
            raise DeviceLost(f"{self.context.name}: not open")
        number = self._clock.wait(timeout_s)
        if number is None:
            return []
        state = self._frames.next_state()
        self.frames += state is not None
        missing = self.frames_due - self.frames
        self._losses.update("device.frames_skipped", missing, "frames not rendered: the computer was late")
        return [] if state is None else self._samples(self._frames, state, number)

    def _samples(self, frames: Frames, state: Sample, number: int) -> list[Sample]:
        """Colour and depth of a state.  In virtual time they are drawn when somebody looks: a picture is a pure function
        of the state, a policy looks at one in eight, and nobody could tell the difference but by the time it takes."""
        picture = _Picture(
            frames, state, lambda rgb: self._encode(rgb, self.config.quality, "RGB", "420", fastdct=True)
        )
        fields = (("color", "jpeg"), ("depth", "depth")) if self.config.depth else (("color", "jpeg"),)
        blobs: list[tuple[str, Mapping[str, bytes]]] = [(stream, _Deferred(f, picture)) for stream, f in fields]
        if not self.context.clock.virtual:
            blobs = [(stream, dict(data)) for stream, data in blobs]
        name, now = self.context.name, self.context.clock.now()
        return [
            Sample(f"{name}/{stream}", now, state.t_sample, data, state.sigma_t, state.t_device, number)
            for stream, data in blobs
        ]

    def close(self) -> None:
        """Free the off-screen context."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None
