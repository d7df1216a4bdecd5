"""Loading mujoco with an OpenGL that needs no screen: EGL, else OSMesa, else none (physics only).

mujoco chooses its OpenGL from ``MUJOCO_GL`` when it is first imported, and takes one that needs a screen where that is
not set; so every module here imports it through :func:`load_mujoco` and nowhere else.
"""

from __future__ import annotations

import ctypes
import os
from importlib import import_module
from typing import Any

from telerig.hardware.errors import DeviceOpenError, MissingExtra

APT = "sudo apt-get install -y --no-install-recommends libegl1 libgl1 libgl1-mesa-dri"
LIBRARIES = {"egl": ("libEGL.so.1", "libGL.so.1"), "osmesa": ("libOSMesa.so.8",)}


def _loads(names: tuple[str, ...]) -> bool:
    try:
        for name in names:
            ctypes.CDLL(name)
    except OSError:
        return False
    return True


def choose_gl() -> str:
    """``egl``, ``osmesa`` or ``disable``: the first whose system libraries load (what MUJOCO_GL says wins)."""
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    if asked:
        return asked
    for name, libraries in LIBRARIES.items():
        if _loads(libraries):
            return name
    return "disable"


def load_mujoco() -> Any:
    """The mujoco module.  :raises MissingExtra: it is not installed."""
    os.environ["MUJOCO_GL"] = choose_gl()
    # llvmpipe would start a thread a core and take them from the control loop
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        import mujoco
    except ImportError as error:
        raise MissingExtra("mujoco", "sim") from error
    return mujoco


def gl_context(width: int, height: int) -> Any:
    """A current off-screen OpenGL context.  :raises DeviceOpenError: the system has none; the text names the remedy."""
    name = choose_gl()
    if name not in LIBRARIES:
        raise DeviceOpenError(f"no off-screen OpenGL on this machine: {APT}")
    try:
        # not mujoco.GLContext: that was settled when mujoco was first imported, perhaps by somebody else
        context = import_module(f"mujoco.{name}").GLContext(width, height)
        context.make_current()
    except Exception as error:  # PyOpenGL and mujoco raise five unrelated families here
        raise DeviceOpenError(f"off-screen OpenGL does not start ({error}): {APT}") from error
    return context
