"""A camera in a simulated world: renders the world's newest state, stamps the frame with that state's time.

A process of its own (rendering beside physics made 1681 of 1774 physics steps late); late frames are left out, never
made up for in a burst, because the present is what a camera shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.render import Renderer, camera_intrinsics
from telerig.drivers.mujoco.scene import build_scene
from telerig.drivers.rgbd import color_stream, depth_stream
from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import Clock, DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec

REPORT_NS = 10_000_000_000


class FrameClock:
    """Absolute deadlines of a camera; counts frames due and frames left out."""

    def __init__(self, fps: float) -> None:
        self.period = 1e9 / fps
        self.due = 0
        self._t0: int | None = None

    def restart(self) -> None:
        """The next frame is due at once."""
        self._t0 = None

    def wait(self, clock: Clock, timeout_s: float) -> bool:
        """Wait for the next deadline, at most ``timeout_s``; whether it is reached."""
        now = clock.now()
        if self._t0 is None:
            self._t0, self._n = now, 0
        deadline = self._t0 + round(self._n * self.period)
        if deadline > now:
            wake = min(deadline, now + round(timeout_s * 1e9))
            clock.sleep_until(wake)
            if clock.now() < deadline:
                return False
        passed = int((clock.now() - self._t0) / self.period) + 1
        self.due += max(1, passed - self._n)
        self._n = max(self._n + 1, passed)
        return True


class MujocoCamera:
    """The device ``mujoco_camera``: ``NAME/color`` (JPEG) and, with ``depth``, ``NAME/depth`` (mm).

    Reads ``WORLD/state``.  ``t_sample`` is the state's instant, ``t_device`` the world's clock.

    :ivar frames: rendered so far; :attr:`frames_due`: what the rate asked for.  Reported as an event every 10 s when
        they differ.
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
        self._frame_clock = FrameClock(config.fps)
        self._renderer: Renderer | None = None
        self._encode: Any = None
        self._reported_at: int | None = None
        self._reported = 0

    @property
    def _model(self) -> Any:
        c = self.config
        return build_scene(c.embodiment, c.task, c.target, c.hold_pelvis).model

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """Compiles the model, which knows the camera's field of view."""
        c, name = self.config, self.context.name
        intrinsics = camera_intrinsics(self._model, c.camera, c.width, c.height)
        color = color_stream(name, intrinsics, c.fps)
        return (color, depth_stream(name, intrinsics, c.fps)) if c.depth else (color,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The world's state."""
        return (f"{self.config.world}/state",)

    @property
    def frames_due(self) -> int:
        """How many frames the rate asked for so far."""
        return self._frame_clock.due

    def open(self) -> None:
        """Make the off-screen context.

        :raises DeviceOpenError: this machine has no off-screen OpenGL; the text names the packages to install.
        :raises ConfigError: unknown embodiment, task or camera.
        """
        from simplejpeg import encode_jpeg

        self.close()
        self._encode = encode_jpeg
        c = self.config
        self._renderer = Renderer(self._model, c.camera, c.width, c.height)
        self._frame_clock.restart()

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """A frame when one is due (and its depth image).  :raises DeviceLost: not open."""
        if self._renderer is None:
            raise DeviceLost(f"{self.context.name}: not open")
        if not self._frame_clock.wait(self.context.clock, timeout_s):
            return []
        self._report()
        state = self.context.inputs[self.inputs[0]].latest()
        return [] if state is None else self._frame(self._renderer, state)

    def _frame(self, renderer: Renderer, state: Sample) -> list[Sample]:
        name = self.context.name
        mocap: NDArray[np.float64] | None = state.array("mocap") if "mocap" in state.data else None
        rgb, depth = renderer.render(state.array("qpos"), mocap, self.config.depth)
        self.frames += 1
        jpeg = self._encode(rgb, self.config.quality, "RGB", "420")
        blobs: list[tuple[str, str, bytes]] = [("color", "jpeg", jpeg)]
        if depth is not None:
            from telerig.hardware.depth import encode_depth

            blobs.append(("depth", "depth", encode_depth(depth)))
        now = self.context.clock.now()
        return [
            Sample(f"{name}/{stream}", now, state.t_sample, {field: blob}, state.sigma_t, state.t_device, self.frames)
            for stream, field, blob in blobs
        ]

    def _report(self) -> None:
        now = self.context.clock.now()
        self._reported_at = now if self._reported_at is None else self._reported_at
        missed = self.frames_due - self.frames
        if now - self._reported_at < REPORT_NS:
            return
        if missed > self._reported:
            text = f"{self.frames} of {self.frames_due} frames rendered so far: this computer is too busy"
            data = {"frames": self.frames, "due": self.frames_due}
            self.context.emit(Event(now, Level.INFO, self.context.name, "camera.frames_missed", text, data))
        self._reported, self._reported_at = missed, now

    def close(self) -> None:
        """Free the off-screen context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
