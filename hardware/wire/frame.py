"""telerig's binary frame: how gloves, pedal boxes and other small boards talk to the host.  Specified in docs/wire.md.

``sync(2) version(1) type(1) length(2) sequence(4) clock_us(4) header_crc(2) payload(length) crc(4)``, little-endian.

Two checks, because they answer two questions.  The header's CRC-16 says whether the *length* can be believed, so that
a damaged one never swallows the frames behind it; the CRC-32 at the end covers the whole frame.  Both are the
reflected kind, so that in the order in which a UART sends bits (least significant first) every burst of up to 16
damaged bits is found for certain, wherever it falls, and so is every damaged byte.
"""

from __future__ import annotations

import struct
import zlib
from binascii import crc_hqx
from typing import NamedTuple

SYNC = b"\xa5\x5a"
VERSION = 1
HEADER_SIZE = 16
OVERHEAD = HEADER_SIZE + 4
MAX_PAYLOAD = 512

_FIELDS = struct.Struct("<2sBBHII")
_HEADER = struct.Struct("<2sBBHIIH")
_CRC = struct.Struct("<I")
# crc_hqx is CRC-16/CCITT, most significant bit first, in C; fed with mirrored bytes it is the reflected CRC-16/MCRF4XX
# (MAVLink's), whose bursts are bursts on the wire too.
_MIRROR = bytes(int(f"{b:08b}"[::-1], 2) for b in range(256))


class Frame(NamedTuple):
    """One frame that passed both checks.

    :param seq: u32, counts the frames of this ``type`` that the device has made.
    :param clock_us: u32, the device's free-running microsecond clock at the instant of measurement.
    """

    type: int
    seq: int
    clock_us: int
    payload: bytes
    version: int = VERSION


def header_crc(header: bytes) -> int:
    """CRC-16/MCRF4XX (polynomial 0x1021 reflected, initial 0xFFFF, no final xor); of ``123456789`` it is 0x6F91."""
    value = crc_hqx(header.translate(_MIRROR), 0xFFFF)
    return _MIRROR[value >> 8] | _MIRROR[value & 0xFF] << 8


def encode_frame(frame: Frame) -> bytes:
    """The frame's bytes.  :raises ValueError: the payload is longer than 512 bytes."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"payload of {len(frame.payload)} bytes; a frame carries at most {MAX_PAYLOAD}")
    head = _FIELDS.pack(
        SYNC, frame.version, frame.type, len(frame.payload), frame.seq & 0xFFFFFFFF, frame.clock_us & 0xFFFFFFFF
    )
    body = head + header_crc(head).to_bytes(2, "little") + frame.payload
    return body + _CRC.pack(zlib.crc32(body))


class FrameParser:
    """Finds frames in a stream of bytes that comes in pieces of any size.

    After garbage, a truncated frame or a start in the middle of one it looks for the next sync word one byte behind
    the last, so no good frame is ever skipped.  Frames of any version are returned; whoever feeds it judges them.

    Counters: ``frames`` accepted; ``crc_errors`` places that began like a frame and failed a check; ``lost`` frames
    missing by their sequence numbers (for each type its own); ``restarts`` sequences that went backwards;
    ``resync_bytes`` bytes that belonged to no frame.
    """

    def __init__(self) -> None:
        self.frames = self.crc_errors = self.lost = self.restarts = self.resync_bytes = 0
        self._buffer = bytearray()
        self._last: dict[int, int] = {}

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived; return every frame that is complete, in order."""
        self._buffer += data
        buffer = bytes(self._buffer)
        frames: list[Frame] = []
        at, end = 0, len(buffer)
        while (start := buffer.find(SYNC, at)) >= 0:
            self.resync_bytes += start - at
            at = start
            if end - at < HEADER_SIZE:
                break
            header = buffer[at : at + HEADER_SIZE]
            _, version, kind, length, seq, clock_us, _ = _HEADER.unpack(header)
            if length > MAX_PAYLOAD or crc_hqx(header.translate(_MIRROR), 0xFFFF):  # residue of header and CRC is 0
                at = self._refuse(at)
                continue
            tail = at + HEADER_SIZE + length
            if end < tail + 4:
                break
            if zlib.crc32(buffer[at:tail]) != _CRC.unpack_from(buffer, tail)[0]:
                at = self._refuse(at)
                continue
            self._count(kind, seq)
            frames.append(Frame(kind, seq, clock_us, buffer[at + HEADER_SIZE : tail], version))
            at = tail + 4
        else:
            keep = 1 if buffer.endswith(SYNC[:1]) and end > at else 0  # half a sync word may wait for its other half
            self.resync_bytes += end - keep - at
            at = end - keep
        del self._buffer[:at]
        return frames

    def _refuse(self, at: int) -> int:
        """Count what looked like a frame and was none; the search goes on one byte behind its sync word's start."""
        self.crc_errors += 1
        self.resync_bytes += 1
        return at + 1

    def _count(self, kind: int, seq: int) -> None:
        """Sequence numbers that were skipped are frames lost; a step backwards is a device that started again."""
        self.frames += 1
        last = self._last.get(kind)
        self._last[kind] = seq
        if last is not None:
            step = (seq - last) & 0xFFFFFFFF
            if 0 < step < 1 << 31:
                self.lost += step - 1
            else:
                self.restarts += 1


class Unwrap:
    """Continues a 32-bit counter beyond its overflow: each value is taken as the one nearest to the last."""

    def __init__(self) -> None:
        self._last: int | None = None

    def __call__(self, value: int) -> int:
        """The unwrapped value.  A device that restarts makes it step back, never by more than 2³¹."""
        if self._last is not None:
            step = (value - self._last) & 0xFFFFFFFF
            value = self._last + (step if step < 1 << 31 else step - (1 << 32))
        self._last = value
        return value
