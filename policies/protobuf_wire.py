"""Protobuf messages written field by field: for file formats of which telerig writes a handful of messages.

Saves two heavy packages: ``onnx`` for a network's file, ``tensorboard`` for curves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF  # negative ones as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: int | str | bytes) -> bytes:
    """A field: an integer (int32, int64, enum, bool), a text, bytes, or a message as bytes."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def fields(number: int, values: Iterable[int | str | bytes]) -> bytes:
    """A repeated field, not packed."""
    return b"".join(field(number, v) for v in values)


def double(number: int, value: float) -> bytes:
    """A field of type ``double``."""
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


def single(number: int, value: float) -> bytes:
    """A field of type ``float``."""
    return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)
