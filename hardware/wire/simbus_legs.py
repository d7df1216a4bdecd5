"""What the simulated robot's bus says of legs: more kinds of messages, in the frame of :mod:`simbus`.

A robot whose pelvis is held does not know them and answers BAD_KIND.

=============== ==================================== =====================================================
request         payload                              reply's payload
=============== ==================================== =====================================================
WHO             –                                    :class:`~simbus.Identity` with the legs' joints
STATE           –                                    :class:`LegState`
FOLLOW          u1 balancing, 3 pad, f4[3n]          status u8, mode u8 (:class:`LegMode`)
DAMP            –                                    status u8, mode u8
=============== ==================================== =====================================================

FOLLOW holds n positions rad, n stiffnesses N m/rad, n dampings N m s/rad.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.legs import LegCommand, LegMode
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import BusError, Message, Status

Array = NDArray[np.float64]
_HEAD = struct.Struct("<B3x")
_STATE = struct.Struct("<QQIBBH")
_ACK = struct.Struct("<BB")


class LegKind(enum.IntEnum):
    """What is asked; numbers apart from :class:`simbus.Kind`."""

    WHO = 32
    STATE = 33
    FOLLOW = 34
    DAMP = 35


@dataclass(frozen=True, slots=True)
class LegState:
    """Measured legs and pelvis; float32 on the wire.  Clock and steps as in :class:`simbus.State`.

    ``attitude`` (4,) quaternion wxyz of the pelvis in the world, ``angular_velocity`` (3,) rad/s in its own axes.
    """

    t_us: int
    now_us: int
    steps: int
    mode: LegMode
    position: Array
    velocity: Array
    effort: Array
    attitude: Array
    angular_velocity: Array


def follow_request(seq: int, command: LegCommand) -> bytes:
    """FOLLOW."""
    values = np.concatenate((command.position, command.kp, command.kd)).astype("<f4")
    return simbus.encode(Message(LegKind.FOLLOW, seq, _HEAD.pack(command.balancing) + values.tobytes()))


def plain_request(kind: LegKind, seq: int) -> bytes:
    """WHO, STATE or DAMP."""
    return simbus.encode(Message(kind, seq))


def parse_follow(payload: bytes, n: int) -> LegCommand:
    """:raises BusError: wrong length."""
    values = simbus.parse_values(payload[_HEAD.size :], 3 * n).reshape(3, n)
    return LegCommand(values[0], values[1], values[2], bool(payload[0]))


def state_reply(seq: int, state: LegState) -> bytes:
    """The reply to STATE."""
    head = _STATE.pack(state.t_us, state.now_us, state.steps & 0xFFFFFFFF, state.mode, 0, len(state.position))
    parts = (state.position, state.velocity, state.effort, state.attitude, state.angular_velocity)
    return simbus.encode(
        Message(LegKind.STATE | simbus.REPLY, seq, head + np.concatenate(parts).astype("<f4").tobytes())
    )


def parse_state(payload: bytes) -> LegState:
    """:raises BusError: it does not hold together."""
    try:
        t_us, now_us, steps, mode, _, n = _STATE.unpack_from(payload)
        leg_mode = LegMode(mode)
    except (struct.error, ValueError) as error:
        raise BusError(f"bus: no leg state: {error}") from error
    values = simbus.parse_values(payload[_STATE.size :], 3 * n + 7)
    legs = values[: 3 * n].reshape(3, n)
    return LegState(
        t_us, now_us, steps, leg_mode, legs[0], legs[1], legs[2], values[3 * n : 3 * n + 4], values[3 * n + 4 :]
    )


def ack(kind: int, seq: int, status: Status, mode: LegMode) -> bytes:
    """The reply to FOLLOW and DAMP."""
    return simbus.encode(Message(kind | simbus.REPLY, seq, _ACK.pack(status, mode)))


def parse_ack(payload: bytes) -> tuple[Status, LegMode]:
    """:raises BusError: wrong length or value."""
    try:
        status, mode = _ACK.unpack(payload)
        return Status(status), LegMode(mode)
    except (struct.error, ValueError) as error:
        raise BusError(f"bus: no acknowledgement: {error}") from error
