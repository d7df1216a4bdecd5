"""Dynamixel Protocol 2.0 on the wire: packets, CRC, byte stuffing, resynchronisation.

Layout: ``FF FF FD 00 | id | length (2, LE) | instruction | parameters… | CRC-16 (2, LE)``; ``length`` counts from the
instruction to the end.  A status packet's instruction is 0x55 and its first parameter the error byte.
Source: ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0" (https://emanual.robotis.com/docs/en/dxl/protocol2/).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from fastcrc.crc16 import umts

HEADER = b"\xff\xff\xfd"
BROADCAST = 0xFE
MAX_ID = 0xFC
MAX_LENGTH = 1024  # what the vendor's SDK accepts
OVERHEAD = 11  # bytes of a status packet without data
BITS_PER_BYTE = 10  # 8N1


class Instruction(enum.IntEnum):
    """Instruction bytes of Protocol 2.0 (those that X-series servos know)."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    FACTORY_RESET = 0x06
    REBOOT = 0x08
    CLEAR = 0x10
    STATUS = 0x55
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93
    FAST_BULK_READ = 0x9A


class Error(enum.IntEnum):
    """Numbers in the low seven bits of a status packet's error byte."""

    NONE = 0
    RESULT_FAIL = 1
    INSTRUCTION = 2
    CRC = 3
    DATA_RANGE = 4
    DATA_LENGTH = 5
    DATA_LIMIT = 6
    ACCESS = 7


ALERT = 0x80  # the error byte's top bit: look at Hardware Error Status (70)

ERROR_TEXT: dict[int, str] = {
    Error.RESULT_FAIL: "could not process the instruction",
    Error.INSTRUCTION: "does not know the instruction",
    Error.CRC: "received a damaged packet",
    Error.DATA_RANGE: "value out of range (or the bus watchdog has stopped it)",
    Error.DATA_LENGTH: "data of the wrong length",
    Error.DATA_LIMIT: "value beyond a configured limit",
    Error.ACCESS: "address is read-only, or locked while torque is on",
}


def crc16(data: bytes, crc: int = 0) -> int:
    """The protocol's CRC of ``data``, continuing from ``crc``: polynomial 0x8005, not reflected, initial value 0."""
    return umts(data, crc)


class Packet(NamedTuple):
    """One packet, unstuffed.  A status packet's ``params`` begin with the error byte (:attr:`error`, :attr:`data`)."""

    id: int
    instruction: int
    params: bytes = b""

    @property
    def is_status(self) -> bool:
        """Came from a servo."""
        return self.instruction == Instruction.STATUS

    @property
    def error(self) -> int:
        """A status packet's error byte, alert bit included."""
        return self.params[0] if self.params else 0

    @property
    def data(self) -> bytes:
        """A status packet's parameters after the error byte."""
        return self.params[1:]


def stuff(data: bytes) -> bytes:
    """``FF FF FD`` inside a packet becomes ``FF FF FD FD``, so that it never reads as a header."""
    return data.replace(HEADER, HEADER + b"\xfd")


def unstuff(data: bytes) -> bytes:
    """The inverse of :func:`stuff`."""
    return data.replace(HEADER + b"\xfd", HEADER)


def build(ident: int, instruction: int, params: bytes = b"") -> bytes:
    """A packet's bytes.  :raises ValueError: the id is not 0…252 or broadcast, or the packet is too long."""
    if not (0 <= ident <= MAX_ID or ident == BROADCAST):
        raise ValueError(f"servo id {ident} is not 0…{MAX_ID} or {BROADCAST}")
    body = stuff(bytes((instruction,)) + params)
    length = len(body) + 2
    if length > MAX_LENGTH:
        raise ValueError(f"packet of length {length} for servo {ident}, at most {MAX_LENGTH}")
    head = HEADER + bytes((0, ident)) + length.to_bytes(2, "little") + body
    return head + crc16(head).to_bytes(2, "little")


def build_status(ident: int, error: int = 0, data: bytes = b"") -> bytes:
    """A servo's reply."""
    return build(ident, Instruction.STATUS, bytes((error,)) + data)


def build_fast_status(replies: Mapping[int, tuple[int, bytes]]) -> list[bytes]:
    """The one combined status packet of a fast read, in the pieces that the servos send: id → (error, data), in order.

    Every piece ends with the CRC of all before it; the last is the packet's.  Not stuffed, as the vendor's SDK expects.
    """
    length = 1 + sum(len(data) + 4 for _, data in replies.values())
    piece = HEADER + bytes((0, BROADCAST)) + length.to_bytes(2, "little") + bytes((Instruction.STATUS,))
    crc, pieces = 0, []
    for ident, (error, data) in replies.items():
        piece += bytes((error, ident)) + data
        crc = crc16(piece, crc)
        end = crc.to_bytes(2, "little")
        crc = crc16(end, crc)
        pieces.append(piece + end)
        piece = b""
    return pieces


def split_fast(body: bytes, lengths: Mapping[int, int]) -> dict[int, tuple[int, bytes]]:
    """A fast read's ``params`` (with its last CRC already removed) as id → (error, data).

    :param lengths: data length asked of each id.
    :raises ValueError: an id that was not asked, or too few bytes.
    """
    found: dict[int, tuple[int, bytes]] = {}
    at = 0
    while at < len(body):
        if at + 2 > len(body) or body[at + 1] not in lengths or at + 2 + lengths[body[at + 1]] > len(body):
            raise ValueError(f"fast read: nothing that was asked for at byte {at}")
        error, ident = body[at], body[at + 1]
        found[ident] = (error, body[at + 2 : at + 2 + lengths[ident]])
        at += lengths[ident] + 4
    return found


class Parser:
    """Bytes in, packets out.  Garbage is skipped, damaged packets are refused and counted, never repaired.

    After a bad CRC it looks for the next header *inside* the refused bytes: a damaged length field does not swallow the
    packets behind it.

    :param max_length: lengths above this are not believed.
    :ivar crc_errors: packets refused for their CRC.
    :ivar skipped: bytes that belonged to no packet.
    """

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self._buffer = bytearray()
        self._max_length = max_length
        self.crc_errors = 0
        self.skipped = 0

    @property
    def pending(self) -> int:
        """Bytes of a packet that is not complete yet."""
        return len(self._buffer)

    def _skip(self, count: int) -> None:
        del self._buffer[:count]
        self.skipped += count

    def feed(self, data: bytes) -> list[Packet]:
        """Packets completed by ``data``, in order."""
        buffer = self._buffer
        buffer += data
        packets = []
        while self._align():
            total = 7 + (buffer[5] | buffer[6] << 8)
            if len(buffer) < total:
                break
            raw = bytes(buffer[:total])
            if crc16(raw[:-2]) != raw[-2] | raw[-1] << 8:
                self.crc_errors += 1
                self._skip(1)
                continue
            fast = raw[4] == BROADCAST and raw[7] == Instruction.STATUS
            body = raw[8:-2] if fast else unstuff(raw[7:-2])[1:]
            packets.append(Packet(raw[4], raw[7], body))
            del buffer[:total]
        return packets

    def flush(self) -> list[Packet]:
        """Nothing more will come: give up on a packet that never ended, and look inside it for others."""
        packets = []
        while self._buffer:
            self._skip(1)
            packets += self.feed(b"")
        return packets

    def _align(self) -> bool:
        """Bring a believable header to the front; False while there is none or too little of it."""
        buffer = self._buffer
        while buffer:
            at = buffer.find(HEADER)
            if at < 0:
                keep = 2 if buffer.endswith(b"\xff\xff") else 1 if buffer.endswith(b"\xff") else 0
                if len(buffer) > keep:
                    self._skip(len(buffer) - keep)
                return False
            if at:
                self._skip(at)
            if len(buffer) < 7:
                # the reserved byte tells a header from stuffing as soon as it is there
                if len(buffer) > 3 and buffer[3] != 0:
                    self._skip(1)
                    continue
                return False
            ident, length = buffer[4], buffer[5] | buffer[6] << 8
            if buffer[3] == 0 and (ident <= MAX_ID or ident == BROADCAST) and 3 <= length <= self._max_length:
                return True
            self._skip(1)
        return False
