"""Unitree's messages for the G1 (IDL module ``unitree_hg``): their fields, and the CRC over their memory image.

Each message is a numpy record whose bytes are the C structure on the robot (natural alignment, little-endian); the CRC is
defined over those bytes, and :mod:`telerig.hardware.wire.unitree_cdr` turns them into what travels over DDS.  Field names
and order are those of the published IDL; the layouts of the CRC are those that Unitree's Python SDK documents by its
format strings: 1004 bytes a LowCmd, 2092 a LowState.

The CRC is CRC-32/MPEG-2 (polynomial 0x04C11DB7, start 0xFFFFFFFF, nothing reflected or inverted) over all 32-bit words
but the last, which holds the result, each word taken from its most significant bit.
"""

from __future__ import annotations

import enum
import struct

import numpy as np
from fastcrc import crc32
from numpy.typing import NDArray

SLOTS = 35  # motors in a LowCmd and a LowState; a G1 with 29 joints uses the first 29
HAND_MOTORS = 7
PRESSURE_SENSORS = 9  # on a three-finger hand with touch; twelve taxels each
REMOTE_BYTES = 40

Record = NDArray[np.void]


class PitchRoll(enum.IntEnum):
    """``mode_pr``: how ankles and waist are told: as joints in series, or as the two motors of the parallel linkage."""

    SERIES = 0
    PARALLEL = 1


class MotorMode(enum.IntEnum):
    """``mode`` of a body motor."""

    DISABLE = 0
    ENABLE = 1


# ``mode_machine``: what the robot is (Unitree's table of descriptions).  These have 29 joints, those of the second line
# with waist roll and pitch locked; 4 and 10 have 23.
MACHINES_29 = (5, 11, 13, 15)
MACHINES_29_WAIST_LOCKED = (6, 12, 14, 16)

MOTOR_CMD = np.dtype(
    [("mode", "u1"), ("pad", "V3"), ("q", "<f4"), ("dq", "<f4"), ("tau", "<f4"), ("kp", "<f4"), ("kd", "<f4"),
     ("reserve", "<u4")]
)  # fmt: skip
MOTOR_STATE = np.dtype(
    [("mode", "u1"), ("pad", "V3"), ("q", "<f4"), ("dq", "<f4"), ("ddq", "<f4"), ("tau_est", "<f4"),
     ("temperature", "<i2", 2), ("vol", "<f4"), ("sensor", "<u4", 2), ("motorstate", "<u4"), ("reserve", "<u4", 4)]
)  # fmt: skip
IMU = np.dtype(
    [("quaternion", "<f4", 4), ("gyroscope", "<f4", 3), ("accelerometer", "<f4", 3), ("rpy", "<f4", 3),
     ("temperature", "<i2"), ("pad", "V2")]
)  # fmt: skip
PRESSURE = np.dtype([("pressure", "<f4", 12), ("temperature", "<f4", 12)])
LOW_CMD = np.dtype(
    [("mode_pr", "u1"), ("mode_machine", "u1"), ("pad", "V2"), ("motor", MOTOR_CMD, SLOTS), ("reserve", "<u4", 4),
     ("crc", "<u4")]
)  # fmt: skip
LOW_STATE = np.dtype(
    [("version", "<u4", 2), ("mode_pr", "u1"), ("mode_machine", "u1"), ("pad", "V2"), ("tick", "<u4"), ("imu", IMU),
     ("motor", MOTOR_STATE, SLOTS), ("wireless_remote", "u1", REMOTE_BYTES), ("reserve", "<u4", 4), ("crc", "<u4")]
)  # fmt: skip
HAND_TAIL = np.dtype(
    [("imu", IMU), ("power_v", "<f4"), ("power_a", "<f4"), ("system_v", "<f4"), ("device_v", "<f4"),
     ("error", "<u4", 2), ("reserve", "<u4", 2)]
)  # fmt: skip

_CRC = struct.Struct("<I")
_CRC_SIZE = _CRC.size


def new(layout: np.dtype[np.void]) -> Record:
    """A message of zeros, shape ``()``."""
    return np.zeros((), layout)


def crc(message: Record) -> int:
    """The CRC that a LowCmd or LowState should carry; what it carries does not matter."""
    words = np.frombuffer(message.tobytes()[:-_CRC_SIZE], "<u4")
    return int(crc32.mpeg_2(words.byteswap().tobytes()))


def seal(message: Record) -> Record:
    """Write the CRC into a LowCmd or LowState; returns it."""
    message["crc"] = crc(message)
    return message


def sealed(message: Record) -> bool:
    """Whether a LowCmd or LowState carries its CRC."""
    return int(message["crc"]) == crc(message)


def hand_mode(motor: int, enabled: bool, timeout: bool = True) -> int:
    """``mode`` of a hand's motor: its number (4 bits), status (3 bits: 0 locked, 1 closed loop), timeout (1 bit).

    :param timeout: let the hand's own firmware stop a motor that hears nothing for a second.
    """
    return (motor & 0x0F) | (int(enabled) << 4) | (int(timeout) << 7)


def hand_mode_parts(mode: int) -> tuple[int, int, bool]:
    """The inverse of :func:`hand_mode`: motor, status, timeout."""
    return mode & 0x0F, (mode >> 4) & 0x07, bool(mode >> 7)
