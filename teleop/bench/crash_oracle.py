"""What a crash may and may not cost, judged from the emulators' journals and with the ``mcap`` package's own reader."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.records import Header, Message
from mcap.stream_reader import StreamReader
from numpy.typing import NDArray

from telerig.datasets.rawlog_reader import RawLog
from telerig.drivers.emulation_journal import read_journal
from telerig.hardware.specs import NONE
from telerig.teleop.bench.losses import recorded_counts

TORN = (McapError, struct.error, ValueError, OSError)  # what the mcap package raises where a file ends too early
START_NS = 500_000_000  # by then a stream must have begun to be recorded
UNDERWAY_NS = 150_000_000  # what was sent this long before the end has arrived


def missing(sent: NDArray[Any], numbers: NDArray[np.int64], arrivals: NDArray[np.int64], t0: int, t1: int) -> int:
    """Samples of one device that an episode lacks.

    :param sent: the device's journal.
    :param numbers, arrivals: of what was recorded: the device's own sequence numbers (``NONE`` without), ``t_arrival``.
    :param t0, t1: when the recorder was asked to start and to keep, ns.
    """
    due = (sent["t_ns"] >= t0 + START_NS) & (sent["t_ns"] <= t1 - UNDERWAY_NS)
    if numbers.size and (numbers != NONE).all():
        due |= (sent["seq"].astype(np.int64) >= numbers.min()) & (sent["t_ns"] <= t1 - UNDERWAY_NS)
        return int(np.setdiff1d(sent["seq"][due].astype(np.int64), numbers).size)
    found = np.unique(np.searchsorted(sent["t_ns"], arrivals, side="right") - 1)
    if found.size:
        due |= (np.arange(sent.size) >= found[0]) & (sent["t_ns"] <= t1 - UNDERWAY_NS)
    return int(np.setdiff1d(np.nonzero(due)[0], found).size)


def episode_missing(log: Path, journals: Mapping[str, Path], t0: int, t1: int) -> int:
    """Samples of all devices that an episode lacks.

    :param journals: by the stream that the device's samples go to.
    :raises DataError, McapError: the log cannot be read.
    """
    counts = recorded_counts(log)
    total = 0
    with RawLog(log) as raw:
        for stream, journal in journals.items():
            numbers, arrivals = _recorded(raw, stream)
            total += missing(read_journal(journal), numbers, arrivals, t0, t1)
            total += abs(arrivals.size - counts.get(stream, 0))
    return total


def open_lost_s(log: Path, journals: Mapping[str, Path], t0: int, t1: int) -> tuple[float, int]:
    """What an interrupted episode lacks: seconds before ``t1`` on the worst stream, and samples in between.

    :param t0: when it was started;  ``t1``: when the kill fell, ns.
    """
    worst, gaps = 0.0, 0
    with RawLog(log) as raw:
        for stream, journal in journals.items():
            numbers, arrivals = _recorded(raw, stream)
            last = int(arrivals.max()) if arrivals.size else t0
            worst = max(worst, (t1 - last) / 1e9)
            if arrivals.size:
                gaps += missing(read_journal(journal), numbers, arrivals, last, last)
    return worst, gaps


def _recorded(raw: RawLog, stream: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if stream not in raw.specs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if raw.specs[stream].blobs:
        samples = list(raw.samples(stream))
        numbers = [NONE if s.seq_device is None else s.seq_device for s in samples]
        return np.array(numbers, np.int64), np.array([s.t_arrival for s in samples], np.int64)
    columns = raw.columns(stream)
    return columns.seq_device, columns.t_arrival


def is_readable(log: Path) -> bool:
    """Whether the ``mcap`` package's indexed reader reads every message of a closed log."""
    try:
        recorded_counts(log)
    except TORN:
        return False
    return True


def messages(log: Path) -> list[tuple[int, int, int]] | None:
    """(channel, sequence, log time) of every whole message, by ``mcap``'s stream reader; None without a whole header.

    A file that nobody closed ends somewhere: that is where this ends, too.
    """
    found: list[tuple[int, int, int]] = []
    header = False
    with log.open("rb") as file:
        try:
            for record in StreamReader(file).records:
                header = header or isinstance(record, Header)
                if isinstance(record, Message):
                    found.append((record.channel_id, record.sequence, record.log_time))
        except TORN:
            return found if header else None
    return found if header else None


def sha256(path: Path) -> str:
    """Of one file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_sha256(folder: Path) -> str:
    """Of all files below a folder, their names included."""
    lines = [f"{p.relative_to(folder)} {sha256(p)}" for p in sorted(folder.rglob("*")) if p.is_file()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
