"""The simulated robot's firmware, sans-IO: answers the bus, keeps the mode, and lets nobody leave the robot moving.

Its watchdog needs no host: without a command for 150 ms while enabled it holds, after 1 s it damps, as the drives of a
robot with an armed bus watchdog do.  Only a new command ends that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Kind, Message, RobotMode, Status

HOLD_MS = 150
DAMP_MS = 1000
BRAKE_NS = 80_000_000  # after this long the arms stand, and hold where they are
LEARN = 0.2  # share a period by which the push of a braking arm follows what it measures: gravity remains, haste goes
_COMMANDS = {Kind.HOLD: RobotMode.HOLD, Kind.DAMP: RobotMode.DAMP, Kind.TORQUE_OFF: RobotMode.TORQUE_OFF}


class RobotFirmware:
    """One robot's firmware; an :class:`~telerig.hardware.protocols.Emulator`.

    The world writes ``position``, ``velocity``, ``effort`` (``(n,)``, rad, rad/s, N·m) through :meth:`measured` after
    each control period and reads ``mode`` and ``goal`` before the next.

    A hold first brakes, then keeps what is measured: a servo told to stay at a point that it is just passing would swing
    back to it.  It goes on pushing as hard as it has to at rest, because what it then pushes against is gravity.

    :param low, high: ``(n,)`` hard limits, rad; goals are clamped to them, as the drives' own limits would.
    :ivar stiffness: ``(n,)`` N·m/rad of the position servos, set by the world.
    """

    journal: Callable[[int, int], None] | None = None
    controls = StreamSpec("controls", (), 1.0)  # a robot has no sensor that a hand moves

    def __init__(
        self, name: str, version: int, joints: Sequence[str], low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> None:
        n = len(joints)
        self.name, self.version, self.joints = name, version, tuple(joints)
        self.low, self.high = low, high
        self.position, self.velocity, self.effort = np.zeros(n), np.zeros(n), np.zeros(n)
        self.goal = np.zeros(n)
        self.stiffness = np.full(n, np.inf)
        self._preload = np.zeros(n)
        self._brake_end = 0
        self.base = np.zeros(simbus.N_BASE)
        self.mode = RobotMode.HOLD
        self.hold_ms, self.damp_ms = HOLD_MS, DAMP_MS
        self.watchdog_trips = 0
        self._enabled = False  # a command has been taken since power-up or torque-off
        self._last_command = 0
        self._t0: int | None = None
        self._t_measured = 0
        self._steps = 0
        self._goal_seq = 0
        self._decoder = simbus.Decoder()
        self._faults: set[str] = set()

    # --- the world's side ----------------------------------------------------------------------------------------

    def power_up(self, now: int, position: NDArray[np.float64], goal: NDArray[np.float64]) -> None:
        """Start (again): at ``position``, holding ``goal``, nobody enabled; the device's clock starts once."""
        if self._t0 is None:
            self._t0 = now
        self._enabled = False
        self.measured(now, position, np.zeros_like(position), np.zeros_like(position))
        self.mode, self.goal, self._brake_end = RobotMode.HOLD, goal, 0

    def measured(
        self, now: int, position: NDArray[np.float64], velocity: NDArray[np.float64], effort: NDArray[np.float64]
    ) -> None:
        """What the encoders read at ``now``, at the end of a control period."""
        self.position, self.velocity, self.effort = position, velocity, effort
        self._t_measured = now
        self._steps += 1
        if self.mode is RobotMode.HOLD and now <= self._brake_end:
            self._preload = self._preload + LEARN * (effort / self.stiffness - self._preload)
            self._stay()

    def tick(self, now: int) -> None:
        """The watchdog; once a control period."""
        if not self._enabled:
            return
        silent_ms = (now - self._last_command) / 1e6
        if self.damp_ms and silent_ms > self.damp_ms and self.mode in (RobotMode.POSITION, RobotMode.HOLD):
            self._trip(now, RobotMode.DAMP)
        elif self.hold_ms and silent_ms > self.hold_ms and self.mode is RobotMode.POSITION:
            self._trip(now, RobotMode.HOLD)

    def _trip(self, now: int, mode: RobotMode) -> None:
        self.watchdog_trips += 1
        self._set_mode(now, mode)

    def _set_mode(self, now: int, mode: RobotMode) -> None:
        if mode is RobotMode.HOLD and self.mode is not RobotMode.HOLD:
            self._preload, self._brake_end = self.effort / self.stiffness, now + BRAKE_NS
            self._stay()
        self.mode = mode

    def _stay(self) -> None:
        self.goal = np.clip(self.position + self._preload, self.low, self.high)

    # --- the bus's side ------------------------------------------------------------------------------------------

    def step(self, now: int, data: bytes) -> bytes:
        """Replies to everything in ``data`` (the in-process connection)."""
        return self.serve(self._decoder, now, data)

    def serve(self, decoder: simbus.Decoder, now: int, data: bytes) -> bytes:
        """Replies to one connection's bytes.

        :raises BusError, DeviceIdentityError: bytes that are no message of this protocol and version.
        """
        replies = [self._reply(now, message) for message in decoder.feed(data)]
        return b"" if "silent" in self._faults else b"".join(replies)

    def _reply(self, now: int, message: Message) -> bytes:
        try:
            kind = Kind(message.kind)
        except ValueError:
            return simbus.ack(message.kind, message.seq, Status.BAD_KIND, self.mode)
        if kind is Kind.IDENTIFY:
            identity = simbus.Identity(self.name, self.version, self.joints, self.hold_ms, self.damp_ms)
            return simbus.identity_reply(message.seq, identity)
        if kind is Kind.STATE:
            return self._state(now, message.seq)
        try:
            status = self._command(now, kind, message)
        except simbus.BusError:
            status = Status.BAD_LENGTH
        return simbus.ack(kind, message.seq, status, self.mode)

    def _state(self, now: int, seq: int) -> bytes:
        if self.journal is not None:
            self.journal(now, self._steps)
        t0 = self._t0 or 0
        state = simbus.State(
            max(0, self._t_measured - t0) // 1000, max(0, now - t0) // 1000, self._steps, self._goal_seq, self.mode,
            self.position, self.velocity, self.effort,
        )  # fmt: skip
        return simbus.state_reply(seq, state)

    def _command(self, now: int, kind: Kind, message: Message) -> Status:
        if kind is Kind.WATCHDOG:
            self.hold_ms, self.damp_ms = simbus.parse_watchdog(message.payload)
            return Status.OK
        if kind in (Kind.GOAL, Kind.BASE):
            n = len(self.joints) if kind is Kind.GOAL else simbus.N_BASE
            values = simbus.parse_values(message.payload, n)
            if not np.isfinite(values).all():
                return Status.BAD_VALUE
            if kind is Kind.BASE:  # the pelvis is held: stored, moves nothing, and feeds no watchdog of the joints
                self.base = values
                return Status.OK
            self._set_mode(now, RobotMode.POSITION)
            self.goal = np.clip(values, self.low, self.high)
            self._goal_seq = message.seq
        else:
            self._set_mode(now, _COMMANDS[kind])
        self._enabled = kind is not Kind.TORQUE_OFF
        self._last_command = now
        return Status.OK

    # --- the rest of an emulator ---------------------------------------------------------------------------------

    def next_due(self, now: int) -> int | None:
        """A robot speaks only when spoken to."""
        return None

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """:raises KeyError: always for a name; nothing on a robot is moved by hand."""
        for name in values:
            raise KeyError(f"{self.name}: no sensor '{name}' to set")

    def fault(self, kind: str, **how: float) -> None:
        """``silent``: hears and obeys but does not answer; ``none``: well again.  :raises ValueError: unknown."""
        if kind == "none":
            self._faults.clear()
        elif kind == "silent":
            self._faults.add(kind)
        else:
            raise ValueError(f"{self.name}: unknown fault '{kind}' (silent, none)")
