"""Streams: one writer, many readers, across processes, in a memory file that dies with its last user.

Layout of the ``memfd``: a page of header (magic, sequence written, futex word), then ``capacity`` slots of
``[seq + 1 | record | crc32 | seq + 1]``.  The writer marks a slot busy (0), copies, then publishes; a reader copies and
checks that both marks are the ones it expected, so it never blocks the writer and never sees a torn record.  On machines
with weaker store ordering than x86-64 the CRC decides too.  ``memfd`` rather than ``shared_memory``: with Python 3.11's
resource tracker a reader's exit unlinks the writer's segment (docs/decisions/0002).
"""

from __future__ import annotations

import mmap
import os
import platform
import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from telerig.hardware.errors import ConfigError
from telerig.hardware.samples import Sample, pack, unpack
from telerig.hardware.specs import StreamSpec
from telerig.teleop import futex

_HEADER = np.dtype([("magic", "<u8"), ("written", "<u8"), ("futex", "<u4"), ("pad", "<u4"), ("beat", "<i8")])
_MAGIC = 0x54454C4552494731  # "TELERIG1"
_PAGE = 4096
_CHECK_CRC = platform.machine() != "x86_64"


def _slot_dtype(spec: StreamSpec) -> np.dtype[Any]:
    return np.dtype([("before", "<u8"), ("record", spec.dtype), ("crc", "<u4"), ("after", "<u8")])


class StreamMemory:
    """One stream's shared memory; made once by the session, mapped by everybody else from its descriptor."""

    def __init__(self, spec: StreamSpec, fd: int | None = None) -> None:
        self.spec = spec
        slot = _slot_dtype(spec)
        size = _PAGE + slot.itemsize * spec.capacity
        self.fd = os.memfd_create(f"telerig:{spec.name}", 0) if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, size)
        elif os.fstat(self.fd).st_size != size:
            raise ConfigError(f"stream {spec.name}: its memory has another layout (versions differ between processes?)")
        self._map = mmap.mmap(self.fd, size)
        self.header = np.frombuffer(self._map, _HEADER, 1, 0)
        self.slots = np.frombuffer(self._map, slot, spec.capacity, _PAGE)
        if fd is None:
            self.header["magic"] = _MAGIC
        futex_offset = _HEADER.fields["futex"][1]  # type: ignore[index]
        self.futex_address = self.header.ctypes.data + int(futex_offset)

    @property
    def written(self) -> int:
        """Samples written since the stream was made."""
        return int(self.header["written"][0])


class StreamWriter:
    """The writing end.  Numbers samples on from where a writer before it (a crashed worker, say) stopped."""

    def __init__(self, memory: StreamMemory) -> None:
        self._memory = memory
        self.spec = memory.spec
        self._next = memory.written

    def write(self, sample: Sample) -> Sample:
        """Publish a sample; returns it with its sequence number.  Wakes waiting readers."""
        memory, seq = self._memory, self._next
        slot = memory.slots[seq % len(memory.slots)]
        slot["before"] = 0
        pack(sample, self.spec, slot["record"], seq)
        if _CHECK_CRC:
            slot["crc"] = zlib.crc32(slot["record"].tobytes())
        slot["after"] = seq + 1
        slot["before"] = seq + 1
        self._next = seq + 1
        memory.header["written"] = seq + 1
        memory.header["futex"] += 1
        futex.wake(memory.futex_address)
        return replace(sample, seq=seq)


class SharedReader:
    """The reading end: newest sample, a window of time, or wait for the next one."""

    def __init__(self, memory: StreamMemory) -> None:
        self._memory = memory

    @property
    def spec(self) -> StreamSpec:
        """The stream's layout."""
        return self._memory.spec

    @property
    def written(self) -> int:
        """Samples written so far."""
        return self._memory.written

    def get(self, seq: int) -> Sample | None:
        """Sample number ``seq``, or None if it is not written yet or already overwritten."""
        slots = self._memory.slots
        slot = slots[seq % len(slots)]
        if int(slot["before"]) != seq + 1:
            return None
        sample = unpack(self.spec, slot["record"])
        crc_ok = not _CHECK_CRC or int(slot["crc"]) == zlib.crc32(slot["record"].tobytes())
        # marks last: had the writer begun to overwrite the slot meanwhile, `before` would have changed
        if not crc_ok or int(slot["after"]) != seq + 1 or int(slot["before"]) != seq + 1:
            return None
        return sample

    def latest(self) -> Sample | None:
        """The newest whole sample; None while there is none."""
        for _ in range(8):  # the writer may lap the slot being copied: take the next newest
            written = self._memory.written
            if written == 0:
                return None
            if (sample := self.get(written - 1)) is not None:
                return sample
        return None

    def window(self, t0: int, t1: int) -> list[Sample]:
        """Samples with ``t0 <= t_sample <= t1``, oldest first, as far back as the ring reaches."""
        found: list[Sample] = []
        written = self._memory.written
        for seq in range(written - 1, max(-1, written - self.spec.capacity), -1):
            sample = self.get(seq)
            if sample is None or sample.t_sample < t0:
                break
            if sample.t_sample <= t1:
                found.append(sample)
        return found[::-1]

    def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until more than ``seen`` samples are written; False after ``timeout_s``."""
        word = int(self._memory.header["futex"][0])
        if self._memory.written > seen:
            return True
        futex.wait(self._memory.futex_address, word, timeout_s)
        return self._memory.written > seen

    def tap(self, start: int | None = None) -> Tap:
        """Every sample from now on (or from number ``start`` on)."""
        return Tap(self, self.written if start is None else start)


class Tap:
    """Reads every sample in order and says how many it was too slow for."""

    def __init__(self, reader: SharedReader | LocalReader, start: int) -> None:
        self._reader, self._next = reader, start

    def read(self, most: int = 1000) -> tuple[list[Sample], int]:
        """All new samples (at most ``most``) and the number lost to overrun."""
        samples: list[Sample] = []
        lost, end = 0, self._reader.written
        while self._next < end and len(samples) < most:
            sample = self._reader.get(self._next)
            if sample is None:
                lost += 1
            else:
                samples.append(sample)
            self._next += 1
        return samples, lost


class LocalStream:
    """A stream within one process (virtual time): the same writing end without shared memory."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.ring: list[Sample] = []
        self.written = 0

    def write(self, sample: Sample) -> Sample:
        """Publish a sample; returns it with its sequence number."""
        numbered = replace(sample, seq=self.written)
        if len(self.ring) >= self.spec.capacity:
            self.ring[self.written % self.spec.capacity] = numbered
        else:
            self.ring.append(numbered)
        self.written += 1
        return numbered


class LocalReader:
    """The reading end of a :class:`LocalStream`."""

    def __init__(self, stream: LocalStream) -> None:
        self._stream = stream

    @property
    def spec(self) -> StreamSpec:
        """The stream's layout."""
        return self._stream.spec

    @property
    def written(self) -> int:
        """Samples written so far."""
        return self._stream.written

    def get(self, seq: int) -> Sample | None:
        """Sample number ``seq``, or None if it is not written yet or already overwritten."""
        ring = self._stream.ring
        if not ring or not 0 <= seq < self.written:
            return None
        sample = ring[seq % self.spec.capacity]
        return sample if sample.seq == seq else None

    def latest(self) -> Sample | None:
        """The newest sample; None while there is none."""
        return self.get(self.written - 1)

    def window(self, t0: int, t1: int) -> list[Sample]:
        """Samples with ``t0 <= t_sample <= t1``, oldest first, as far back as the ring reaches."""
        found: list[Sample] = []
        for seq in range(self.written - 1, max(-1, self.written - 1 - self.spec.capacity), -1):
            sample = self.get(seq)
            if sample is None or sample.t_sample < t0:
                break
            if sample.t_sample <= t1:
                found.append(sample)
        return found[::-1]

    def tap(self, start: int | None = None) -> Tap:
        """Every sample from now on (or from number ``start`` on)."""
        return Tap(self, self.written if start is None else start)
