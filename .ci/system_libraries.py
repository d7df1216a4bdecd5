"""Print the ``apt-get install`` line for the system libraries that are missing, and exit with 1; silent when none is.

``--all`` prints the packages themselves, whatever is there (what .ci/run installs).
Asked of the dynamic loader, not of dpkg: what counts is whether the library can be loaded.  Standard library only.
"""

import ctypes
import platform
import sys
from pathlib import Path

# soname → Debian and Ubuntu package, and why.
LOADABLE = {
    "libGL.so.1": "libgl1",  # MuJoCo's renderer
    "libEGL.so.1": "libegl1",  # the same, without a screen
    "libOSMesa.so.8": "libosmesa6",  # the same, without a GPU device node
    "libusb-1.0.so.0": "libusb-1.0-0",  # pyrealsense2
    "libudev.so.1": "libudev1",  # pyrealsense2
}
# Software rasterizer that EGL loads by itself; Mesa 24.2 renamed it.
DRI = ("dri/swrast_dri.so", "dri/kms_swrast_dri.so", "libgallium-*.so")
DRI_PACKAGE = "libgl1-mesa-dri"


def loadable(soname: str) -> bool:
    """Whether the dynamic loader finds a library."""
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def has_dri() -> bool:
    """Whether Mesa's software driver is there."""
    roots = [Path("/usr/lib"), Path("/usr/lib64"), *Path("/usr/lib").glob("*-linux-gnu*")]
    return any(next(root.glob(pattern), None) for root in roots for pattern in DRI)


def missing() -> list[str]:
    """Packages whose libraries cannot be loaded."""
    packages = [package for soname, package in LOADABLE.items() if not loadable(soname)]
    return packages if has_dri() else [*packages, DRI_PACKAGE]


def main() -> int:
    """:returns: 0, or 1 when something is missing."""
    if "--all" in sys.argv:
        print(*LOADABLE.values(), DRI_PACKAGE)
        return 0
    if platform.system() != "Linux" or not (packages := missing()):
        return 0  # elsewhere the simulator brings its own
    print("apt-get install", *packages)
    return 1


if __name__ == "__main__":
    sys.exit(main())
