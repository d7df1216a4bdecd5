"""What telerig's frames carry: message types and their payloads.  Specified in docs/wire.md; little-endian."""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from telerig.hardware.errors import DataError

GLOVE_CHANNELS = 16
PEDALS = 3
NOT_MEASURED = 0xFFFF  # a channel whose sensor does not answer
ADC_MAX = 4095  # 12 bit

_FINGER = ("abduction", "flexion", "dip")
GLOVE_JOINTS = (
    *(f"thumb_{joint}" for joint in ("cmc", "mcp", "pip", "dip")),
    *(f"{finger}_{joint}" for finger in ("index", "middle", "ring", "pinky") for joint in _FINGER),
)
"""The order of a glove's 16 channels, here and in the Homunculus text format."""


class Message(enum.IntEnum):
    """The type byte.  A receiver ignores types that it does not know."""

    IDENTIFY = 0x01  # host → device, empty
    IDENTITY = 0x02  # the answer; its sequence is that of the request
    GLOVE = 0x10
    PEDALS = 0x11


class DeviceType(enum.IntEnum):
    """What a device says it is."""

    GLOVE = 1
    PEDAL_BOX = 2


class Side(enum.IntEnum):
    """Which hand a device is made for."""

    NONE = 0
    LEFT = 1
    RIGHT = 2


_IDENTITY = struct.Struct("<HBBBBH16s")
_GLOVE = struct.Struct("<16H")
_PEDALS = struct.Struct("<3HH")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device is.

    :param device: a :class:`DeviceType`; kept as int so that an unknown one can be named in an error.
    :param firmware: major, minor.
    :param rate_hz: nominal rate of its measurements.
    :param serial: up to 16 ASCII characters, unique to the piece.
    """

    device: int
    firmware: tuple[int, int]
    side: int
    channels: int
    rate_hz: int
    serial: str

    def pack(self) -> bytes:
        """The 24 bytes of an IDENTITY payload."""
        serial = self.serial.encode("ascii")[:16]
        return _IDENTITY.pack(self.device, *self.firmware, self.side, self.channels, self.rate_hz, serial)

    @staticmethod
    def unpack(payload: bytes) -> Identity:
        """The inverse of :meth:`pack`.  :raises DataError: the payload has another length."""
        _expect("identity", payload, _IDENTITY.size)
        device, major, minor, side, channels, rate, serial = _IDENTITY.unpack(payload)
        text = serial.rstrip(b"\0").decode("ascii", "replace")
        return Identity(device, (major, minor), side, channels, rate, text)


def pack_glove(counts: Sequence[int]) -> bytes:
    """16 × u16 ADC counts in the order of ``GLOVE_JOINTS``."""
    return _GLOVE.pack(*counts)


def unpack_glove(payload: bytes) -> tuple[int, ...]:
    """16 counts.  :raises DataError: the payload has another length."""
    _expect("glove", payload, _GLOVE.size)
    return _GLOVE.unpack(payload)


def pack_pedals(counts: Sequence[int], switches: Sequence[int]) -> bytes:
    """3 × u16 ADC counts (speed, yaw, height); switches as bits 0 (enable), 1 (episode), 2 (stop); 1 = closed."""
    return _PEDALS.pack(*counts, sum(bool(s) << bit for bit, s in enumerate(switches)))


def unpack_pedals(payload: bytes) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Counts and switches.  :raises DataError: the payload has another length."""
    _expect("pedals", payload, _PEDALS.size)
    a, b, c, bits = _PEDALS.unpack(payload)
    return (a, b, c), (bits & 1, bits >> 1 & 1, bits >> 2 & 1)


def _expect(what: str, payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise DataError(f"{what} message of {len(payload)} bytes where {size} belong (docs/wire.md)")
