"""Streams: one writer, many readers, across processes, in a memory file that dies with its last user.

Layout of the ``memfd``: a page of header (magic, sequence written, futex word, whether anybody waits), then ``capacity`` slots of
``[seq + 1 | record | crc32 | seq + 1]``.  The writer marks a slot busy (0), copies, then publishes; a reader copies and
checks that both marks are the ones it expected, so it never blocks the writer and never sees a torn record.  On machines
with weaker store ordering than x86-64 the CRC decides too.  ``memfd`` rather than ``shared_memory``: with Python 3.11's
resource tracker a reader's exit unlinks the writer's segment (docs/decisions/0002).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import zlib

from telerig.hardware.errors import ConfigError
from telerig.hardware.samples import Layout, Sample
from telerig.hardware.specs import StreamSpec
from telerig.teleop import futex

_WRITTEN, _FUTEX, _WAITED = 8, 16, 20  # offsets in the header page: magic u64, written u64, futex u32, waited u32
_MAGIC = 0x54454C4552494731  # "TELERIG1"
_PAGE = 4096
_U32 = struct.Struct("<I")
_CHECK_CRC = platform.machine() != "x86_64"


class StreamMemory:
    """One stream's shared memory; made once by the session, mapped by everybody else from its descriptor."""

    def __init__(self, spec: StreamSpec, fd: int | None = None) -> None:
        self.spec, self.layout = spec, Layout(spec)
        self.slot_size = (8 + self.layout.size + 4 + 8 + 7) // 8 * 8
        size = _PAGE + self.slot_size * spec.capacity
        self.fd = os.memfd_create(f"telerig:{spec.name}", 0) if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, size)
        elif os.fstat(self.fd).st_size != size:
            raise ConfigError(f"stream {spec.name}: its memory has another layout (versions differ between processes?)")
        self._map = mmap.mmap(self.fd, size)
        self.buffer = memoryview(self._map)
        # one 64 bit store a word: struct.pack_into clears the bytes first, and a reader on another core sees the zero
        self.words, self._halves = self.buffer.cast("Q"), self.buffer.cast("I")
        if fd is None:
            self.words[0] = _MAGIC
        self.futex_address = ctypes.addressof(ctypes.c_char.from_buffer(self._map)) + _FUTEX

    @property
    def written(self) -> int:
        """Samples written since the stream was made."""
        return self.words[_WRITTEN >> 3]

    def publish(self, written: int) -> None:
        """Say that so many samples are written, and wake who waits."""
        self.words[_WRITTEN >> 3] = written
        halves = self._halves
        halves[_FUTEX >> 2] = (halves[_FUTEX >> 2] + 1) & 0xFFFFFFFF
        if halves[_WAITED >> 2]:
            futex.wake(self.futex_address)

    def expect_waiter(self) -> None:
        """From now on somebody may wait here.  For good: most streams never see a waiter, and a system call a sample less.

        A writer that looks at this very instant may miss it: the first wait ever on a stream can last its time-out.
        """
        self._halves[_WAITED >> 2] = 1

    @property
    def wakeups(self) -> int:
        """The futex word."""
        return self._halves[_FUTEX >> 2]

    def slot(self, seq: int) -> int:
        """Where sample number ``seq`` lies."""
        return _PAGE + seq % self.spec.capacity * self.slot_size

    def crc(self, at: int) -> int:
        """Checksum of the record of the slot at ``at``."""
        return zlib.crc32(self.buffer[at + 8 : at + 8 + self.layout.size])


class StreamWriter:
    """The writing end.  Numbers samples on from where a writer before it (a crashed worker, say) stopped."""

    def __init__(self, memory: StreamMemory) -> None:
        self._memory = memory
        self.spec = memory.spec
        self._next = memory.written

    def write(self, sample: Sample) -> int:
        """Publish a sample; returns its sequence number.  Wakes waiting readers."""
        memory, seq = self._memory, self._next
        buffer, words, at = memory.buffer, memory.words, memory.slot(seq)
        after = at + memory.slot_size - 8
        words[at >> 3] = 0
        memory.layout.pack_into(buffer, at + 8, sample, seq)
        if _CHECK_CRC:
            _U32.pack_into(buffer, after - 4, memory.crc(at))
        words[after >> 3] = words[at >> 3] = seq + 1
        self._next = seq + 1
        memory.publish(seq + 1)
        return seq


class SharedReader:
    """The reading end: newest sample, a window of time, or wait for the next one."""

    def __init__(self, memory: StreamMemory) -> None:
        self._memory = memory
        self._cached: Sample | None = None

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
        cached = self._cached  # once: another thread may be reading too
        if cached is not None and cached.seq == seq:
            return cached
        memory = self._memory
        buffer, words, at = memory.buffer, memory.words, memory.slot(seq)
        after = at + memory.slot_size - 8
        if words[at >> 3] != seq + 1:
            return None
        sample = memory.layout.unpack_from(buffer, at + 8)
        crc_ok = not _CHECK_CRC or _U32.unpack_from(buffer, after - 4)[0] == memory.crc(at)
        # marks last: had the writer begun to overwrite the slot meanwhile, the first one would have changed
        if not crc_ok or words[after >> 3] != seq + 1 or words[at >> 3] != seq + 1:
            return None
        return sample

    def latest(self) -> Sample | None:
        """The newest whole sample; None while there is none."""
        memory, cached = self._memory, self._cached
        for _ in range(8):  # the writer may lap the slot being copied: take the next newest
            written = memory.words[_WRITTEN >> 3]
            if cached is not None and cached.seq == written - 1:
                return cached  # immutable, and asked for again and again
            if written == 0:
                return None
            if (sample := self.get(written - 1)) is not None:
                self._cached = sample
                return sample
        return None

    def window(self, t0: int, t1: int) -> list[Sample]:
        """Samples with ``t0 <= t_sample <= t1``, oldest first, as far back as the ring reaches."""
        written = self._memory.written  # the oldest slot is left alone: the writer may be at it
        return _window(self, range(written - 1, max(-1, written - self.spec.capacity), -1), t0, t1)

    def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until more than ``seen`` samples are written; False after ``timeout_s``."""
        self._memory.expect_waiter()
        word = self._memory.wakeups
        if self._memory.written > seen:
            return True
        futex.wait(self._memory.futex_address, word, timeout_s)
        return self._memory.written > seen

    def tap(self, start: int | None = None) -> Tap:
        """Every sample from now on (or from number ``start`` on)."""
        return Tap(self, self.written if start is None else start)


def _window(reader: SharedReader | LocalReader, newest_first: range, t0: int, t1: int) -> list[Sample]:
    """Samples with ``t0 <= t_sample <= t1``, oldest first, looking back until one is gone or too old."""
    found: list[Sample] = []
    for seq in newest_first:
        sample = reader.get(seq)
        if sample is None or sample.t_sample < t0:
            break
        if sample.t_sample <= t1:
            found.append(sample)
    return found[::-1]


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
        self._capacity = spec.capacity

    def write(self, sample: Sample) -> int:
        """Publish a sample; returns its sequence number."""
        numbered = Sample(*sample[:-1], self.written)
        if len(self.ring) >= self._capacity:
            self.ring[self.written % self._capacity] = numbered
        else:
            self.ring.append(numbered)
        self.written += 1
        return numbered.seq


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
        newest = self.written - 1
        return _window(self, range(newest, max(-1, newest - self.spec.capacity), -1), t0, t1)

    def tap(self, start: int | None = None) -> Tap:
        """Every sample from now on (or from number ``start`` on)."""
        return Tap(self, self.written if start is None else start)
