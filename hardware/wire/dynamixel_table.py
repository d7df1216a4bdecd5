"""Control table and models of Dynamixel X-series servos.

Source: ROBOTIS e-Manual, control tables of XL330-M077/-M288, XC330, XL430-W250, XM430-W210/-W350, XM540-W150/-W270.
The addresses used here are the same in all of them.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Register:
    """One entry: EEPROM entries can be written with torque off only."""

    name: str
    address: int
    size: int
    signed: bool = False
    eeprom: bool = False
    writable: bool = True
    low: int | None = None
    high: int | None = None

    def encode(self, value: int) -> bytes:
        """Little-endian bytes; a negative value only where the register is signed (else :class:`OverflowError`)."""
        return value.to_bytes(self.size, "little", signed=self.signed)

    def decode(self, data: bytes) -> int:
        """Value of ``size`` bytes, with its sign: the SDK itself returns −5 as 4294967291."""
        return int.from_bytes(data[: self.size], "little", signed=self.signed)


def _rom(
    name: str, address: int, size: int, low: int | None = None, high: int | None = None, ro: bool = False
) -> Register:
    return Register(name, address, size, eeprom=True, writable=not ro, low=low, high=high)


MODEL_NUMBER = _rom("Model Number", 0, 2, ro=True)
MODEL_INFORMATION = _rom("Model Information", 2, 4, ro=True)
FIRMWARE_VERSION = _rom("Firmware Version", 6, 1, ro=True)
ID = _rom("ID", 7, 1, 0, 252)
BAUD_RATE = _rom("Baud Rate", 8, 1, 0, 7)
RETURN_DELAY = _rom("Return Delay Time", 9, 1, 0, 254)  # 2 µs
DRIVE_MODE = _rom("Drive Mode", 10, 1, 0, 13)
OPERATING_MODE = _rom("Operating Mode", 11, 1, 0, 16)
PROTOCOL_TYPE = _rom("Protocol Type", 13, 1, 1, 22)
HOMING_OFFSET = Register("Homing Offset", 20, 4, True, True, True, -1044479, 1044479)
MOVING_THRESHOLD = _rom("Moving Threshold", 24, 4, 0, 1023)
TEMPERATURE_LIMIT = _rom("Temperature Limit", 31, 1, 0, 100)
MAX_VOLTAGE = _rom("Max Voltage Limit", 32, 2, 0, 160)
MIN_VOLTAGE = _rom("Min Voltage Limit", 34, 2, 0, 160)
PWM_LIMIT = _rom("PWM Limit", 36, 2, 0, 885)
CURRENT_LIMIT = _rom("Current Limit", 38, 2, 0, 2047)
VELOCITY_LIMIT = _rom("Velocity Limit", 44, 4, 0, 2047)
MAX_POSITION = _rom("Max Position Limit", 48, 4, 0, 4095)
MIN_POSITION = _rom("Min Position Limit", 52, 4, 0, 4095)
SHUTDOWN = _rom("Shutdown", 63, 1, 0, 61)
TORQUE_ENABLE = Register("Torque Enable", 64, 1, low=0, high=1)
LED = Register("LED", 65, 1, low=0, high=1)
STATUS_RETURN_LEVEL = Register("Status Return Level", 68, 1, low=0, high=2)
REGISTERED = Register("Registered Instruction", 69, 1, writable=False)
HARDWARE_ERROR = Register("Hardware Error Status", 70, 1, writable=False)
VELOCITY_I_GAIN = Register("Velocity I Gain", 76, 2, low=0, high=16383)
VELOCITY_P_GAIN = Register("Velocity P Gain", 78, 2, low=0, high=16383)
POSITION_D_GAIN = Register("Position D Gain", 80, 2, low=0, high=16383)
POSITION_I_GAIN = Register("Position I Gain", 82, 2, low=0, high=16383)
POSITION_P_GAIN = Register("Position P Gain", 84, 2, low=0, high=16383)
FEEDFORWARD_2 = Register("Feedforward 2nd Gain", 88, 2, low=0, high=16383)
FEEDFORWARD_1 = Register("Feedforward 1st Gain", 90, 2, low=0, high=16383)
BUS_WATCHDOG = Register("Bus Watchdog", 98, 1, signed=True, low=0, high=127)  # 20 ms; −1: it has stopped the servo
GOAL_PWM = Register("Goal PWM", 100, 2, signed=True, low=-885, high=885)
GOAL_CURRENT = Register("Goal Current", 102, 2, signed=True, low=-2047, high=2047)
GOAL_VELOCITY = Register("Goal Velocity", 104, 4, signed=True, low=-2047, high=2047)
PROFILE_ACCELERATION = Register("Profile Acceleration", 108, 4, low=0, high=32767)
PROFILE_VELOCITY = Register("Profile Velocity", 112, 4, low=0, high=32767)
GOAL_POSITION = Register("Goal Position", 116, 4, signed=True)
REALTIME_TICK = Register("Realtime Tick", 120, 2, writable=False)  # ms, wraps at 32768
MOVING = Register("Moving", 122, 1, writable=False)
MOVING_STATUS = Register("Moving Status", 123, 1, writable=False)
PRESENT_PWM = Register("Present PWM", 124, 2, signed=True, writable=False)
PRESENT_CURRENT = Register("Present Current", 126, 2, signed=True, writable=False)  # Present Load on XL430
PRESENT_VELOCITY = Register("Present Velocity", 128, 4, signed=True, writable=False)
PRESENT_POSITION = Register("Present Position", 132, 4, signed=True, writable=False)
PRESENT_VOLTAGE = Register("Present Input Voltage", 144, 2, writable=False)  # 0.1 V
PRESENT_TEMPERATURE = Register("Present Temperature", 146, 1, writable=False)  # °C

REGISTERS = tuple(sorted((r for r in list(globals().values()) if isinstance(r, Register)), key=lambda r: r.address))
TABLE_SIZE = 256


class OperatingMode(enum.IntEnum):
    """Values of Operating Mode (11)."""

    CURRENT = 0
    VELOCITY = 1
    POSITION = 3
    EXTENDED_POSITION = 4
    CURRENT_BASED_POSITION = 5
    PWM = 16


HARDWARE_ERRORS = {
    0x01: "input voltage",
    0x04: "overheating",
    0x08: "encoder",
    0x10: "electrical shock",
    0x20: "overload",
}
WATCHDOG_UNIT_NS = 20_000_000
WATCHDOG_TRIPPED = -1
RETURN_DELAY_UNIT_NS = 2_000
BAUD_CODES = {9600: 0, 57600: 1, 115200: 2, 1_000_000: 3, 2_000_000: 4, 3_000_000: 5, 4_000_000: 6, 4_500_000: 7}

TICKS = 4096  # a revolution
CENTRE = 2048  # 0 rad
RAD_PER_TICK = 2 * math.pi / TICKS
RAD_S_PER_UNIT = 0.229 * 2 * math.pi / 60  # velocity unit: 0.229 rev/min
RAD_S2_PER_UNIT = 214.577 * 2 * math.pi / 3600  # acceleration unit: 214.577 rev/min²


@dataclass(frozen=True, slots=True)
class Model:
    """What differs between models.

    :param ampere: size of one unit of Present Current, A; 0 where the model reports load instead (XL430).
    :param torque_constant: N·m/A, stall torque over stall current of the data sheet: a rough estimate.
    :param stall: N·m at nominal voltage.
    """

    name: str
    number: int
    ampere: float
    torque_constant: float
    stall: float

    def effort(self, current: int) -> float:
        """Rough joint torque, N·m, from the Present Current (or Present Load, 0.1 % of stall) register."""
        return current * self.ampere * self.torque_constant if self.ampere else current * 1e-3 * self.stall


MODELS = {
    m.number: m
    for m in (
        Model("XL330-M077", 1190, 0.001, 0.146, 0.215),
        Model("XL330-M288", 1200, 0.001, 0.354, 0.52),
        Model("XC330-T181", 1210, 0.001, 0.95, 0.76),
        Model("XC330-T288", 1220, 0.001, 1.15, 0.92),
        Model("XC330-M181", 1230, 0.001, 0.33, 0.6),
        Model("XC330-M288", 1240, 0.001, 0.52, 0.93),
        Model("XL430-W250", 1060, 0.0, 0.0, 1.5),
        Model("XM430-W350", 1020, 0.00269, 1.78, 4.1),
        Model("XM430-W210", 1030, 0.00269, 1.30, 3.0),
        Model("XM540-W270", 1120, 0.00269, 2.41, 10.6),
        Model("XM540-W150", 1130, 0.00269, 1.66, 7.3),
    )
}
MODEL_NAMES = {m.name: m for m in MODELS.values()}


def to_ticks(angle: float) -> int:
    """Servo angle (rad, 0 = centre) → position register."""
    return CENTRE + round(angle / RAD_PER_TICK)


def to_angle(ticks: int) -> float:
    """Position register → servo angle (rad, 0 = centre)."""
    return (ticks - CENTRE) * RAD_PER_TICK


def hardware_error_text(bits: int) -> str:
    """Names of the bits set in Hardware Error Status (70)."""
    known = [name for bit, name in HARDWARE_ERRORS.items() if bits & bit]
    return " and ".join(known) or f"unknown error 0x{bits:02x}"
