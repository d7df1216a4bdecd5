"""Rendering one camera of a simulated world off screen, cheaply enough for two cores without a GPU.

Colour and depth come from one pass.  What it costs and why the settings are as they are: docs/rendering.md.
"""

from __future__ import annotations

import copy
import math
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.gl import gl_context, load_mujoco
from telerig.drivers.rgbd import UNIT_M, Intrinsics
from telerig.hardware.errors import ConfigError

MAX_GEOMS = 600
HIDDEN = 5  # mujoco's last geom group


def camera_intrinsics(model: Any, camera: str, width: int, height: int) -> Intrinsics:
    """The intrinsics of a model's camera at an image size.  :raises ConfigError: the model has no such camera."""
    return Intrinsics.from_fovy(width, height, float(model.cam_fovy[camera_id(model, camera)]))


def camera_id(model: Any, camera: str) -> int:
    """A camera's number.  :raises ConfigError: the model has none of that name."""
    names = [model.cam(i).name for i in range(model.ncam)]
    if camera not in names:
        raise ConfigError(f"camera '{camera}' is not in the model; it has {', '.join(names) or 'none'}")
    return names.index(camera)


def _free(gl: Any, mjr: Any) -> None:
    """Before the interpreter takes OpenGL away, or mujoco's own clean-up complains."""
    gl.make_current()
    mjr.free()
    gl.free()


class Renderer:
    """Renders one camera.  Not thread-safe: use it in the thread that made it.

    :param model: an ``MjModel``; it is copied, because the size of the frame buffer is part of a model.
    :raises DeviceOpenError: this machine has no off-screen OpenGL.
    :raises ConfigError: no such camera.
    """

    def __init__(self, model: Any, camera: str, width: int = 320, height: int = 240) -> None:
        mj = self._mj = load_mujoco()
        self.width, self.height = width, height
        self.intrinsics = camera_intrinsics(model, camera, width, height)
        self._model = copy.copy(model)
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = width, height
        self._model.vis.quality.offsamples = 0
        self._model.vis.quality.shadowsize = 0
        self._data = mj.MjData(self._model)
        self._gl = gl_context(width, height)
        self._mjr = mj.MjrContext(self._model, mj.mjtFontScale.mjFONTSCALE_100.value)
        self._finalizer = weakref.finalize(self, _free, self._gl, self._mjr)
        mj.mjr_setBuffer(mj.mjtFramebuffer.mjFB_OFFSCREEN.value, self._mjr)
        self._mjr.readDepthMap = mj.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mj.MjvScene(self._model, maxgeom=MAX_GEOMS)
        for flag in (mj.mjtRndFlag.mjRND_SHADOW, mj.mjtRndFlag.mjRND_REFLECTION, mj.mjtRndFlag.mjRND_HAZE):
            self._scene.flags[flag] = 0
        self._option = mj.MjvOption()
        self._option.geomgroup[HIDDEN] = 0
        self._groups = self._model.geom_group.copy()
        self._camera = mj.MjvCamera()
        self._camera.type = mj.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = camera_id(self._model, camera)
        self._rect = mj.MjrRect(0, 0, width, height)
        self._rgb = np.empty((height, width, 3), np.uint8)
        self._window = np.empty((height, width), np.float32)
        extent = self._model.stat.extent
        self._near = float(np.float32(self._model.vis.map.znear * extent))
        self._far = float(np.float32(self._model.vis.map.zfar * extent))

    def render(
        self, qpos: NDArray[np.float64], mocap: NDArray[np.float64] | None = None, depth: bool = False
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16] | None]:
        """Colour ``(height, width, 3)`` RGB, and depth ``(height, width)`` in mm along the optical axis, 0 = unknown.

        :param qpos: ``(nq,)``; ``mocap``: ``(nmocap, 7)`` position m and quaternion wxyz, or None.
        """
        mj, data = self._mj, self._data
        data.qpos[:] = qpos
        if mocap is not None:
            data.mocap_pos[:], data.mocap_quat[:] = mocap[:, :3], mocap[:, 3:]
        mj.mj_kinematics(self._model, data)
        mj.mj_comPos(self._model, data)
        mj.mj_camlight(self._model, data)
        self._cull()
        self._gl.make_current()
        category = mj.mjtCatBit.mjCAT_ALL.value
        mj.mjv_updateScene(self._model, data, self._option, None, self._camera, category, self._scene)
        mj.mjr_render(self._rect, self._scene, self._mjr)
        mj.mjr_readPixels(self._rgb, self._window if depth else None, self._rect, self._mjr)
        # OpenGL's first row is the lowest
        return np.ascontiguousarray(self._rgb[::-1]), self._depth_mm() if depth else None

    def _cull(self) -> None:
        """Leave out geoms that lie wholly outside the view: half a frame's time for a head camera, no pixel's difference."""
        i, lens = self._camera.fixedcamid, self.intrinsics
        local = (self._data.geom_xpos - self._data.cam_xpos[i]) @ self._data.cam_xmat[i].reshape(3, 3)
        ahead, radius = -local[:, 2], self._model.geom_rbound
        wide, high = 0.5 * lens.width / lens.fx, 0.5 * lens.height / lens.fy  # tangents of half the view
        seen = ahead > -radius
        seen &= np.abs(local[:, 0]) - wide * ahead < radius * math.hypot(1.0, wide)
        seen &= np.abs(local[:, 1]) - high * ahead < radius * math.hypot(1.0, high)
        seen |= radius == 0  # planes have no bounds
        self._model.geom_group[:] = np.where(seen, self._groups, HIDDEN)

    def _depth_mm(self) -> NDArray[np.uint16]:
        """From reversed window depth (0 = far, 1 = near) to mm: z = near·far / (near + w·(far − near))."""
        z = self._near * self._far / (self._near + self._window[::-1].astype(np.float64) * (self._far - self._near))
        mm = np.rint(z / UNIT_M)
        mm[(mm > 65535) | (self._window[::-1] <= 0)] = 0
        return mm.astype(np.uint16)

    def close(self) -> None:
        """Free the OpenGL context (also happens by itself, at the latest when the program ends)."""
        self._finalizer()
