"""Unitree's messages as they travel over DDS: plain CDR (XCDR version 1), little-endian.

CDR aligns like C, but it does not round a structure's size up, so that the first motor's mode comes sooner: that and the
four-byte header are all that differs between a record of :mod:`telerig.hardware.wire.unitree_hg` and its CDR bytes.  A
generic serializer in Python takes some 0.3 ms a LowCmd and twice that a LowState, which at 500 Hz is a processor core;
this takes microseconds.  Tests compare with Cyclone's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DeviceError
from telerig.hardware.wire.unitree_hg import HAND_TAIL, LOW_CMD, LOW_STATE, MOTOR_CMD, MOTOR_STATE, PRESSURE, Record

HEADER = b"\x00\x01\x00\x00"  # plain CDR, little-endian, no options
_HEAD = len(HEADER)
LIMIT = 64  # elements of a sequence: what is longer is not a hand's

_IMU_END = LOW_STATE.fields["motor"][1] - 2  # type: ignore[index]  # where an IMU's two bytes of padding begin
_CMD_HEAD, _CMD_Q = 2, LOW_CMD.fields["motor"][1] + 4  # type: ignore[index]
_STATE_Q = _IMU_END + 2 + 4
LOW_CMD_BYTES = _HEAD + LOW_CMD.itemsize - 4
LOW_STATE_BYTES = _HEAD + LOW_STATE.itemsize - 4
_TAIL_FLOATS = HAND_TAIL.fields["power_v"][1]  # type: ignore[index]


class WireError(DeviceError):
    """Bytes that are not the message they should be."""


def encode_low_cmd(message: Record) -> bytes:
    """A LowCmd's CDR bytes."""
    raw = message.tobytes()
    return b"".join((HEADER, raw[:_CMD_HEAD], raw[4:5], b"\0", raw[_CMD_Q:]))


def decode_low_cmd(data: bytes) -> Record:
    """The inverse.  :raises WireError: another length or encoding."""
    _check(data, LOW_CMD_BYTES, "LowCmd")
    body = data[_HEAD:]
    raw = b"".join((body[:2], b"\0\0", body[2:3], b"\0\0\0", body[4 : LOW_CMD.itemsize - 4]))
    return np.frombuffer(raw, LOW_CMD)[0]  # type: ignore[no-any-return]


def encode_low_state(message: Record) -> bytes:
    """A LowState's CDR bytes."""
    raw = message.tobytes()
    return b"".join((HEADER, raw[:_IMU_END], raw[_IMU_END + 2 : _IMU_END + 3], b"\0", raw[_STATE_Q:]))


def decode_low_state(data: bytes) -> Record:
    """The inverse.  :raises WireError: another length or encoding."""
    _check(data, LOW_STATE_BYTES, "LowState")
    body = data[_HEAD:]
    head, mode, rest = body[:_IMU_END], body[_IMU_END : _IMU_END + 1], body[_IMU_END + 2 : LOW_STATE.itemsize - 4]
    return np.frombuffer(b"".join((head, b"\0\0", mode, b"\0\0\0", rest)), LOW_STATE)[0]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class HandState:
    """One hand's state: ``motors`` ``(n,)`` of MOTOR_STATE, ``pressure`` ``(m,)`` of PRESSURE, the rest (HAND_TAIL)."""

    motors: NDArray[np.void]
    pressure: NDArray[np.void]
    tail: Record


def encode_hand_cmd(motors: NDArray[np.void]) -> bytes:
    """A HandCmd's CDR bytes; ``motors`` ``(n,)`` of MOTOR_CMD."""
    return b"".join((HEADER, _count(len(motors)), motors.tobytes(), bytes(16)))


def decode_hand_cmd(data: bytes) -> NDArray[np.void]:
    """The motors of a HandCmd, ``(n,)`` of MOTOR_CMD.  :raises WireError: another length or encoding."""
    motors, rest = _sequence(data, _checked_head(data, "HandCmd"), MOTOR_CMD, "HandCmd")
    if len(data) - rest < 16:
        raise WireError(f"HandCmd: {len(data)} bytes are too few")
    return motors


def encode_hand_state(state: HandState) -> bytes:
    """A HandState's CDR bytes."""
    parts = (HEADER, _count(len(state.motors)), state.motors.tobytes(), _count(len(state.pressure)))
    return b"".join((*parts, state.pressure.tobytes(), state.tail.tobytes()))


def decode_hand_state(data: bytes) -> HandState:
    """The inverse.  :raises WireError: another length or encoding."""
    motors, at = _sequence(data, _checked_head(data, "HandState"), MOTOR_STATE, "HandState")
    pressure, at = _sequence(data, at, PRESSURE, "HandState")
    tail = data[at : at + HAND_TAIL.itemsize]
    if len(tail) < HAND_TAIL.itemsize:
        raise WireError(f"HandState: {len(data)} bytes are too few")
    return HandState(motors, pressure, np.frombuffer(tail, HAND_TAIL)[0])


def _count(n: int) -> bytes:
    return n.to_bytes(4, "little")


def _checked_head(data: bytes, what: str) -> int:
    if data[:_HEAD] != HEADER:
        raise WireError(f"{what}: encoding {data[:_HEAD].hex()}, expected {HEADER.hex()} (plain CDR, little-endian)")
    return _HEAD


def _check(data: bytes, size: int, what: str) -> None:
    _checked_head(data, what)
    if len(data) != size:
        raise WireError(f"{what}: {len(data)} bytes, expected {size}")


def _sequence(data: bytes, at: int, item: np.dtype[np.void], what: str) -> tuple[NDArray[np.void], int]:
    count = int.from_bytes(data[at : at + 4], "little")
    end = at + 4 + count * item.itemsize
    if count > LIMIT or end > len(data) or at + 4 > len(data):
        raise WireError(f"{what}: {count} elements do not fit into {len(data)} bytes")
    return np.frombuffer(data, item, count, at + 4), end
