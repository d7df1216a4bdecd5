"""Linux's joystick device (``/dev/input/js0``): 8-byte events, as in the kernel's ``joystick.h``.

Little-endian: time u32 ms, value i16, type u8 (1 button, 2 axis; with 0x80 it is the present state, sent when the device
is opened), number u8.  Axes are ±32767, calibrated by the kernel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

EVENT = struct.Struct("<IhBB")
BUTTON, AXIS, INITIAL = 1, 2, 0x80
FULL = 32767.0


@dataclass(frozen=True, slots=True)
class JoystickEvent:
    """One event.  ``t_ms``: the device's clock, wraps after 49 days; ``value``: −1…1 of an axis, 0 or 1 of a button."""

    t_ms: int
    axis: bool
    number: int
    value: float
    initial: bool = False


def encode(event: JoystickEvent) -> bytes:
    """An event as bytes."""
    kind = (AXIS if event.axis else BUTTON) | (INITIAL if event.initial else 0)
    value = round(max(-1.0, min(1.0, event.value)) * FULL) if event.axis else int(event.value)
    return EVENT.pack(event.t_ms & 0xFFFFFFFF, value, kind, event.number)


class Decoder:
    """Bytes in any portions to events; kinds it does not know are left out.

    :ivar unknown: how many were.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.unknown = 0

    def feed(self, data: bytes) -> list[JoystickEvent]:
        """Events completed by these bytes, in order."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        out = []
        for t_ms, value, kind, number in EVENT.iter_unpack(data[:whole]):
            plain = kind & ~INITIAL
            if plain not in (BUTTON, AXIS):
                self.unknown += 1
                continue
            axis = plain == AXIS
            amount = max(-1.0, value / FULL) if axis else float(bool(value))
            out.append(JoystickEvent(t_ms, axis, number, amount, bool(kind & INITIAL)))
        return out
