"""Curves for TensorBoard: its event files, written without TensorFlow or TensorBoard.

A file is a sequence of records (length, masked CRC-32C of it, bytes, masked CRC-32C of them), each an ``Event`` message
(event.proto, summary.proto).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path

from fastcrc import crc32

from telerig.policies.protobuf_wire import double, field, fields, single

_VERSION = "brain.Event:2"


class EventFile:
    """A new file in ``folder``, which TensorBoard finds by its name; whole after every call.

    :param started: Unix time in its name, s.
    """

    def __init__(self, folder: Path, started: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"events.out.tfevents.{int(started):010d}.telerig"
        self.path.write_bytes(b"")
        self._record(double(1, started) + field(3, _VERSION))

    def add(self, step: int, wall_time: float, scalars: Mapping[str, float]) -> None:
        """Values of one step; ``wall_time``: Unix time, s.  Those that are not finite are left out."""
        values = (field(1, tag) + single(2, v) for tag, v in scalars.items() if math.isfinite(v))
        self._record(double(1, wall_time) + field(2, step) + field(5, fields(1, values)))

    def _record(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        with self.path.open("ab") as file:
            file.write(length + _masked_crc(length) + event + _masked_crc(event))


def _masked_crc(data: bytes) -> bytes:
    crc = crc32.iscsi(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF)
