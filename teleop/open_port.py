"""How a device's bytes reach it, from what the rig says: a serial path, a Unix socket of a simulated world, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from telerig.hardware.protocols import Port


def port_opener(settings: Mapping[str, Any]) -> Callable[[], Port] | None:
    """A function that opens the device's port, or None for devices without one."""
    path, baud, socket = settings.get("port"), int(settings.get("baud") or 115200), settings.get("socket")
    if path:

        def open_serial() -> Port:
            from telerig.drivers.ports import SerialPort

            return SerialPort(path, baud)

        return open_serial
    if socket:

        def open_socket() -> Port:
            from telerig.drivers.mujoco.bus import UnixPort

            return UnixPort(socket)

        return open_socket
    return None
