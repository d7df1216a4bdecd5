"""How a device's bytes reach it, from what the rig says: a serial path, a file, a simulated world's Unix socket, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from telerig.hardware.protocols import Clock, DeviceContext, Port

if TYPE_CHECKING:
    from telerig.teleop.rig import Device


def port_opener(settings: Mapping[str, Any]) -> Callable[[], Port] | None:
    """A function that opens the device's port, or None for devices without one."""
    if file := settings.get("file"):

        def open_file() -> Port:
            from telerig.drivers.ports import FilePort

            return FilePort(file)

        return open_file
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


@contextmanager
def opened(device: Device, clock: Clock, port: str | None) -> Iterator[Any]:
    """A device's driver, open, in this process.

    :param port: path of its serial port.
    :raises DeviceOpenError: it is not there.
    """
    opener = port_opener({"port": port, "baud": device.baud})
    driver = device.driver(device.config, DeviceContext(device.name, clock, opener))
    driver.open()
    try:
        yield driver
    finally:
        driver.close()
