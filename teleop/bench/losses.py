"""Losses, counted against the emulators' journals: what was sent minus what the ``mcap`` package's own reader finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.emulation_journal import read_journal


def recorded_counts(log: Path) -> dict[str, int]:
    """Messages by topic, as the ``mcap`` package reads them (no telerig code involved)."""
    from mcap.reader import make_reader

    with log.open("rb") as file:
        counts: dict[str, int] = {}
        for _, channel, _ in make_reader(file).iter_messages(log_time_order=False):
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
    return counts


def missing_by_number(sent: NDArray[Any], recorded: NDArray[np.int64]) -> int:
    """Samples sent but not recorded, by the device's own sequence numbers, between the first and last recorded."""
    if recorded.size == 0:
        return int(sent.size)
    numbers = sent["seq"].astype(np.int64)
    inside = numbers[(numbers >= recorded.min()) & (numbers <= recorded.max())]
    return int(np.setdiff1d(inside, recorded).size)


def missing_by_time(sent: NDArray[Any], arrivals: NDArray[np.int64]) -> int:
    """The same for devices without numbers: every recorded sample belongs to the newest one sent before it arrived."""
    if arrivals.size == 0:
        return int(sent.size)
    index = np.unique(np.searchsorted(sent["t_ns"], np.sort(arrivals), side="right") - 1)
    index = index[index >= 0]
    return int(index[-1] - index[0] + 1 - index.size) if index.size else int(sent.size)


def lost_samples(journals: Path, streams: Mapping[str, str], log: Path) -> dict[str, int]:
    """Losses by device in one episode's log.  :param streams: device → the stream its samples go to."""
    from telerig.datasets.rawlog_reader import RawLog

    lost: dict[str, int] = {}
    with RawLog(log) as raw:
        for device, stream in streams.items():
            sent = read_journal(journals / f"{device}.journal")
            samples = list(raw.samples(stream))
            numbers = [s.seq_device for s in samples if s.seq_device is not None]
            if numbers:
                lost[device] = missing_by_number(sent, np.array(numbers, np.int64))
            else:
                lost[device] = missing_by_time(sent, np.array([s.t_arrival for s in samples], np.int64))
    return lost
