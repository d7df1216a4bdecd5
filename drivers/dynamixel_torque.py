"""What makes a Dynamixel arm stiff, soft or limp: torque, gains, goals, the bus watchdog, and who has lost them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from telerig.drivers.dynamixel_chain import Chain, ServoError, set_return_delay
from telerig.hardware.errors import DeviceOpenError
from telerig.hardware.events import Level
from telerig.hardware.wire import dynamixel_table as table
from telerig.hardware.wire.dynamixel_table import OperatingMode

if TYPE_CHECKING:
    from telerig.drivers.dynamixel_arm import DynamixelArmConfig

FIRMWARE_GAINS = (800, 0, 0)  # P, I, D defaults of X-series position control
REBOOT_NS = 600_000_000
CHECK_EVERY = 5  # cycles between looks at one servo's torque and watchdog
_CHECK_START = table.TORQUE_ENABLE.address
_CHECK_LENGTH = table.BUS_WATCHDOG.address + 1 - _CHECK_START


def _gains(p: int, i: int, d: int) -> bytes:
    """Position D, I and P Gain as they lie in the table (80…85)."""
    return b"".join(r.encode(v) for r, v in
                    ((table.POSITION_D_GAIN, d), (table.POSITION_I_GAIN, i), (table.POSITION_P_GAIN, p)))  # fmt: skip


class Torque:
    """:param velocity: fastest each servo may go, id → rad/s (Profile Velocity).

    :ivar torqued: servos whose torque is on, as far as known; ``stopped``: id → why it no longer follows goals.
    """

    def __init__(self, chain: Chain, config: DynamixelArmConfig, velocity: Mapping[int, float]) -> None:
        self.chain, self._bus, self._config, self._velocity = chain, chain.bus, config, velocity
        self.torqued: set[int] = set()
        self.stopped: dict[int, str] = {}
        self._state = "found"  # as it was opened, then: moving, holding, damped, off
        self._stiff: set[int] = set()  # while damped: those that have not confirmed it
        self._gains = _gains(*(config.position_gains or FIRMWARE_GAINS))
        self._soft = _gains(0, 0, config.damping_gain)
        self._units = config.bus_watchdog_ms // 20
        self._cycles = 0

    # -- configuration -------------------------------------------------------------------------------------------
    def configure_all(self) -> None:
        """Settings of every servo, after clearing hardware errors.  :raises DeviceOpenError: one stays in error."""
        bad = [i for i in self.chain.ids if self._bus.read(i, table.HARDWARE_ERROR)]
        if bad:
            for ident in bad:
                self._bus.reboot(ident)
            self._bus.clock.sleep_until(self._bus.clock.now() + REBOOT_NS)
        for ident in bad:
            if bits := self._bus.read(ident, table.HARDWARE_ERROR):
                text = table.hardware_error_text(bits)
                raise DeviceOpenError(f"{self._bus.name_of(ident)}: {text} even after a reboot")
        for ident in self.chain.ids:
            self.configure(ident)

    def configure(self, ident: int) -> None:
        """Operating mode, return delay, profile.

        :raises ServoError: the servo refuses or does not answer; or a setting in EEPROM, which can be changed only
            without torque, is another one while it holds: that would drop what it holds.
        """
        mode = self._bus.read(ident, table.OPERATING_MODE)
        delay = self._bus.read(ident, table.RETURN_DELAY)
        wanted = self._config.return_delay_us * 1000 // table.RETURN_DELAY_UNIT_NS
        torque = self._bus.read(ident, table.TORQUE_ENABLE)
        if mode != OperatingMode.POSITION or delay != wanted:
            if torque:
                raise ServoError(
                    f"{self._bus.name_of(ident)} holds its torque with settings of another program (operating mode"
                    f" {mode}, return delay {delay}): support the arm, then switch the servos' power off and on"
                )
            set_return_delay(self._bus, ident, self._config.return_delay_us)
            if mode != OperatingMode.POSITION:
                self._bus.write(ident, table.OPERATING_MODE, OperatingMode.POSITION)
        speed = max(1, round(self._velocity[ident] / table.RAD_S_PER_UNIT))
        self._bus.write(ident, table.PROFILE_ACCELERATION, 0)  # the guard limits acceleration; a second ramp would lag
        self._bus.write(ident, table.PROFILE_VELOCITY, speed)
        (self.torqued.add if torque else self.torqued.discard)(ident)

    def returned(self, ident: int) -> None:
        """A servo answers again; it may have lost its power.  :raises ServoError: not for long."""
        self.configure(ident)
        self._fell_out(ident, "was away")

    def _fell_out(self, ident: int, why: str) -> None:
        """A servo does not do what the others do: while moving it waits for ``hold``, else it is made to do the same.

        :raises ServoError: it does not.
        """
        if self._state == "holding":
            self._engage([ident])
        elif self._state == "moving":
            self.stopped[ident] = why
        elif self._state == "damped" and ident in self.torqued:
            if self._soften([ident]):
                raise ServoError(f"{self._bus.name_of(ident)} did not damp")
            # Only now: a watchdog that tripped holds the servo, and without a P gain clearing it moves nothing.
            self._bus.write(ident, table.BUS_WATCHDOG, 0)
            self._bus.write(ident, table.BUS_WATCHDOG, self._units)
        elif self._state == "off" and ident in self.torqued:
            self._bus.write(ident, table.BUS_WATCHDOG, 0)
            self._bus.write(ident, table.TORQUE_ENABLE, 0)
            self.torqued.discard(ident)

    # -- who follows ---------------------------------------------------------------------------------------------
    def why_not(self) -> str:
        """Why the arm cannot be commanded; "" if it can."""
        name = self._bus.name_of
        for ident in self.chain.missing:
            return f"{name(ident)} does not answer"
        for ident, bits in self.chain.alerts.items():
            return f"{name(ident)} reports {table.hardware_error_text(bits)}: restart the session to reboot it"
        for ident, why in self.stopped.items():
            return f"{name(ident)} {why}: hold first"
        return ""

    def check_stall(self) -> None:
        """If the bus was silent for as long as the watchdog allows, ask every servo whether it has stopped."""
        quiet = self._bus.clock.now() - self._bus.last_talk
        if not self.torqued or not self._units or quiet < self._units * table.WATCHDOG_UNIT_NS * 9 // 10:
            return
        ids = [i for i in self.chain.active if i in self.torqued]
        for ident, data in self._bus.group_read(ids, table.BUS_WATCHDOG.address, 1).data.items():
            self._note_watchdog(ident, table.BUS_WATCHDOG.decode(data))

    def check_next(self) -> None:
        """Every few cycles, look at one servo: torque that went off, a watchdog that tripped."""
        self._cycles += 1
        if self._cycles % CHECK_EVERY or not self.torqued or not self.chain.active:
            return
        if self._state == "damped" and self._stiff:
            self._soften([i for i in self.chain.active if i in self._stiff], tries=1)
        ident = self.chain.active[self._cycles // CHECK_EVERY % len(self.chain.active)]
        try:
            block, _ = self._bus.read_block(ident, _CHECK_START, _CHECK_LENGTH, tries=1)
        except ServoError:
            return  # the group reads count misses
        self._note_watchdog(ident, table.BUS_WATCHDOG.decode(block[-1:]))
        if ident in self.torqued and not block[0]:
            self._note_torque_lost(ident)

    def _note_torque_lost(self, ident: int) -> None:
        """Its power blinked, or its firmware shut it down (then there is an alert too)."""
        why = "has lost its torque"
        self.torqued.discard(ident)
        self.chain.emit(Level.ERROR, "device.torque_lost", f"{self._bus.name_of(ident)} {why}", servo=ident)
        if ident in self.chain.alerts:
            return
        try:
            self.configure(ident)
            self._fell_out(ident, why)
        except ServoError:
            self.stopped[ident] = why

    def _note_watchdog(self, ident: int, value: int) -> None:
        if value != table.WATCHDOG_TRIPPED or ident in self.stopped or ident not in self.torqued:
            return
        if self._state == "found":  # by the silence between an earlier program and this one
            return
        why = f"was stopped by its bus watchdog ({self._config.bus_watchdog_ms} ms without a word)"
        self.chain.emit(Level.WARNING, "device.watchdog", f"{self._bus.name_of(ident)} {why}", servo=ident)
        try:
            self._fell_out(ident, why)
        except ServoError:
            self.stopped[ident] = why

    # -- stiff, soft, limp ---------------------------------------------------------------------------------------
    def move(self, goals: Mapping[int, int]) -> None:
        """Goals in ticks, id → position.  Engages first where needed."""
        if self._state not in ("moving", "holding") or len(self.torqued) < len(goals):
            self._engage(list(goals))
        self._bus.sync_write(table.GOAL_POSITION.address, {i: table.GOAL_POSITION.encode(g) for i, g in goals.items()})
        self._state = "moving"

    def hold(self) -> None:
        """Every servo that can, holds where it is.  A repeated hold does not follow an arm that sags."""
        able = [i for i in self.chain.active if i not in self.chain.alerts]
        if self._state not in ("moving", "holding"):
            self._engage(able)
        else:
            self._engage([i for i in able if i in self.stopped or i not in self.torqued])
            if self._state == "moving":
                stiff = [i for i in able if i in self.torqued]
                self._report(set(stiff) - set(self._goal_here(stiff)), "hold")
        self._state = "holding"

    def damp(self) -> None:
        """Torque only against velocity; servos that are limp stay limp.

        One that does not answer now is told too, and damped again when it answers.
        """
        if self._state == "damped" or (self._state in ("found", "off") and not self.torqued):
            return
        # One that hears would otherwise stay stiff, and be dropped from there when torque goes off.
        self._bus.sync_write(table.POSITION_D_GAIN.address, dict.fromkeys(self._deaf(), self._soft))
        self._report(self._soften([i for i in self.chain.active if i in self.torqued]), "damp")
        self._state = "damped"

    def _soften(self, ids: Sequence[int], tries: int = 3) -> set[int]:
        """The gains of damping; ids that did not confirm them."""
        failed = self._bus.sync_write_checked(table.POSITION_D_GAIN.address, dict.fromkeys(ids, self._soft), tries)
        self._stiff = (self._stiff - set(ids)) | failed
        return failed

    def _deaf(self) -> list[int]:
        """Servos with torque that do not answer: perhaps they hear."""
        return [i for i in self.chain.missing if i in self.torqued]

    def off(self) -> None:
        """Torque and watchdog off.  :raises ServoError: a servo did not confirm, or does not answer."""
        active = self.chain.active
        self._bus.set_all(table.BUS_WATCHDOG, dict.fromkeys(active, 0))
        failed = self._bus.set_all(table.TORQUE_ENABLE, dict.fromkeys(active, 0))
        deaf = self._deaf()
        self._bus.sync_write(table.TORQUE_ENABLE.address, dict.fromkeys(deaf, table.TORQUE_ENABLE.encode(0)))
        failed |= set(deaf)
        self.torqued.clear()
        self._state = "off"
        if failed:
            raise ServoError(f"{', '.join(map(self._bus.name_of, sorted(failed)))}: torque off is not confirmed")

    def _engage(self, ids: Sequence[int]) -> None:
        """Torque on without a jerk: no gains, goal := here, gains, torque, watchdog."""
        if not ids:
            return
        bus, zero = self._bus, dict.fromkeys(ids, 0)
        # A goal that jumps would kick through the D gain of a damped servo: all gains are zero for these 2 ms.
        bus.set_all(table.BUS_WATCHDOG, zero)
        bus.sync_write_checked(table.POSITION_D_GAIN.address, dict.fromkeys(ids, _gains(0, 0, 0)))
        here = self._goal_here(ids)
        failed = bus.sync_write_checked(table.POSITION_D_GAIN.address, dict.fromkeys(here, self._gains))
        failed |= bus.set_all(table.TORQUE_ENABLE, dict.fromkeys(here, 1)) | (set(ids) - set(here))
        failed |= bus.set_all(table.BUS_WATCHDOG, dict.fromkeys(here, self._units))
        self._report(failed, "engage")
        for ident in set(ids) - failed:
            self.torqued.add(ident)
            self.stopped.pop(ident, None)

    def _goal_here(self, ids: Sequence[int]) -> list[int]:
        """Goal := measured position; the ids for which that worked."""
        register, here = table.PRESENT_POSITION, dict[int, bytes]()
        for _ in range(3):
            if left := [i for i in ids if i not in here]:
                here |= self._bus.group_read(left, register.address, register.size).data
        goals = {i: max(0, min(table.TICKS - 1, register.decode(data))) for i, data in here.items()}
        # Not read back: the firmware of a limp servo may let its goal follow its position.
        self._bus.sync_write(table.GOAL_POSITION.address, {i: table.GOAL_POSITION.encode(g) for i, g in goals.items()})
        return list(goals)

    def _report(self, failed: set[int], what: str) -> None:
        for ident in sorted(failed):
            name = self._bus.name_of(ident)
            self.stopped[ident] = f"did not {what}"
            self.chain.emit(Level.ERROR, f"device.{what}_failed", f"{name} did not {what}", servo=ident)
