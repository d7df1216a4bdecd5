"""The simulator's own record of how fast the robot moves: the oracle of the dead man's tests.

One record a control period, written every 50 ms with plain ``write``: what was written survives the death of any
process, the world's own too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DataError, DeviceOpenError
from telerig.hardware.wire.simbus import RobotMode

RECORD = np.dtype([("t", "<i8"), ("speed", "<f8"), ("mode", "u1"), ("pad", "u1", (7,))])
FLUSH = 10  # records


class MotionLog:
    """Appends to a log.  :raises DeviceOpenError: the file cannot be written."""

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DeviceOpenError(f"{path}: the motion log cannot be written: {error.strerror}") from error
        self._records = np.zeros(FLUSH, RECORD)
        self._n = 0

    def add(self, t: int, speed: float, mode: RobotMode) -> None:
        """One control period: its end (session clock, ns), the fastest commanded joint in it (rad/s), the mode."""
        record = self._records[self._n]
        record["t"], record["speed"], record["mode"] = t, speed, mode
        self._n += 1
        if self._n == FLUSH:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the kernel."""
        if self._n:
            os.write(self._fd, self._records[: self._n].tobytes())
            self._n = 0

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        os.close(self._fd)


def read_motion_log(path: str | Path) -> NDArray[Any]:
    """Records ``t`` ns, ``speed`` rad/s, ``mode`` (:class:`RobotMode`), in order; an unfinished last one is left out.

    :raises DataError: there is no such file.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: no motion log: {error.strerror}") from error
    return np.frombuffer(raw[: len(raw) // RECORD.itemsize * RECORD.itemsize], RECORD)
