"""The simulated robot's bus: a small binary request–reply protocol, the same over a socket and inside one process.

A message is an 8-byte header and a payload, little-endian: ``b"SB"``, version u8, kind u8, sequence u16, payload length
u16.  Every request is answered by one reply whose kind is the request's with the top bit set and whose sequence is the
request's.  Sockets and function calls lose nothing, so there is no CRC; lengths and version are checked on both sides.

=============== ==================================== =====================================================
request         payload                              reply's payload
=============== ==================================== =====================================================
IDENTIFY        –                                    :class:`Identity`
STATE           –                                    :class:`State`
GOAL            f4[n] rad, the identity's order      status u8, mode u8
BASE            f4[4] vx, vy, yaw rate, height       status u8, mode u8
HOLD            –                                    status u8, mode u8
DAMP            –                                    status u8, mode u8
TORQUE_OFF      –                                    status u8, mode u8
WATCHDOG        u4 hold_ms, u4 damp_ms               status u8, mode u8
=============== ==================================== =====================================================
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DeviceError, DeviceIdentityError

VERSION = 1
MAGIC = b"SB"
HEADER = struct.Struct("<2sBBHH")
MAX_PAYLOAD = 8192
MAX_MESSAGE = HEADER.size + MAX_PAYLOAD
REPLY = 0x80
N_BASE = 4

_IDENTITY = struct.Struct("<IIHH")
_STATE = struct.Struct("<QQIHBBH")
_ACK = struct.Struct("<BB")
_WATCHDOG = struct.Struct("<II")


class Kind(enum.IntEnum):
    """What is asked."""

    IDENTIFY = 1
    STATE = 2
    GOAL = 3
    BASE = 4
    HOLD = 5
    DAMP = 6
    TORQUE_OFF = 7
    WATCHDOG = 8


class Status(enum.IntEnum):
    """How a request went."""

    OK = 0
    BAD_KIND = 1
    BAD_LENGTH = 2
    BAD_VALUE = 3


class RobotMode(enum.IntEnum):
    """What the simulated firmware is doing."""

    TORQUE_OFF = 0
    DAMP = 1
    HOLD = 2
    POSITION = 3


class BusError(DeviceError):
    """Bytes that are no message of this protocol."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``kind`` is raw, because a peer may send one that this version does not know."""

    kind: int
    seq: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is there: the embodiment, its joints in the order of GOAL and STATE, and the armed watchdog (ms)."""

    name: str
    version: int
    joints: tuple[str, ...]
    hold_ms: int
    damp_ms: int


@dataclass(frozen=True, slots=True)
class State:
    """Measured joints.  ``t_us``: the device's clock when they were measured; ``now_us``: when it answered.

    ``goal_seq``: sequence of the newest GOAL that was accepted; ``steps``: physics periods so far.
    ``position`` rad, ``velocity`` rad/s, ``effort`` N·m, each ``(n,)`` float32 on the wire.
    """

    t_us: int
    now_us: int
    steps: int
    goal_seq: int
    mode: RobotMode
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    effort: NDArray[np.float64]


def encode(message: Message) -> bytes:
    """A message as bytes.  :raises BusError: the payload is too long."""
    if len(message.payload) > MAX_PAYLOAD:
        raise BusError(f"bus: payload has {len(message.payload)} bytes, at most {MAX_PAYLOAD} fit")
    head = HEADER.pack(MAGIC, VERSION, message.kind, message.seq & 0xFFFF, len(message.payload))
    return head + message.payload


class Decoder:
    """Bytes in any portions to messages.  A portion that is no message spoils the connection: it raises, once."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Message]:
        """Messages completed by these bytes, in order.

        :raises DeviceIdentityError: the peer speaks another version.
        :raises BusError: not this protocol, or too long.  What was buffered is dropped.
        """
        self._buffer += data
        out = []
        while len(self._buffer) >= HEADER.size:
            magic, version, kind, seq, size = HEADER.unpack_from(self._buffer)
            if magic != MAGIC or size > MAX_PAYLOAD:
                self._buffer = b""
                raise BusError("bus: bytes that are no simbus message; is something else on that socket?")
            if version != VERSION:
                self._buffer = b""
                raise DeviceIdentityError(f"bus: the peer speaks version {version}, this side {VERSION}")
            if len(self._buffer) < HEADER.size + size:
                break
            out.append(Message(kind, seq, self._buffer[HEADER.size : HEADER.size + size]))
            self._buffer = self._buffer[HEADER.size + size :]
        return out


def request(kind: Kind, seq: int, values: NDArray[np.float64] | None = None) -> bytes:
    """A request; ``values`` for GOAL and BASE."""
    return encode(Message(kind, seq, b"" if values is None else np.asarray(values, "<f4").tobytes()))


def watchdog_request(seq: int, hold_ms: int, damp_ms: int) -> bytes:
    """Arm the firmware's watchdog: hold after ``hold_ms`` without a command, damp after ``damp_ms``; 0 disarms."""
    return encode(Message(Kind.WATCHDOG, seq, _WATCHDOG.pack(hold_ms, damp_ms)))


def parse_watchdog(payload: bytes) -> tuple[int, int]:
    """``(hold_ms, damp_ms)``.  :raises BusError: wrong length."""
    if len(payload) != _WATCHDOG.size:
        raise BusError(f"bus: watchdog payload has {len(payload)} bytes, not {_WATCHDOG.size}")
    hold, damp = _WATCHDOG.unpack(payload)
    return hold, damp


def parse_values(payload: bytes, n: int) -> NDArray[np.float64]:
    """``(n,)`` values of a GOAL or BASE.  :raises BusError: wrong length."""
    if len(payload) != 4 * n:
        raise BusError(f"bus: {len(payload)} bytes of values, {4 * n} expected")
    return np.frombuffer(payload, "<f4").astype(np.float64)


def ack(kind: int, seq: int, status: Status, mode: RobotMode) -> bytes:
    """The reply to a command."""
    return encode(Message(kind | REPLY, seq, _ACK.pack(status, mode)))


def parse_ack(payload: bytes) -> tuple[Status, RobotMode]:
    """Status and mode of a reply.  :raises BusError: wrong length or value."""
    try:
        status, mode = _ACK.unpack(payload)
        return Status(status), RobotMode(mode)
    except (struct.error, ValueError) as error:
        raise BusError(f"bus: no acknowledgement: {error}") from error


def identity_reply(seq: int, identity: Identity) -> bytes:
    """The reply to IDENTIFY."""
    head = _IDENTITY.pack(identity.hold_ms, identity.damp_ms, identity.version, len(identity.joints))
    text = "\n".join((identity.name, *identity.joints)).encode()
    return encode(Message(Kind.IDENTIFY | REPLY, seq, head + text))


def parse_identity(payload: bytes) -> Identity:
    """The inverse of :func:`identity_reply`.  :raises BusError: it does not hold together."""
    try:
        hold, damp, version, n = _IDENTITY.unpack_from(payload)
        name, *joints = payload[_IDENTITY.size :].decode().split("\n")
    except (struct.error, UnicodeDecodeError) as error:
        raise BusError(f"bus: no identity: {error}") from error
    if len(joints) != n:
        raise BusError(f"bus: identity names {len(joints)} joints and says {n}")
    return Identity(name, version, tuple(joints), hold, damp)


def state_reply(seq: int, state: State) -> bytes:
    """The reply to STATE."""
    head = _STATE.pack(
        state.t_us, state.now_us, state.steps & 0xFFFFFFFF, state.goal_seq, state.mode, 0, len(state.position)
    )
    values = np.concatenate((state.position, state.velocity, state.effort)).astype("<f4")
    return encode(Message(Kind.STATE | REPLY, seq, head + values.tobytes()))


def parse_state(payload: bytes) -> State:
    """The inverse of :func:`state_reply`.  :raises BusError: it does not hold together."""
    try:
        t_us, now_us, steps, goal_seq, mode, _, n = _STATE.unpack_from(payload)
        robot_mode = RobotMode(mode)
    except (struct.error, ValueError) as error:
        raise BusError(f"bus: no state: {error}") from error
    values = parse_values(payload[_STATE.size :], 3 * n).reshape(3, n)
    return State(t_us, now_us, steps, goal_seq, robot_mode, values[0], values[1], values[2])
