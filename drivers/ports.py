"""Byte pipes to devices: a serial port (real or a pseudo-terminal), and an emulator in the same process.

:class:`SerialPort` is pyserial underneath, but waits in ``select``: measured against ``readline`` it takes 3 % of a core
instead of 45 at 1 kHz and does not fall behind under load.
"""

from __future__ import annotations

import errno
import os
import select
import termios
from collections.abc import Callable

import serial

from telerig.hardware.errors import DeviceLost, DeviceOpenError
from telerig.hardware.protocols import Clock, Emulator

WRITE_TIMEOUT_S = 0.2
# What pyserial and the kernel raise when a port goes away: three families, all meaning "unplugged".
GONE = (serial.SerialException, OSError, termios.error)


def _read(fd: int, path: str, timeout_s: float, max_bytes: int, ended: str) -> bytes:
    """What is there as soon as anything is.

    :param ended: what it means that the descriptor is readable and has nothing.
    """
    try:
        ready, _, _ = select.select([fd], [], [], max(0.0, timeout_s))
        if not ready:
            return b""
        data = os.read(fd, max_bytes)
    except BlockingIOError:
        return b""
    except (*GONE, ValueError) as error:
        raise DeviceLost(f"{path}: {error}") from error
    if not data:
        raise DeviceLost(f"{path}: {ended}")
    return data


class SerialPort:
    """A serial port by path.  Give ``/dev/serial/by-id/…``: plain ttyUSB numbers change when devices are re-plugged.

    :raises DeviceOpenError: not there, no permission, or held by another program.
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        try:
            self._serial = serial.Serial(path, baud, timeout=0, exclusive=True)
        except GONE as error:
            raise DeviceOpenError(f"{path}: cannot be opened: {error}") from error
        self._fd: int = self._serial.fileno()

    def fileno(self) -> int:
        """For select."""
        return self._fd

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
        """What is there as soon as anything is; b"" after ``timeout_s``.  :raises DeviceLost: unplugged."""
        return _read(self._fd, self.path, timeout_s, max_bytes, "the port was closed by the device")

    def write(self, data: bytes) -> None:
        """:raises DeviceLost: unplugged, or the device takes no bytes for 0.2 s.

        Not pyserial's write: that calls a write that succeeded timed out when the computer was busy meanwhile.
        """
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    if not select.select([], [self._fd], [], WRITE_TIMEOUT_S)[1]:
                        raise DeviceLost(f"{self.path}: the device takes no bytes")
        except (*GONE, ValueError) as error:
            raise DeviceLost(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Close; a port that is gone closes without complaint."""
        try:
            self._serial.close()
        except GONE as error:
            if getattr(error, "errno", None) not in (None, errno.EIO, errno.EBADF, errno.ENODEV):
                raise


class FilePort:
    """A device that is read like a file and takes nothing: ``/dev/input/js0``, or a pipe.

    :raises DeviceOpenError: not there, or no permission.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceOpenError(f"{path}: cannot be opened: {error.strerror}") from error

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
        """What is there as soon as anything is; b"" after ``timeout_s``.  :raises DeviceLost: unplugged."""
        return _read(self._fd, self.path, timeout_s, max_bytes, "the device has ended")

    def write(self, data: bytes) -> None:
        """:raises DeviceLost: always; nothing can be written to it."""
        raise DeviceLost(f"{self.path}: takes no bytes")

    def close(self) -> None:
        """Close."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LoopbackPort:
    """An emulator in this process, for virtual time: what is written is answered at the clock's present instant."""

    def __init__(self, emulator: Emulator, clock: Clock, connected: Callable[[], bool] = lambda: True) -> None:
        self._emulator, self._clock, self._connected = emulator, clock, connected
        self._in = b""
        self._out = b""
        if not connected():
            raise DeviceOpenError("emulated port: unplugged")

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
        """Everything the emulator has sent by now; never waits.  :raises DeviceLost: unplugged."""
        if not self._connected():
            raise DeviceLost("emulated port: unplugged")
        data, self._in = self._in, b""
        self._out += self._emulator.step(self._clock.now(), data)
        out, self._out = self._out[:max_bytes], self._out[max_bytes:]
        return out

    def write(self, data: bytes) -> None:
        """Queue bytes for the emulator.  :raises DeviceLost: unplugged."""
        if not self._connected():
            raise DeviceLost("emulated port: unplugged")
        self._in += data

    def close(self) -> None:
        """Nothing to close."""
