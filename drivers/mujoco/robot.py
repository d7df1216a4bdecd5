"""A simulated robot as an actuator: the host's end of the simulated robot's bus (:mod:`telerig.hardware.wire.simbus`).

Nothing here knows mujoco; in real time the bytes go through a Unix socket into the world's process, in virtual time
straight into its firmware.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.mujoco.robot_opening import Opening
from telerig.hardware.commands import Command, Mode, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import CommandRefused, ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import DeviceContext, Port
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Kind, Message, RobotMode, Status

REPLY_TIMEOUT_NS = 20_000_000  # a busy world answers between two physics steps, far sooner
LOST_NS = 500_000_000
BASE_REPEAT_NS = 100_000_000
FRESH_NS = 1_500_000  # how old a state should be when it is polled: the world has surely computed it, and it is young


class MujocoRobot:
    """The actuator ``mujoco_robot``.

    Streams ``NAME/state``: ``position`` rad, ``velocity`` rad/s, ``effort`` N·m of the target's joints in its order, each
    measurement once.
    Targets ``NAME/TARGET`` (joint positions) and, where the embodiment has one, ``NAME/base`` (taken, moves nothing
    while the pelvis is held).
    """

    simulated = True

    @dataclass(frozen=True)
    class Config:
        """Rig keys.

        :param world: the simulated world's device name.
        :param target: which of the embodiment's targets; it must be the one the world controls.
        :param rate_hz: how often the state is asked for.
        :param watchdog_hold_s, watchdog_damp_s: armed in the robot's firmware; 0 disarms.
        """

        embodiment: str
        world: str = "world"
        target: str = "upper"
        rate_hz: float = 200.0
        watchdog_hold_s: float = 0.15
        watchdog_damp_s: float = 1.0

        def __post_init__(self) -> None:
            if not 1 <= self.rate_hz <= 1000:
                raise ConfigError(f"rate_hz is {self.rate_hz}, allowed is 1 to 1000")
            if self.watchdog_hold_s < 0 or self.watchdog_damp_s < 0:
                raise ConfigError("watchdog_hold_s and watchdog_damp_s must not be negative (0 disarms)")

    def __init__(self, config: Config, context: DeviceContext) -> None:
        self.config, self.context = config, context
        self.embodiment = load_embodiment(config.embodiment)
        upper = self.embodiment.target(context.name, config.target)
        base = () if self.embodiment.base is None else (self.embodiment.target(context.name, "base"),)
        self._upper = upper
        self._targets = (upper, *base)
        self._port: Port | None = None
        self._decoder = simbus.Decoder()
        self._seq = 0
        self._period = round(1e9 / config.rate_hz)
        self._due: int | None = None
        self._in_phase = False  # whether polls follow the world's steps at the right distance
        self._asked: dict[int, int] = {}  # sequence of a STATE request → when it was asked
        self._late: list[Sample] = []  # states that came after their poll had given up on them
        self._heard = 0
        self._newest = -1  # number of the newest measurement passed on, and its instant
        self._base: tuple[int, NDArray[np.float64]] | None = None
        self._newest_t = 0
        self.mode = RobotMode.TORQUE_OFF
        self.missed = 0  # polls skipped because this process came late

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """The measured joints."""
        n, names = self._upper.size, self._upper.names
        fields = (
            ArraySpec("position", (n,), "<f8", "rad", names, low=self._upper.low, high=self._upper.high),
            ArraySpec("velocity", (n,), "<f8", "rad/s", names),
            ArraySpec("effort", (n,), "<f8", "N*m", names),
        )
        return (StreamSpec(f"{self.context.name}/state", fields, self.config.rate_hz),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """None: a robot is reached over its bus."""
        return ()

    @property
    def targets(self) -> tuple[TargetSpec, ...]:
        """What takes commands."""
        return self._targets

    # --- the bus -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, check who is there, arm the watchdog.  Moves nothing: the robot goes on doing what it did.

        :raises DeviceOpenError: no world there, or it does not answer.
        :raises DeviceIdentityError: another embodiment, version or joint order.
        """
        if self.context.open_port is None:
            raise DeviceOpenError(f"{self.context.name}: no way to world '{self.config.world}' was given")
        self.close()
        self._port = self.context.open_port()
        self._decoder = simbus.Decoder()
        self._asked.clear()
        self._late.clear()
        clock, world = self.context.clock, self.config.world
        opening = Opening(self.context.name, world, self._port, self._decoder, clock, self._seq)
        try:
            opening.identify(self.embodiment, self.config.target, self._upper.names)
            status, self.mode = opening.arm(self.config.watchdog_hold_s, self.config.watchdog_damp_s)
        except (DeviceLost, simbus.BusError, DeviceIdentityError) as error:
            self._port.close()
            self._port = None
            if isinstance(error, DeviceIdentityError):
                raise
            raise DeviceOpenError(f"{self.context.name}: {error}") from error
        finally:
            self._seq = opening.seq
        if status is not Status.OK:
            raise DeviceOpenError(f"{self.context.name}: the robot refused its watchdog ({status.name})")
        self._due, self._newest, self._in_phase = None, -1, False
        self._heard = self.context.clock.now()

    def _next(self) -> int:
        self._seq = (self._seq + 1) & 0xFFFF
        return self._seq

    def _bus(self) -> Port:
        if self._port is None:
            raise DeviceLost(f"{self.context.name}: not open")
        return self._port

    def _receive(self, port: Port, deadline: int) -> list[Message]:
        wait = 0.0 if self.context.clock.virtual else (deadline - self.context.clock.now()) / 1e9
        return self._decoder.feed(port.read(wait))

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """The joints, once a period on absolute deadlines.

        :raises DeviceLost: the world has ended, or has not answered for 0.5 s.
        """
        clock = self.context.clock
        now = clock.now()
        if self._due is None:
            self._due = now
        if self._due > now:
            wake = min(self._due, now + round(timeout_s * 1e9))
            clock.sleep_until(wake)
            if wake < self._due or clock.now() < self._due:
                return []
        late = (clock.now() - self._due) // self._period
        self.missed += late
        self._due += (late + 1) * self._period
        try:
            samples = self._poll()
        except (simbus.BusError, DeviceIdentityError) as error:
            raise DeviceLost(f"{self.context.name}: {error}") from error
        if not samples and clock.now() - self._heard > LOST_NS:
            raise DeviceLost(f"{self.context.name}: world '{self.config.world}' has not answered for 0.5 s")
        return samples

    def _poll(self) -> list[Sample]:
        port, clock = self._bus(), self.context.clock
        seq, asked = self._next(), clock.now()
        self._asked[seq] = asked
        port.write(simbus.request(Kind.STATE, seq))
        out, self._late = self._late, []
        deadline = asked + REPLY_TIMEOUT_NS
        while seq in self._asked:
            for message in self._receive(port, deadline):
                out += self._take(message)
            if clock.virtual or clock.now() >= deadline:
                break
        return out

    def _take(self, message: Message) -> list[Sample]:
        now = self.context.clock.now()
        self._heard = now
        if message.kind == Kind.STATE | simbus.REPLY:
            asked = self._asked.pop(message.seq, None)
            self._asked = {s: t for s, t in self._asked.items() if now - t < LOST_NS}
            state = simbus.parse_state(message.payload)
            if asked is None or state.steps == self._newest:  # polled twice within one of its periods
                return []
            self._newest = state.steps
            return [self._sample(state, asked, now)]
        status, self.mode = simbus.parse_ack(message.payload)
        if status is not Status.OK:
            text = f"{self.context.name}: the robot refused a message of kind {message.kind & 0x7F}: {status.name}"
            self.context.emit(Event(now, Level.WARNING, self.context.name, "robot.refused", text))
            if message.kind == Kind.HOLD | simbus.REPLY:  # what does not hold must not go on either
                self.damp()
        return []

    def _sample(self, state: simbus.State, asked: int, arrived: int) -> Sample:
        """``t_sample``: the middle of the round trip, less the age that the robot's own clock gives the state."""
        self.mode = state.mode
        age = 1000 * (state.now_us - state.t_us)
        if self._due is not None and not self._in_phase and not self.context.clock.virtual:
            self._due += FRESH_NS - age
            self._in_phase = True
        # a state that seems older than one before it: that one came slowly, and this one's instant is as uncertain now
        measured = (asked + arrived) // 2 - age
        backwards = max(0, self._newest_t + 1 - measured)
        self._newest_t = measured + backwards
        sigma = max(1000, (arrived - asked) // 2, backwards)
        data = {"position": state.position, "velocity": state.velocity, "effort": state.effort}
        return Sample(
            f"{self.context.name}/state", arrived, self._newest_t, data, sigma,
            1000 * state.t_us, state.steps,
        )  # fmt: skip

    # --- commands ------------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Pass a command on.

        :raises CommandRefused: unknown target, mode or size, or not finite.
        :raises DeviceLost: the world is gone.
        """
        if command.mode is Mode.HOLD:
            return self.hold()
        if command.mode is Mode.DAMP:
            return self.damp()
        target = next((t for t in self._targets if t.name == command.target), None)
        if target is None:
            names = ", ".join(t.name for t in self._targets)
            raise CommandRefused(f"{self.context.name}: no target '{command.target}' (it has {names})")
        if command.mode is not target.mode:
            raise CommandRefused(f"{target.name}: takes {target.mode.name}, not {command.mode.name}")
        data = np.asarray(command.data, np.float64)
        if data.shape != (target.size,) or not np.isfinite(data).all():
            raise CommandRefused(f"{target.name}: {target.size} finite values expected, got {data.tolist()}")
        kind = Kind.GOAL if target is self._upper else Kind.BASE
        if kind is Kind.BASE and not self._base_is_new(data):
            return None
        self._tell(simbus.request(kind, self._next(), data))
        return None

    def _base_is_new(self, data: NDArray[np.float64]) -> bool:
        """A base that is told nothing new need not hear it two hundred times a second; ten times will do."""
        now = self.context.clock.now()
        if self._base is not None and now - self._base[0] < BASE_REPEAT_NS and np.array_equal(self._base[1], data):
            return False
        self._base = (now, data.copy())
        return True

    def hold(self) -> None:
        """Keep the measured position.  :raises DeviceLost: the world is gone."""
        self._tell(simbus.request(Kind.HOLD, self._next()))

    def damp(self) -> None:
        """Let go, damped.  :raises DeviceLost: the world is gone."""
        self._tell(simbus.request(Kind.DAMP, self._next()))

    def _tell(self, data: bytes) -> None:
        """Write a command; take what replies are there, wait for none (an in-process robot acts when it is read)."""
        port = self._bus()
        port.write(data)
        try:
            for message in self._receive(port, self.context.clock.now()):
                self._late += self._take(message)
        except (simbus.BusError, DeviceIdentityError) as error:
            raise DeviceLost(f"{self.context.name}: {error}") from error

    def close(self) -> None:
        """Damp, torque off, hang up; a world that is gone is left without complaint."""
        if self._port is None:
            return
        with contextlib.suppress(DeviceLost, simbus.BusError, DeviceIdentityError):
            self.damp()
            self._tell(simbus.request(Kind.TORQUE_OFF, self._next()))
        self._port.close()
        self._port = None
