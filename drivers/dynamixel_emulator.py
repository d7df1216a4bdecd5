"""A chain of Dynamixel servos on one bus, sans-IO: real Protocol-2.0 bytes in and out.

What it follows of the real thing (e-Manual): servos answer a sync or bulk read in the order asked, each when it has
heard the one before, so that *behind a silent servo nobody answers*; a broadcast write is answered by nobody; every
status packet carries the alert bit; the bus watchdog stops a servo that has not been spoken to.
Fast reads are sent unstuffed, as the vendor's SDK reads them (real firmware not verified).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from telerig.drivers.dynamixel_servo import Servo
from telerig.hardware.errors import ConfigError
from telerig.hardware.wire import dynamixel as wire
from telerig.hardware.wire import dynamixel_table as table
from telerig.hardware.wire.dynamixel import BROADCAST, Error, Instruction, Packet

FAULTS = (
    "silent",
    "freeze",
    "mute",
    "alert",
    "status_error",
    "garbage",
    "corrupt_crc",
    "wrong_firmware",
    "power_cycle",
    "clear",
)
STALE_NS = 100_000_000  # a packet that does not end within this is given up


@dataclass(slots=True)
class _Spoil:
    """How the next replies of a servo are spoiled, and how many of them."""

    status_error: int = 0
    status_error_left: int = 0
    crc_left: int = 0
    garbage: int = 0
    garbage_left: int = 0


class DynamixelChain:
    """Several servos on one bus; see :class:`telerig.hardware.protocols.Emulator`.

    :param baud: only matters with ``wire_time``.
    :param wire_time: replies become available when a bus at ``baud`` would have carried them (and after each servo's
        return delay); otherwise at once, which is what virtual time needs.
    """

    def __init__(self, servos: Iterable[Servo], baud: int, wire_time: bool = False, seed: int = 0) -> None:
        self.servos = {servo.id: servo for servo in servos}
        self.journal: Callable[[int, int], None] | None = None
        self.group_reads = 0
        self._byte_ns = wire.BITS_PER_BYTE * 1_000_000_000 / baud if wire_time else 0.0
        self._parser = wire.Parser()
        self._heard_at = 0
        self._free_at = 0  # when the wire is free again
        self._out: list[tuple[int, bytes]] = []
        self._ordered: list[tuple[str, int, int]] = []  # faults for a while, whose time begins with the next step
        self._endings: list[tuple[int, str, int]] = []
        self._spoil = {ident: _Spoil() for ident in self.servos}
        self._random = random.Random(seed)
        self._groups: dict[int, Callable[[Packet, int], None]] = {
            Instruction.SYNC_READ: self._sync_read,
            Instruction.FAST_SYNC_READ: self._sync_read,
            Instruction.BULK_READ: self._bulk_read,
            Instruction.FAST_BULK_READ: self._bulk_read,
            Instruction.SYNC_WRITE: self._sync_write,
            Instruction.BULK_WRITE: self._bulk_write,
        }
        self._said: dict[int, tuple[tuple[int, int, bytes] | None, bytes]] = {}

    # -- the Emulator protocol -----------------------------------------------------------------------------------
    def step(self, now: int, data: bytes) -> bytes:
        """Take what the host has written, advance to ``now``, give what the servos have sent by then."""
        if not data:  # else whoever is spoken to is brought up to date then
            for servo in self.servos.values():
                servo.advance(now)
        self._end_faults(now)
        if self._parser.pending and now - self._heard_at > STALE_NS:
            for packet in self._parser.flush():
                self._take(packet, now)
        if data:
            self._heard_at = now
            for packet in self._parser.feed(data):
                self._take(packet, now)
        sent = [chunk for due, chunk in self._out if due <= now]
        self._out = self._out[len(sent) :]
        return b"".join(sent)

    def next_due(self, now: int) -> int | None:
        """When the next reply has crossed the wire; servos never speak unasked."""
        return self._out[0][0] if self._out else None

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """Move the emulated joints; see the subclasses' ``controls``."""
        raise KeyError(f"a bare chain has no controls (got {', '.join(values)})")

    def fault(self, kind: str, **how: float) -> None:
        """Misbehave.  ``servo``: id, or 0 (default) for all.

        ``silent`` (neither hears nor answers), ``mute`` (hears, does not answer), ``freeze`` (these until ``on`` = 0, or
        for ``seconds``); ``alert`` (``code``: hardware error bits, default overload; until a reboot); ``status_error``
        (``code``, ``times``); ``garbage`` (``count`` bytes before each of ``times`` replies); ``corrupt_crc`` (``times``);
        ``wrong_firmware`` (``version``); ``power_cycle``; ``clear``.

        :raises ConfigError: no such fault, or no such servo.
        """
        chosen = int(how.get("servo", 0))
        if chosen and chosen not in self.servos:
            raise ConfigError(f"fault {kind}: no servo {chosen} (there are {', '.join(map(str, self.servos))})")
        for ident in [chosen] if chosen else list(self.servos):
            self._fault_one(kind, self.servos[ident], self._spoil[ident], how)

    def _fault_one(self, kind: str, servo: Servo, spoil: _Spoil, how: Mapping[str, float]) -> None:
        on, times = bool(how.get("on", 1)), int(how.get("times", 1))
        if seconds := how.get("seconds", 0.0):
            self._ordered.append((kind, servo.id, round(seconds * 1e9)))
        if kind == "silent":
            servo.silent = on
        elif kind == "mute":
            servo.mute = on
        elif kind == "freeze":
            servo.freeze(on)
        elif kind == "alert":
            servo.raise_alert(int(how.get("code", 0x20)))
        elif kind == "status_error":
            spoil.status_error, spoil.status_error_left = int(how.get("code", Error.RESULT_FAIL)), times
        elif kind == "garbage":
            spoil.garbage, spoil.garbage_left = int(how.get("count", 5)), times
        elif kind == "corrupt_crc":
            spoil.crc_left = times
        elif kind == "wrong_firmware":
            servo.put(table.FIRMWARE_VERSION, int(how.get("version", 20)))
        elif kind == "power_cycle":
            servo.reboot()
        elif kind == "clear":
            servo.silent = servo.mute = False
            servo.freeze(False)
            servo.put(table.HARDWARE_ERROR, 0)
            self._spoil[servo.id] = _Spoil()
        else:
            raise ConfigError(f"fault '{kind}' is unknown here; known: {', '.join(FAULTS)}")

    def _end_faults(self, now: int) -> None:
        if not self._ordered and not self._endings:
            return
        self._endings += [(now + lasts, kind, ident) for kind, ident, lasts in self._ordered]
        self._ordered.clear()
        for ending in [e for e in self._endings if e[0] <= now]:
            self._endings.remove(ending)
            _, kind, ident = ending
            if kind in ("silent", "mute", "freeze"):
                self.fault(kind, servo=ident, on=0)

    # -- instructions --------------------------------------------------------------------------------------------
    def _take(self, packet: Packet, now: int) -> None:
        if packet.is_status:
            return  # another servo's reply, echoed
        length = len(packet.params) + 10
        self._free_at = max(now, self._free_at) + round(length * self._byte_ns)
        group = self._groups.get(packet.instruction)
        for servo in self._addressed(packet.id):
            servo.heard(now)
        if group is not None:
            group(packet, now)
            return
        for servo in self._addressed(packet.id):
            error, data = self._single(servo, packet)
            quiet = servo.get(table.STATUS_RETURN_LEVEL)
            ping, read = packet.instruction == Instruction.PING, packet.instruction == Instruction.READ
            if ping or (packet.id != BROADCAST and (quiet == 2 or (quiet == 1 and read))):
                self._reply(servo, error, data)

    def _addressed(self, ident: int) -> list[Servo]:
        if ident != BROADCAST:
            servo = self.servos.get(ident)
            return [servo] if servo is not None and not servo.silent else []
        return [servo for servo in self.servos.values() if not servo.silent]

    def _single(self, servo: Servo, packet: Packet) -> tuple[int, bytes]:
        """Carry out a non-group instruction: (error, data)."""
        params = packet.params
        if packet.instruction == Instruction.PING:
            return Error.NONE, servo.read(0, 2)[1] + servo.read(6, 1)[1]
        if packet.instruction == Instruction.REBOOT:
            servo.reboot()
            return Error.NONE, b""
        if packet.instruction == Instruction.ACTION:
            staged, servo.staged = servo.staged, None
            servo.put(table.REGISTERED, 0)
            return (servo.write(*staged) if staged else Error.NONE), b""
        if packet.instruction not in (Instruction.READ, Instruction.WRITE, Instruction.REG_WRITE):
            return Error.INSTRUCTION, b""
        if len(params) < 3 or (packet.instruction == Instruction.READ and len(params) != 4):
            return Error.DATA_LENGTH, b""
        address = int.from_bytes(params[:2], "little")
        if packet.instruction == Instruction.READ:
            return servo.read(address, int.from_bytes(params[2:4], "little"))
        if packet.instruction == Instruction.WRITE:
            return servo.write(address, params[2:]), b""
        servo.staged = (address, params[2:])
        servo.put(table.REGISTERED, 1)
        return Error.NONE, b""

    def _sync_read(self, packet: Packet, now: int) -> None:
        if len(packet.params) < 5:
            return
        address, length = (int.from_bytes(packet.params[i : i + 2], "little") for i in (0, 2))
        fast = packet.instruction == Instruction.FAST_SYNC_READ
        self._group_read([(ident, address, length) for ident in packet.params[4:]], fast, now)

    def _bulk_read(self, packet: Packet, now: int) -> None:
        asked = []
        for i in range(0, len(packet.params) - 4, 5):
            ident, *rest = packet.params[i : i + 5]
            asked.append((ident, int.from_bytes(rest[:2], "little"), int.from_bytes(rest[2:], "little")))
        self._group_read(asked, packet.instruction == Instruction.FAST_BULK_READ, now)

    def _group_read(self, asked: Sequence[tuple[int, int, int]], fast: bool, now: int) -> None:
        replies: dict[int, tuple[int, bytes]] = {}
        for ident, address, length in asked:
            servo = self.servos.get(ident)
            if servo is None or servo.silent or servo.mute:
                break  # the next one waits for this one's packet, in vain
            error, data = servo.read(address, length)
            replies[ident] = (error | servo.alert, data.ljust(length, b"\0"))
            if not fast:
                self._reply(servo, error, data)
        if fast and replies:
            pieces = wire.build_fast_status({i: replies.get(i, (0, bytes(n))) for i, _, n in asked})
            for ident, piece in zip(replies, pieces, strict=False):
                self._send(self._spoiled(ident, piece), self.servos[ident])
        # What counts as a sample: velocity and position together (a driver that holds reads the position alone).
        first, last = table.PRESENT_VELOCITY.address, table.PRESENT_POSITION.address + table.PRESENT_POSITION.size
        if replies and all(a <= first and last <= a + n for _, a, n in asked):
            self.group_reads += 1
            if self.journal is not None:
                self.journal(now, self.group_reads - 1)

    def _sync_write(self, packet: Packet, now: int) -> None:
        params = packet.params
        if len(params) < 4:
            return
        address, length = (int.from_bytes(params[i : i + 2], "little") for i in (0, 2))
        for i in range(4, len(params) - length, length + 1):
            for servo in self._addressed(params[i]):
                servo.write(address, params[i + 1 : i + 1 + length])

    def _bulk_write(self, packet: Packet, now: int) -> None:
        params, i = packet.params, 0
        while i + 5 <= len(params):
            address, length = (int.from_bytes(params[j : j + 2], "little") for j in (i + 1, i + 3))
            for servo in self._addressed(params[i]):
                servo.write(address, params[i + 5 : i + 5 + length])
            i += 5 + length

    # -- replies -------------------------------------------------------------------------------------------------
    def _reply(self, servo: Servo, error: int, data: bytes) -> None:
        if servo.mute:
            return
        spoil = self._spoil[servo.id]
        if spoil.status_error_left:
            spoil.status_error_left -= 1
            error, data = spoil.status_error, b""
        said = (servo.id, error | servo.alert, data)
        if self._said.get(servo.id, (None, b""))[0] != said:  # asked 250 times a second, moved 100 times
            self._said[servo.id] = (said, wire.build_status(*said))
        self._send(self._spoiled(servo.id, self._said[servo.id][1]), servo)

    def _spoiled(self, ident: int, raw: bytes) -> bytes:
        spoil = self._spoil[ident]
        if spoil.crc_left:
            spoil.crc_left -= 1
            raw = raw[:-1] + bytes((raw[-1] ^ 0x5A,))
        if spoil.garbage_left:
            spoil.garbage_left -= 1
            raw = self._random.randbytes(spoil.garbage) + raw
        return raw

    def _send(self, raw: bytes, servo: Servo) -> None:
        if self._byte_ns:
            delay = servo.get(table.RETURN_DELAY) * table.RETURN_DELAY_UNIT_NS
            self._free_at += delay + round(len(raw) * self._byte_ns)
        self._out.append((self._free_at, raw))
