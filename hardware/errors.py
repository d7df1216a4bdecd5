"""Every error telerig raises on purpose: one root, split by when it happens.

An error's text is one line that names what was wrong, where, and what would be right.  The command line prints it and
exits with :attr:`TelerigError.exit_code`; nothing else is printed, no traceback.
"""

from __future__ import annotations


class TelerigError(Exception):
    """Root of all deliberate errors."""

    exit_code = 1


class ConfigError(TelerigError):
    """What the user wrote (rig, calibration, arguments) cannot work.  Found before anything moves."""

    exit_code = 2


class DataError(TelerigError):
    """A file does not hold what it should (truncated log, another embodiment's dataset, a checkpoint that does not fit)."""

    exit_code = 2


class MissingExtra(TelerigError):
    """An optional library is not installed.  ``MissingExtra("pyrealsense2", "realsense")`` names the pip command."""

    exit_code = 2

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: pip install 'telerig[{extra}]'")


class DeviceError(TelerigError):
    """Something went wrong between this computer and a device."""


class DeviceOpenError(DeviceError):
    """The device is not there, is not what it should be, or another program holds it."""


class DeviceIdentityError(DeviceOpenError):
    """A device answers, but is not the one configured (wrong model, wrong firmware version).  Retrying will not help."""

    exit_code = 2


class DeviceLost(DeviceError):
    """The device was open and is gone (unplugged).  The worker keeps trying to open it again."""


class CommandRefused(TelerigError):
    """The guard or an actuator will not carry out a command."""
