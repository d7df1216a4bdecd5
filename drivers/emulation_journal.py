"""The journal of an emulated device: every sample it sent, so that losses can be counted by somebody who cannot lie.

One binary file a device; records of 16 bytes, little-endian: instant (i64, ns, session clock) and sequence (u64).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORD = np.dtype([("t_ns", "<i8"), ("seq", "<u8")])
_PACK = struct.Struct("<qQ")


class JournalWriter:
    """Appends records; what was flushed survives this process, so whoever writes flushes a few times a second."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._buffer = bytearray()

    def __call__(self, t_ns: int, seq: int) -> None:
        """Note one sample sent."""
        self.count += 1
        self._buffer += _PACK.pack(t_ns, seq)

    def flush(self) -> None:
        """Hand what was noted to the kernel."""
        if self._buffer:
            os.write(self._fd, self._buffer)
            self._buffer.clear()

    def close(self) -> None:
        """Flush and close; closing twice is harmless."""
        if self._fd >= 0:
            self.flush()
            os.close(self._fd)
            self._fd = -1


def read_journal(path: Path | str) -> NDArray[Any]:
    """A journal as records ``(n,)`` with fields ``t_ns`` and ``seq``; half a record at the end is left out."""
    raw = Path(path).read_bytes()
    return np.frombuffer(raw[: len(raw) // RECORD.itemsize * RECORD.itemsize], RECORD)
