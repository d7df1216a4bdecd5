"""What every driver of a Dynamixel chain does: identify it, poll it on absolute deadlines, know who is missing.

A servo that misses three reads in a row is left out (behind a silent servo nobody answers, and waiting for it would
cost every cycle) and asked for with a short ping four times a second; when it answers it is taken back.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DeviceError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import Clock, DeviceContext
from telerig.hardware.wire import dynamixel as wire
from telerig.hardware.wire import dynamixel_table as table
from telerig.hardware.wire.dynamixel_table import Model, Register

if TYPE_CHECKING:  # it imports the vendor's SDK
    from telerig.drivers.dynamixel_bus import Bus

MISSES = 3
STALL_NS = 150_000_000  # nobody answers for less than this: perhaps it was the host that stalled
PROBE_NS = 250_000_000
SILENT_NS = 500_000_000  # nobody answers for so long: the bus has no power, or another baud rate
PROBE_PATIENCE_S = 0.003


class ServoError(DeviceError):
    """A servo does not answer, or refuses; the text names it."""


class Block:
    """Registers that lie side by side and are read together.

    :ivar address, length: where they lie.
    """

    def __init__(self, *registers: Register) -> None:
        self.registers = registers
        self.address = registers[0].address
        self.length = registers[-1].address + registers[-1].size - self.address
        codes = {1: "b", 2: "h", 4: "i"}
        form = "<" + "".join(codes[r.size] if r.signed else codes[r.size].upper() for r in registers)
        self._struct = struct.Struct(form)
        if self._struct.size != self.length:
            raise ValueError(f"{', '.join(r.name for r in registers)} do not lie side by side")

    def unpack(self, data: bytes) -> tuple[int, ...]:
        """Values, with their signs."""
        return self._struct.unpack(data)


@dataclass(slots=True)
class GroupReading:
    """What came back from one group read.

    ``data``: id → bytes, of the servos that answered in full; ``errors``: id → error byte (alert bit included), of all
    that answered.  ``t0``, ``t1``: just before the request and just after the last reply, ns.
    """

    t0: int
    t1: int
    data: dict[int, bytes] = field(default_factory=dict)
    errors: dict[int, int] = field(default_factory=dict)


class Pacer:
    """Absolute deadlines at a fixed rate: late ticks skip whole periods, they never shift the rest.

    :param phase: deadlines lie this part of a period behind the clock's whole periods; None: the first is now.
    :ivar deadline: the next one, ns; ``skipped``: periods lost so far.
    """

    def __init__(self, clock: Clock, rate_hz: float, phase: float | None = None) -> None:
        self._clock, self._period = clock, round(1e9 / rate_hz)
        self.deadline = now = clock.now()
        if phase is not None:
            self.deadline += (round(phase * self._period) - now) % self._period
        self.skipped = 0

    def wait(self, timeout_s: float) -> bool:
        """Sleep to the deadline if it lies within ``timeout_s``; whether it has come.

        Otherwise the time-out is slept out, so that a caller that only reads does not spin.
        """
        now = self._clock.now()
        self._clock.sleep_until(min(self.deadline, now + round(timeout_s * 1e9)))
        now = self._clock.now()
        if now < self.deadline:
            return False
        late = (now - self.deadline) // self._period
        self.skipped += late
        self.deadline += (late + 1) * self._period
        return True


class Chain:
    """:param block: what every cycle reads.
    :param returned: called with the id of a servo that answers again, before it is read again (it may have lost its
        power, hence its settings); a :class:`ServoError` from it leaves the servo out.
    :ivar active: servos that are read; ``missing``: id → when to ask again; ``alerts``: id → hardware error bits.
    """

    def __init__(
        self,
        bus: Bus,
        ids: Sequence[int],
        block: Block,
        context: DeviceContext,
        returned: Callable[[int], None] = lambda ident: None,
    ) -> None:
        self.bus, self.ids, self._context, self._returned = bus, tuple(ids), context, returned
        self._block = block
        self.active = list(ids)
        self.missing: dict[int, int] = {}
        self.alerts: dict[int, int] = {}
        self._misses = dict.fromkeys(ids, 0)
        self._errors = dict.fromkeys(ids, 0)
        self._answered_at = bus.clock.now()

    def emit(self, level: Level, code: str, text: str, **data: object) -> None:
        """Report an event of this device."""
        self._context.emit(Event(self.bus.clock.now(), level, self._context.name, code, text, data))

    def leave_out(self, ident: int) -> None:
        """Stop reading a servo; it is asked for regularly from now on."""
        if ident in self.missing:
            return
        self.active.remove(ident)
        self.missing[ident] = self.bus.clock.now() + PROBE_NS
        name = self.bus.name_of(ident)
        self.emit(Level.ERROR, "device.servo_missing", f"{name} does not answer", servo=ident)

    def cycle(self) -> GroupReading:
        """One group read, and the bookkeeping.

        :raises DeviceLost: unplugged, or no servo has answered for 0.5 s.
        """
        now = self.bus.clock.now()
        if self.active:
            reading = self.bus.group_read(self.active, self._block.address, self._block.length)
        else:
            reading = GroupReading(now, now)
        if reading.errors:
            self._answered_at = reading.t1
        elif now - self._answered_at > SILENT_NS:
            quiet = SILENT_NS // 1_000_000
            raise DeviceLost(f"{self._context.name}: no servo has answered for {quiet} ms (bus power? cable?)")
        if len(reading.errors) < len(self.active) or any(self._misses.values()):
            self._count_misses(reading)
        if self.alerts or any(reading.errors.values()) or any(self._errors.values()):
            for ident, error in reading.errors.items():
                self._note_error(ident, error)
        if self.missing:
            self._probe(now)
        return reading

    def _count_misses(self, reading: GroupReading) -> None:
        heard = [i for i, ident in enumerate(self.active) if ident in reading.errors]
        if not heard and reading.t1 - self._answered_at < STALL_NS:
            return
        last = heard[-1] if heard else -1
        for i, ident in enumerate(list(self.active)):
            if ident in reading.errors:
                self._misses[ident] = 0
            elif i <= last + 1:  # those further back may only have waited for a silent one
                self._misses[ident] += 1
                if self._misses[ident] >= MISSES:
                    self.leave_out(ident)

    def _note_error(self, ident: int, error: int) -> None:
        number, name = error & ~wire.ALERT, self.bus.name_of(ident)
        if number != self._errors[ident]:
            self._errors[ident] = number
            if number:
                text = wire.ERROR_TEXT.get(number, f"error {number}")
                self.emit(Level.WARNING, "device.servo_error", f"{name}: {text}", servo=ident, error=number)
        if error & wire.ALERT and ident not in self.alerts:
            try:
                bits = self.bus.read(ident, table.HARDWARE_ERROR, tries=2)
            except ServoError:
                return  # the next reply has the alert bit too
            self.alerts[ident] = bits
            text = table.hardware_error_text(bits)
            self.emit(Level.ERROR, "device.servo_alert", f"{name}: {text}", servo=ident, bits=bits)
        elif not error & wire.ALERT and self.alerts.pop(ident, None) is not None:
            self.emit(Level.INFO, "device.servo_alert_over", f"{name}: no hardware error any more", servo=ident)

    def _probe(self, now: int) -> None:
        due = [ident for ident, when in self.missing.items() if when <= now]
        if not due:
            return
        ident = min(due, key=lambda i: self.missing[i])  # one a cycle: silence costs time
        self.missing[ident] = now + PROBE_NS
        if self.bus.ping(ident, tries=1, patience_s=PROBE_PATIENCE_S) is None:
            return
        try:
            self._returned(ident)
        except ServoError:
            return
        del self.missing[ident]
        self._misses[ident] = 0
        self.active = [i for i in self.ids if i not in self.missing]
        self._answered_at = self.bus.clock.now()
        self.emit(Level.INFO, "device.servo_back", f"{self.bus.name_of(ident)} answers again", servo=ident)


def identify(bus: Bus, ids: Sequence[int], model: str, min_firmware: int, where: str) -> dict[int, Model]:
    """Ask every servo who it is: id → model, of those that answer.

    :param model: name that all must have; "" for any known X-series servo.
    :raises DeviceOpenError: nobody answers.
    :raises DeviceIdentityError: wrong model or too old firmware.
    """
    found: dict[int, Model] = {}
    for ident in ids:
        tries = 3 if found or ident == ids[0] else 1
        answer = bus.ping(ident, tries)
        if answer is None:
            continue
        name, (number, _) = bus.name_of(ident), answer
        known = table.MODELS.get(number)
        if known is None or (model and known.name != model):
            what = known.name if known else f"unknown model {number}"
            expected = model or "one of " + ", ".join(table.MODEL_NAMES)
            raise DeviceIdentityError(f"{where}: {name} is {what}; expected {expected}")
        firmware = bus.read(ident, table.FIRMWARE_VERSION)
        if firmware < min_firmware:
            raise DeviceIdentityError(
                f"{where}: {name} has firmware {firmware}; at least {min_firmware} is needed (update: DYNAMIXEL Wizard)"
            )
        found[ident] = known
    if not found:
        wanted = ", ".join(map(str, ids))
        raise DeviceOpenError(
            f"{where}: no servo answers at {bus.port.baudrate} baud (ids {wanted}); check power, cable, ids, baud rate"
        )
    return found


def set_return_delay(bus: Bus, ident: int, delay_us: int) -> None:
    """Return Delay Time (EEPROM: written only if it differs; torque must be off).  :raises ServoError: refused."""
    wanted = delay_us * 1000 // table.RETURN_DELAY_UNIT_NS
    if bus.read(ident, table.RETURN_DELAY) != wanted:
        bus.write(ident, table.RETURN_DELAY, wanted)


def timing(reading: GroupReading, return_delay_us: int) -> tuple[int, int]:
    """(t_sample, sigma_t), ns: middle of the transaction less the servos' return delay; ± half of the round trip."""
    half = (reading.t1 - reading.t0) // 2
    return max(reading.t0, reading.t0 + half - return_delay_us * 1000), half


def gather(reading: GroupReading, ids: Sequence[int], block: Block) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Raw register values ``(registers, len(ids))``, NaN where nothing came; valid bits of one row ``(len(ids),)``."""
    nothing = (math.nan,) * len(block.registers)
    rows = [block.unpack(reading.data[i]) if i in reading.data else nothing for i in ids]
    valid = np.array([i in reading.data for i in ids])
    return np.array(rows, np.float64).T, valid
