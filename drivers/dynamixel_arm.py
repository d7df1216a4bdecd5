"""Follower arm of Dynamixel X-series servos: six joints and a gripper (embodiment ``follower_arm``), an actuator.

**States.** After ``open`` the servos are limp, or still hold if an earlier session left them so; nothing moves.  The
first ``send`` or ``hold`` makes the goal the measured position and then switches torque on.  An arm that an earlier
program left holding is said to be so, and stays so, also through ``close``, until this one is told to hold, move or
damp it: a session that sends nothing (``--dry-run``) drops nothing (docs/safety.md).

**Damping.** Torque off would drop the arm.  ``damp`` keeps torque on with Position P and I Gain 0 and Position D Gain
``damping_gain``: the position controller's D term on a constant goal is a torque against velocity and nothing else, so
the arm sinks slowly under its weight and gives way to a hand.  (Velocity mode with goal 0 would be stiff; changing the
operating mode needs torque off.)  ``close`` damps, waits until the joints rest (at most ``settle_s``), then switches
torque off.  A servo that was away meanwhile is damped when it is back.

**Firmware watchdog.** Bus Watchdog (98) is armed while torque is on: a servo that hears nothing for ``bus_watchdog_ms``
stops where it is, and ignores goals.  That is reported, ``send`` refuses, and only ``hold`` clears it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from telerig.drivers.dynamixel_chain import Block, Chain, GroupReading, Pacer, gather, identify, timing
from telerig.drivers.dynamixel_torque import Torque
from telerig.drivers.exo_arm import check_chain
from telerig.hardware.commands import Command, Mode, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import CommandRefused, ConfigError, DeviceError, DeviceOpenError
from telerig.hardware.events import Level
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire import dynamixel_table as table

BLOCK = Block(table.PRESENT_CURRENT, table.PRESENT_VELOCITY, table.PRESENT_POSITION)
REST = 0.05  # rad/s: at rest
LONGEST_SETTLE_S = 1.5


@dataclass(frozen=True, slots=True)
class DynamixelArmConfig:
    """A follower arm in the rig file.

    :param port: ``/dev/serial/by-id/…`` of its USB adapter (opened by the session).
    :param ids: servo numbers in the order of the embodiment's target ``joints``.
    :param signs, offsets: servo angle = sign · joint angle + offset (rad); empty: 1 and 0.
    :param bus_watchdog_ms: firmware watchdog, 20…2540 ms in steps of 20; 0 switches it off.
    :param damping_gain: Position D Gain while damped.
    :param position_gains: Position P, I, D Gain while holding and moving; empty: the firmware's defaults (800, 0, 0).
    :param settle_s: longest wait for the arm to rest when closing, at most 1.5 s: the session ends its processes after 3 s.
    :param reply_timeout_ms: as for ``exo_arm``, but shorter: until the replies have come no goal goes out.
    :param model, min_firmware, baud, return_delay_us, wire_time: as for ``exo_arm``.
    """

    port: str = ""
    baud: int = 4_000_000
    ids: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    embodiment: str = "follower_arm"
    rate_hz: float = 200.0
    signs: tuple[int, ...] = ()
    offsets: tuple[float, ...] = ()
    model: str = ""
    min_firmware: int = 38
    bus_watchdog_ms: int = 200
    damping_gain: int = 4000
    position_gains: tuple[int, ...] = ()
    settle_s: float = 1.0
    reply_timeout_ms: float = 20.0
    return_delay_us: int = 0
    wire_time: bool = False

    def __post_init__(self) -> None:
        names = self.names
        check_chain(self.ids, names, self.rate_hz, self.baud, self.model)
        for key, values in (("signs", self.signs), ("offsets", self.offsets)):
            if values and len(values) != len(names):
                raise ConfigError(f"{key}: {len(values)} values for {len(names)} joints")
        if any(s not in (1, -1) for s in self.signs):
            raise ConfigError(f"signs: {list(self.signs)} must all be 1 or -1")
        if self.bus_watchdog_ms % 20 or not 0 <= self.bus_watchdog_ms <= 2540:
            raise ConfigError(f"bus_watchdog_ms: {self.bus_watchdog_ms} is not a multiple of 20 from 0 to 2540")
        if not 0 <= self.damping_gain <= 16383:
            raise ConfigError(f"damping_gain: {self.damping_gain} is not from 0 to 16383")
        if not 0 <= self.settle_s <= LONGEST_SETTLE_S:
            raise ConfigError(f"settle_s: {self.settle_s} is not from 0 to {LONGEST_SETTLE_S}")
        if len(self.position_gains) not in (0, 3):
            raise ConfigError("position_gains: three values (P, I, D) or none")

    @property
    def names(self) -> tuple[str, ...]:
        """Joint names in the target's order."""
        return load_embodiment(self.embodiment).target("arm", "joints").names


class DynamixelArm:
    """The driver.  See :class:`telerig.hardware.protocols.Actuator`.

    ``NAME/state``: ``position`` rad, ``velocity`` rad/s, ``effort`` N·m (7,), in the order of the target
    ``NAME/joints``.  Effort is a rough estimate: current times the torque constant of the data sheet's stall point.
    """

    Config = DynamixelArmConfig

    def __init__(self, config: DynamixelArmConfig, context: DeviceContext) -> None:
        self._config, self._context = config, context
        self._target = load_embodiment(config.embodiment).target(context.name, "joints")
        n, names = self._target.size, self._target.names
        fields = (
            ArraySpec("position", (n,), "<f8", "rad", names, low=self._target.low, high=self._target.high),
            ArraySpec("velocity", (n,), "<f8", "rad/s", names),
            ArraySpec("effort", (n,), "<f8", "N·m", names),
        )
        self._spec = StreamSpec(f"{context.name}/state", fields, config.rate_hz)
        self._signs = np.array(config.signs or (1,) * n, np.float64)  # (n,)
        self._offsets = np.array(config.offsets or (0.0,) * n)  # (n,) rad
        self._low, self._high = np.array(self._target.low), np.array(self._target.high)
        self._torque: Torque | None = None
        self._ordered = False  # whether this arm was told anything since the driver was made, also before an unplugging

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """``NAME/state``."""
        return (self._spec,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def targets(self) -> tuple[TargetSpec, ...]:
        """``NAME/joints``."""
        return (self._target,)

    def open(self) -> None:
        """Identify and configure all servos; leaves the arm limp, or holding if it was.

        A servo with a hardware error is rebooted once.

        :raises DeviceOpenError: a servo does not answer, or has a hardware error that a reboot does not clear.
        :raises ServoError: a servo refuses its settings, or holds with settings that only a limp one can change.
        :raises DeviceIdentityError: wrong model or firmware.
        """
        from telerig.drivers.dynamixel_bus import Bus, servo_names

        config, context = self._config, self._context
        if context.open_port is None:
            raise DeviceOpenError(f"{context.name}: a dynamixel_arm needs a port")
        name_of = servo_names(config.ids, self._target.names)
        bus = Bus(context.open_port(), context.clock, config.baud, config.reply_timeout_ms * 1e-3, name_of)
        try:
            models = identify(bus, config.ids, config.model, config.min_firmware, context.name)
            if absent := [name_of(i) for i in config.ids if i not in models]:
                raise DeviceOpenError(f"{context.name}: no answer from {', '.join(absent)}; the others answer")
            chain = Chain(bus, config.ids, BLOCK, context, self._returned)
            torque = Torque(chain, config, dict(zip(config.ids, self._target.velocity, strict=True)))
            torque.configure_all()
        except BaseException:
            bus.close()
            raise
        self._torque = torque
        self._effort = np.array([models[i].effort(1) for i in config.ids])  # (n,) N·m a current unit
        self._pacer = Pacer(context.clock, config.rate_hz)
        if not self._ordered:
            self._tell_held(torque, "holds as an earlier program left it; so it stays until it is told to hold or move")

    def _tell_held(self, torque: Torque, text: str) -> None:
        if torque.torqued:
            ids = sorted(torque.torqued)
            text = f"{self._context.name} {text} (torque on: {', '.join(map(torque.chain.bus.name_of, ids))})"
            torque.chain.emit(Level.WARNING, "device.held", text, servos=ids)

    def _returned(self, ident: int) -> None:
        if self._torque is not None:
            self._torque.returned(ident)

    def _opened(self) -> Torque:
        if self._torque is None:
            raise DeviceOpenError(f"{self._context.name}: not open")
        return self._torque

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """One sample a period; none if nobody answered.  :raises DeviceLost: unplugged, or no answers for 0.5 s."""
        torque = self._opened()
        if not self._pacer.wait(timeout_s):
            return []
        torque.check_stall()
        reading = torque.chain.cycle()
        torque.check_next()
        return [self._sample(reading)] if reading.errors else []

    def _sample(self, reading: GroupReading) -> Sample:
        (current, velocity, position), valid = gather(reading, self._config.ids, BLOCK)
        t_sample, sigma = timing(reading, self._config.return_delay_us)
        data = {
            "position": self._signs * ((position - table.CENTRE) * table.RAD_PER_TICK - self._offsets),
            "velocity": self._signs * velocity * table.RAD_S_PER_UNIT,
            "effort": self._signs * self._effort * current,
        }
        return Sample(self._spec.name, reading.t1, t_sample, data, sigma, valid=np.tile(valid, 3))

    def send(self, command: Command) -> None:
        """Sync write of the goals, clamped to the hard limits; switches torque on if it is off.

        :raises CommandRefused: not for this arm, not finite, or a servo is missing, alarmed or stopped.
        :raises DeviceLost: unplugged.
        """
        torque = self._opened()
        if command.target != self._target.name:
            raise CommandRefused(f"{self._target.name}: command is for '{command.target}'")
        if command.mode in (Mode.HOLD, Mode.DAMP):
            (self.hold if command.mode == Mode.HOLD else self.damp)()
            return
        if command.mode != Mode.JOINT_POSITION:
            mode = command.mode.name.lower()
            raise CommandRefused(f"{self._target.name}: takes joint_position, hold and damp, not {mode}")
        goal = np.asarray(command.data, np.float64)
        if goal.shape != (self._target.size,) or not np.isfinite(goal).all():
            raise CommandRefused(f"{self._target.name}: needs {self._target.size} finite values, got {goal.tolist()}")
        torque.check_stall()
        if why := torque.why_not():
            raise CommandRefused(f"{self._target.name}: {why}")
        self._ordered = True
        angles = self._signs * np.clip(goal, self._low, self._high) + self._offsets
        torque.move({i: table.to_ticks(float(a)) for i, a in zip(self._config.ids, angles, strict=True)})

    def hold(self) -> None:
        """Goal := measured position, torque on; clears a bus watchdog that has tripped.  Repeated, it does nothing.

        :raises DeviceLost: unplugged.  A servo that cannot hold is an event.
        """
        torque = self._opened()
        torque.check_stall()
        self._ordered = True
        torque.hold()

    def damp(self) -> None:
        """Only damping (see above); a limp arm stays limp.  :raises DeviceLost: unplugged."""
        torque, self._ordered = self._opened(), True
        torque.damp()

    def close(self) -> None:
        """Damp, let the arm come to rest (``settle_s`` at most), torque off, close the port.

        Never raises for a port that is gone.  An arm that was told nothing is left as it was found.
        """
        torque, self._torque = self._torque, None
        if torque is None:
            return
        if not self._ordered:
            torque.chain.bus.close()
            return self._tell_held(torque, "still holds, as it was found")
        try:
            torque.damp()
            self._settle(torque)
            torque.off()
        except DeviceError as error:
            self._emit_close(torque, error)
        finally:
            torque.chain.bus.close()

    def _emit_close(self, torque: Torque, error: Exception) -> None:
        torque.chain.emit(Level.WARNING, "device.close", f"{self._context.name}: torque may still be on: {error}")

    def _settle(self, torque: Torque) -> None:
        clock = self._context.clock
        end = clock.now() + math.ceil(self._config.settle_s * 1e9)
        while torque.torqued and clock.now() < end:
            got = torque.chain.bus.group_read(torque.chain.active, table.PRESENT_VELOCITY.address, 4).data
            speeds = [abs(table.PRESENT_VELOCITY.decode(v)) * table.RAD_S_PER_UNIT for v in got.values()]
            if max(speeds, default=0.0) < REST or clock.virtual:  # virtual time does not pass in here
                return
            clock.sleep_until(clock.now() + 20_000_000)
