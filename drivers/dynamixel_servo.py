"""One emulated X-series servo: its control table, the firmware's rules for it, and a first-order motor.

Everything is a function of the instants handed in; nothing here knows about bytes on a bus
(:mod:`telerig.drivers.dynamixel_emulator` does).
"""

from __future__ import annotations

import math
import struct

from telerig.hardware.wire import dynamixel_table as table
from telerig.hardware.wire.dynamixel import ALERT, Error
from telerig.hardware.wire.dynamixel_table import Model, OperatingMode, Register

_POSITION_MODES = (OperatingMode.POSITION, OperatingMode.EXTENDED_POSITION, OperatingMode.CURRENT_BASED_POSITION)
_GOALS = (table.GOAL_PWM, table.GOAL_CURRENT, table.GOAL_VELOCITY, table.GOAL_POSITION)
_RAM_START = 64
_DEFAULTS = {
    table.BAUD_RATE: 6, table.RETURN_DELAY: 250, table.OPERATING_MODE: OperatingMode.POSITION, table.PROTOCOL_TYPE: 2,
    table.TEMPERATURE_LIMIT: 70, table.MAX_VOLTAGE: 160, table.MIN_VOLTAGE: 55, table.PWM_LIMIT: 885,
    table.CURRENT_LIMIT: 1193, table.VELOCITY_LIMIT: 330, table.MAX_POSITION: 4095, table.SHUTDOWN: 0x34,
    table.STATUS_RETURN_LEVEL: 2, table.VELOCITY_I_GAIN: 1920, table.VELOCITY_P_GAIN: 100, table.POSITION_P_GAIN: 800,
    table.GOAL_PWM: 885, table.GOAL_CURRENT: 1193, table.PRESENT_VOLTAGE: 120, table.PRESENT_TEMPERATURE: 32,
}  # fmt: skip
_BY_BYTE = {register.address + i: register for register in table.REGISTERS for i in range(register.size)}

# The motor under an outside torque (``load``): made-up but plausible constants of a small geared arm joint.
LIMP_FRICTION = 0.05  # N·m·s/rad, gear train alone
DAMPING_PER_GAIN = 5e-4  # N·m·s/rad a unit of Position D Gain
STIFFNESS_PER_GAIN = 0.05  # N·m/rad a unit of Position P Gain
MAX_SPEED = 6.0  # rad/s
HAND_TIMEOUT_NS = 50_000_000  # an outside hand that has not moved for this long stands still
MOVING = 0.05  # rad/s: reported as moving
_PRESENT = struct.Struct("<HBBhhii")
HAND_SMOOTHING_S = 0.01


def follow(gap: float, speed: float, tau: float, dt: float) -> tuple[float, float]:
    """First-order approach with limited speed, in closed form (so any step gives the same curve).

    :param gap: goal − position, rad.
    :param speed: limit, rad/s; ``tau``: time constant, s; ``dt``: step, s.
    :returns: (remaining gap, velocity towards the goal at the end), signed like ``gap``.
    """
    sign, rest = (1.0, gap) if gap >= 0 else (-1.0, -gap)
    linear = max(0.0, (rest - speed * tau) / speed) if speed > 0 else 0.0
    if dt <= linear:
        return sign * (rest - speed * dt), sign * speed
    rest = (rest - speed * linear) * math.exp(-(dt - linear) / tau)
    return sign * rest, sign * rest / tau


class Servo:
    """A servo with a number on the bus.

    :param tau: time constant of the position loop, s.
    :ivar angle: true shaft angle, rad from the servo's centre; ``velocity`` rad/s.
    :ivar hand: angle that something outside imposes on the shaft while it is limp (the exoskeleton's wearer), or None.
    :ivar load: outside torque, N·m (gravity, a push).
    :ivar silent, mute, frozen: faults: neither hears nor answers; hears only; its encoder stands still.
    """

    def __init__(self, ident: int, model: Model, firmware: int = 48, tau: float = 0.04) -> None:
        self.model, self.tau = model, tau
        self.memory = bytearray(table.TABLE_SIZE)
        self.angle = self.velocity = self.load = 0.0
        self.hand: float | None = None
        self.silent = self.mute = self.frozen = False
        self.staged: tuple[int, bytes] | None = None
        self._now: int | None = None
        self._hand_moved = 0
        self._last_heard = 0
        self._frozen_at: tuple[float, float] | None = None
        for register, value in _DEFAULTS.items():
            self.put(register, int(value))
        self.put(table.MODEL_NUMBER, model.number)
        self.put(table.FIRMWARE_VERSION, firmware)
        self.put(table.ID, ident)
        self._goal_here()

    # -- registers -----------------------------------------------------------------------------------------------
    @property
    def id(self) -> int:
        """Its number on the bus."""
        return self.memory[table.ID.address]

    @property
    def torque(self) -> bool:
        """Torque Enable."""
        return self.memory[table.TORQUE_ENABLE.address] != 0

    @property
    def alert(self) -> int:
        """The alert bit of every status packet."""
        return ALERT if self.memory[table.HARDWARE_ERROR.address] else 0

    def get(self, register: Register) -> int:
        """A register as the firmware sees it."""
        return register.decode(bytes(self.memory[register.address : register.address + register.size]))

    def put(self, register: Register, value: int) -> None:
        """Set a register from inside, past the firmware's rules."""
        self.memory[register.address : register.address + register.size] = register.encode(value)

    def read(self, address: int, length: int) -> tuple[int, bytes]:
        """(error, data) of a READ."""
        if address + length > table.TABLE_SIZE:
            return Error.DATA_RANGE, b""
        self._publish()
        return Error.NONE, bytes(self.memory[address : address + length])

    def write(self, address: int, data: bytes) -> int:
        """A WRITE: the error number; nothing is changed unless all of it can be."""
        changes: list[tuple[Register, int]] = []
        end = address + len(data)
        at = address
        while at < end:
            register = _BY_BYTE.get(at)
            if register is None:
                at += 1  # reserved bytes between registers (XM and XL differ there) take writes without effect
                continue
            if at != register.address or register.address + register.size > end:
                return Error.DATA_LENGTH
            value = register.decode(data[at - address :])
            if error := self._refuses(register, value):
                return error
            changes.append((register, value))
            at += register.size
        for register, value in changes:
            self._apply(register, value)
        return Error.NONE

    def _refuses(self, register: Register, value: int) -> int:
        if not register.writable or (register.eeprom and self.torque):
            return Error.ACCESS
        low, high = register.low, register.high
        if (low is not None and value < low) or (high is not None and value > high):
            return Error.DATA_RANGE
        if register in _GOALS and self.get(table.BUS_WATCHDOG) == table.WATCHDOG_TRIPPED:
            return Error.DATA_RANGE
        limited = register == table.GOAL_POSITION and self.get(table.OPERATING_MODE) == OperatingMode.POSITION
        if limited and not self.get(table.MIN_POSITION) <= value <= self.get(table.MAX_POSITION):
            return Error.DATA_LIMIT
        if register == table.TORQUE_ENABLE and value and self.alert:
            return Error.RESULT_FAIL  # shut down: only a reboot helps
        return Error.NONE

    def _apply(self, register: Register, value: int) -> None:
        if register == table.TORQUE_ENABLE and value and not self.torque:
            self._goal_here()
        self.put(register, value)
        if register == table.OPERATING_MODE:
            self._goal_here()

    # -- life ----------------------------------------------------------------------------------------------------
    def raise_alert(self, bits: int) -> None:
        """A hardware error: the bits stay until a reboot; those in Shutdown (63) switch torque off."""
        self.put(table.HARDWARE_ERROR, bits)
        if bits & self.get(table.SHUTDOWN):
            self.put(table.TORQUE_ENABLE, 0)

    def reboot(self) -> None:
        """RAM registers return to their defaults; torque off."""
        self.memory[_RAM_START:] = bytes(table.TABLE_SIZE - _RAM_START)
        for register, value in _DEFAULTS.items():
            if register.address >= _RAM_START:
                self.put(register, int(value))
        self.staged = None
        self._goal_here()

    def move_hand(self, angle: float, now: int | None = None) -> None:
        """The wearer moved the joint (takes effect while the servo is limp)."""
        now = self._now if now is None else now
        if self.hand is not None and now is not None:
            dt = (now - self._hand_moved) * 1e-9
            if dt > 0:  # smoothed: the instants at which hands move are only as fine as the bus is polled
                measured = (angle - self.hand) / dt if dt < HAND_TIMEOUT_NS * 1e-9 else 0.0
                self.velocity += (measured - self.velocity) * dt / (dt + HAND_SMOOTHING_S)
        self.hand, self._hand_moved = angle, now or 0
        if not self.torque:
            self.angle = angle

    def heard(self, now: int) -> None:
        """An instruction reached this servo: its bus watchdog starts over."""
        self.advance(now)
        self._last_heard = now

    def freeze(self, on: bool) -> None:
        """The encoder stands still (or moves again)."""
        self.frozen = on
        self._frozen_at = (self.angle, 0.0) if on else None

    def advance(self, now: int) -> None:
        """Bring shaft and firmware up to ``now`` (ns)."""
        if self._now is None:
            self._now = self._last_heard = now
        start = self._now
        if now <= start:
            return
        self._now = now
        if self.torque and (watchdog := self.get(table.BUS_WATCHDOG)) > 0:
            trip = self._last_heard + watchdog * table.WATCHDOG_UNIT_NS
            if trip < now:
                self._move((max(trip, start) - start) * 1e-9)
                self.put(table.BUS_WATCHDOG, table.WATCHDOG_TRIPPED)
                self._goal_here()
                self.velocity = 0.0
                start = max(trip, start)
        self._move((now - start) * 1e-9)

    def _goal_here(self) -> None:
        self.put(table.GOAL_POSITION, table.to_ticks(self.angle))

    def _move(self, dt: float) -> None:
        if dt <= 0:
            return
        if not self.torque:
            self._limp(dt)
            return
        mode = self.memory[table.OPERATING_MODE.address]
        if mode in _POSITION_MODES:
            if self.get(table.POSITION_P_GAIN) or self.get(table.POSITION_I_GAIN):
                self._servo(dt)
            else:
                self._drift(LIMP_FRICTION + DAMPING_PER_GAIN * self.get(table.POSITION_D_GAIN), dt)
        elif mode == OperatingMode.VELOCITY:
            self.velocity = self.get(table.GOAL_VELOCITY) * table.RAD_S_PER_UNIT
            self.angle += self.velocity * dt
        else:
            self._limp(dt)

    def _limp(self, dt: float) -> None:
        """Worn, it goes with the wearer; else it sinks."""
        if self.hand is not None:
            self.angle = self.hand
            if self._now is not None and self._now - self._hand_moved > HAND_TIMEOUT_NS:
                self.velocity = 0.0
        else:
            self._drift(LIMP_FRICTION, dt)

    def _drift(self, friction: float, dt: float) -> None:
        self.velocity = max(-MAX_SPEED, min(MAX_SPEED, self.load / friction))
        self.angle += self.velocity * dt

    def _servo(self, dt: float) -> None:
        stiffness = STIFFNESS_PER_GAIN * max(1, self.get(table.POSITION_P_GAIN))
        goal = table.to_angle(self.get(table.GOAL_POSITION)) + self.load / stiffness
        limit = self.get(table.PROFILE_VELOCITY) or self.get(table.VELOCITY_LIMIT)
        gap, self.velocity = follow(goal - self.angle, limit * table.RAD_S_PER_UNIT, self.tau, dt)
        self.angle = goal - gap

    def _publish(self) -> None:
        """Refresh the registers that report the present."""
        angle, velocity = self._frozen_at or (self.angle, self.velocity)
        tick = ((self._now or 0) // 1_000_000) % 32768
        speed, ticks = round(velocity / table.RAD_S_PER_UNIT), table.to_ticks(angle)
        # Realtime Tick, Moving, Moving Status, Present PWM, Current, Velocity, Position lie side by side (120…135).
        moving = abs(velocity) > MOVING
        _PRESENT.pack_into(self.memory, table.REALTIME_TICK.address, tick, moving, 0, 0, self._current(), speed, ticks)

    def _current(self) -> int:
        if not self.torque:
            return 0
        stiffness = STIFFNESS_PER_GAIN * self.get(table.POSITION_P_GAIN)
        torque = stiffness * (table.to_angle(self.get(table.GOAL_POSITION)) - self.angle)
        torque = max(-self.model.stall, min(self.model.stall, torque))
        unit = self.model.ampere * self.model.torque_constant if self.model.ampere else self.model.stall * 1e-3
        return round(torque / unit)
