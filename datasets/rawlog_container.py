"""The frame of a raw log: MCAP records, found whole or not at all, and the tail that closes a file.

Record encodings are the `mcap` package's; only messages, of which there are thousands a second, are packed here.
Format: https://mcap.dev/spec.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from mmap import mmap
from typing import Any

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, DataEnd, Footer, MetadataIndex, Schema, Statistics, SummaryOffset
from mcap.writer import MCAP0_MAGIC

from telerig.hardware.errors import DataError

MAGIC = bytes(MCAP0_MAGIC)
_HEAD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<BQHIQQ")
_MESSAGE_BODY = struct.Struct("<HIQQ")
MESSAGE_HEAD_SIZE = _MESSAGE_BODY.size
_KNOWN = {int(code) for code in Opcode}


def record_bytes(record: Any) -> bytes:
    """One of `mcap`'s records as the bytes that stand in a file."""
    builder = RecordBuilder()
    record.write(builder)
    return bytes(builder.end())


def message_head(channel: int, sequence: int, log_time: int, publish_time: int, size: int) -> bytes:
    """What stands before a message's ``size`` bytes.  Instants before 1970 cannot be written and become 0."""
    return _MESSAGE.pack(
        Opcode.MESSAGE,
        MESSAGE_HEAD_SIZE + size,
        channel,
        sequence & 0xFFFF_FFFF,
        max(0, log_time),
        max(0, publish_time),
    )


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record: its opcode, where it starts, and where its content starts and ends, in bytes."""

    opcode: int
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message record's header and where its data stand (in the buffer that was scanned)."""

    channel: int
    sequence: int
    log_time: int
    publish_time: int


def scan(buffer: bytes | mmap) -> Iterator[Record]:
    """Every whole record, in order; ends quietly where the file was cut or holds what no writer wrote (zeros).

    :raises DataError: the file does not begin as MCAP.
    """
    if buffer[: len(MAGIC)] != MAGIC:
        raise DataError(f"not an MCAP file: it begins with {bytes(buffer[:8])!r}, not with {MAGIC!r}")
    at, end = len(MAGIC), len(buffer)
    while at + _HEAD.size <= end:
        opcode, size = _HEAD.unpack_from(buffer, at)
        stop = at + _HEAD.size + size
        if opcode not in _KNOWN or stop > end:
            return
        yield Record(opcode, at, at + _HEAD.size, stop)
        at = stop


def message_at(buffer: bytes | mmap, record: Record) -> Message:
    """The header of a message record; its data stand from ``record.body + MESSAGE_HEAD_SIZE`` to ``record.end``."""
    return Message(*_MESSAGE_BODY.unpack_from(buffer, record.body))


def parse(kind: Any, buffer: bytes | mmap, record: Record) -> Any:
    """A schema, channel, metadata … record through the `mcap` package.  :raises DataError: its content is torn."""
    try:
        return kind.read(ReadDataStream(BytesIO(buffer[record.body : record.end])))
    except Exception as error:  # the package raises whatever its struct calls do
        raise DataError(f"{kind.__name__} record at byte {record.start} is torn: {error}")


@dataclass
class Tail:
    """What a closed file ends with, gathered while its records are written (or found again by repair)."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    metadata: list[MetadataIndex] = field(default_factory=list)
    chunks: int = 0
    first: int | None = None
    last: int = 0

    def message(self, channel: int, log_time: int) -> None:
        """Count one message."""
        log_time = max(0, log_time)
        self.counts[channel] = self.counts.get(channel, 0) + 1
        self.first = log_time if self.first is None else min(self.first, log_time)
        self.last = max(self.last, log_time)

    def to_bytes(self, position: int, data_crc: int) -> bytes:
        """DataEnd, summary, footer and closing magic.

        :param position: the file's size so far.
        :param data_crc: CRC-32 of all of it; 0 for "not computed".
        """
        head = record_bytes(DataEnd(data_crc))
        start = position + len(head)
        groups: list[tuple[int, bytes]] = []
        for opcode, records in (
            (Opcode.SCHEMA, list(self.schemas.values())),
            (Opcode.CHANNEL, list(self.channels.values())),
            (Opcode.STATISTICS, [self._statistics()]),
            (Opcode.METADATA_INDEX, self.metadata),
        ):
            if records:
                groups.append((opcode, b"".join(record_bytes(r) for r in records)))
        summary, offsets = b"", b""
        for opcode, data in groups:
            offsets += record_bytes(SummaryOffset(opcode, start + len(summary), len(data)))
            summary += data
        offset_start = start + len(summary)
        summary += offsets
        footer = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, offset_start)
        crc = zlib.crc32(footer, zlib.crc32(summary))
        return head + summary + record_bytes(Footer(start, offset_start, crc)) + MAGIC

    def _statistics(self) -> Statistics:
        return Statistics(
            attachment_count=0,
            channel_count=len(self.channels),
            channel_message_counts=dict(sorted(self.counts.items())),
            chunk_count=self.chunks,
            message_count=sum(self.counts.values()),
            message_end_time=self.last,
            message_start_time=self.first or 0,
            metadata_count=len(self.metadata),
            schema_count=len(self.schemas),
        )
