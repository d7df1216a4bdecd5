"""Frames of one camera of a simulated world, each from a state that no earlier frame showed.

What a camera driver and the RealSense driver's software device have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.render import Renderer, camera_intrinsics
from telerig.drivers.mujoco.scene import build_scene
from telerig.drivers.rgbd import Intrinsics
from telerig.hardware.protocols import StreamReader
from telerig.hardware.samples import Sample


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image and the state it shows: ``rgb`` ``(h, w, 3)`` u1, ``depth`` ``(h, w)`` u2 mm (0 = unknown) or None."""

    state: Sample
    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16] | None


@dataclass(frozen=True, slots=True)
class View:
    """Which camera of which world, at which size; the first four must be the world's own."""

    embodiment: str
    task: str
    target: str
    hold_pelvis: bool
    camera: str
    width: int
    height: int

    @property
    def model(self) -> Any:
        """The compiled model (cached)."""
        return build_scene(self.embodiment, self.task, self.target, self.hold_pelvis).model

    @property
    def intrinsics(self) -> Intrinsics:
        """:raises ConfigError: the model has no such camera."""
        return camera_intrinsics(self.model, self.camera, self.width, self.height)


class Frames:
    """Renders a view of the newest state of a stream.

    :raises DeviceOpenError: this machine has no off-screen OpenGL.
    :raises ConfigError: the model has no such camera.
    """

    def __init__(self, view: View, states: StreamReader, depth: bool) -> None:
        self._renderer = Renderer(view.model, view.camera, view.width, view.height)
        self._states, self._depth = states, depth
        self._shown: int | None = None

    def next(self) -> Frame | None:
        """A frame of the newest state; None when there is none, or it was shown already (the world stands still)."""
        state = self.next_state()
        return None if state is None else self.render(state)

    def next_state(self) -> Sample | None:
        """The newest state, if no frame showed it yet."""
        state = self._states.latest()
        if state is None or state.t_sample == self._shown:
            return None
        self._shown = state.t_sample
        return state

    def render(self, state: Sample) -> Frame:
        """What the camera sees of a state: a pure function of it."""
        mocap = state.array("mocap") if "mocap" in state.data else None
        rgb, depth = self._renderer.render(state.array("qpos"), mocap, self._depth)
        return Frame(state, rgb, depth)

    def close(self) -> None:
        """Free the off-screen context."""
        self._renderer.close()
