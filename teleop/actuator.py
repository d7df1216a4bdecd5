"""An actuator's own process: the watchdog half of the guard beside the bus, needing nobody else.

One cycle: wait for a fresh command (or the bus period), let the watchdog decide, write to the bus, read the robot's
state.  When the loop, the agent, the recorder or the command line stops, nothing here depends on them: the newest
command outlives its ttl and the robot holds, then damps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from telerig.hardware.commands import Command, Mode, TargetSpec, from_sample
from telerig.hardware.errors import CommandRefused, DeviceLost, TelerigError
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import Actuator, Clock, StreamReader
from telerig.hardware.samples import Sample
from telerig.teleop.body import Body
from telerig.teleop.body_build import body_maker
from telerig.teleop.child import Child
from telerig.teleop.guard_watchdog import Action, Watchdog
from telerig.teleop.stream import SharedReader
from telerig.teleop.worker import Keeper, build_device

END_DAMP_NS = 1_200_000_000  # hold 1 s, then damp, before the process goes
END_LOWER_NS = 2_000_000_000  # a robot on its own feet goes down before it is damped
END_SPARE_S = 0.3  # to notice, to say so and to go


def end_s(stands: bool, settle_s: float) -> float:
    """How long the worker of a robot takes to end at most, s; ``settle_s``: how long its driver waits for it to rest."""
    return (END_LOWER_NS if stands else END_DAMP_NS) / 1e9 + settle_s + END_SPARE_S


class ActuatorLoop:
    """The cycle without its process: also what virtual time runs.

    :param readers: the ``sent`` stream of every target, by target name.
    :param write: publishes a sample (state, ``applied``);  ``emit``: reports an event.
    """

    def __init__(
        self,
        device: Actuator,
        readers: Mapping[str, StreamReader],
        write: Callable[[Sample], object],
        emit: Callable[[Event], None],
        clock: Clock,
        body: Callable[[ActuatorLoop], Body] | None = None,
    ) -> None:
        self.device, self._readers, self._clock = device, readers, clock
        self._write, self._emit = self.publish, self.report = write, emit
        self.targets: tuple[TargetSpec, ...] = tuple(device.targets)
        self.body = None if body is None else body(self)
        self._standing = [t.name for t in self.targets if self.body and t.mode is Mode.BASE_VELOCITY_HEIGHT]
        self.watchdog = Watchdog(self.targets, "watchdog", armed=False, standing=self._standing)
        self._estop = False
        self._last: dict[str, int] = {}  # target -> number of its newest sample seen
        self._newest: dict[str, Command | None] = {t.name: None for t in self.targets}

    def command(self, estop: bool) -> None:
        """Let the watchdog decide, and do it.  :raises DeviceLost: the robot is gone."""
        self._estop = estop
        for target in self.targets:
            sample = self._readers[target.name].latest()
            if sample is not None and sample.seq != self._last.get(target.name):
                self._last[target.name] = sample.seq
                self._newest[target.name] = from_sample(sample)
        try:
            for action in self.watchdog.step(self._clock.now(), self._newest, estop):
                try:
                    self._carry_out(action)
                except CommandRefused as error:
                    self._refused(action, error)
        finally:
            for event in self.watchdog.drain():
                self._emit(event)

    def read(self) -> bool:
        """Publish what the robot measured, if it did; its body, if it has one, takes its step.

        :raises DeviceLost: it is gone.
        """
        samples = self.device.read(0.0)
        for sample in samples:
            self._write(sample)
        if self.body is not None:
            self._step(self.body, samples)
        return bool(samples)

    def _step(self, body: Body, samples: Sequence[Sample]) -> None:
        for sample in samples:
            body.see(sample)
        try:
            body.step(self._clock.now(), self._estop)
        except CommandRefused as error:
            self._emit(Event(self._clock.now(), Level.ERROR, "actuator", "actuator.refused", str(error)))

    def fall(self, press_estop: Callable[[], None]) -> None:
        """The robot has fallen: arms damped at once, everything stops until a person resets it."""
        press_estop()
        self.watchdog.fell()
        with contextlib.suppress(CommandRefused):
            self.device.damp()

    def _refused(self, action: Action, error: CommandRefused) -> None:
        """The robot will not: hold, and let the loop see it (a command nobody sent), so that it holds too.

        A robot that refuses to hold is damped.
        """
        self._emit(Event(self._clock.now(), Level.ERROR, "actuator", "actuator.refused", str(error)))
        held = False
        if action.command is not None:  # else it is hold() or damp() that it refused
            with contextlib.suppress(CommandRefused):
                self.device.hold()
                held = True
        if not held:
            with contextlib.suppress(CommandRefused):
                self.device.damp()
        self._report(action, Mode.HOLD if held else Mode.DAMP, -1)

    def _carry_out(self, action: Action) -> None:
        if self.body is not None and action.target in self._standing:
            self.body.ask(action.mode, action.command)
            self._report(action, action.mode, action.command_seq)
            return
        if self.body is not None and action.command is not None:
            self.body.arms(action.command)
        if action.command is not None:
            self.device.send(action.command)
        elif action.changed and action.mode == Mode.HOLD:
            self.device.hold()
        elif action.changed:
            self.device.damp()
        self._report(action, action.mode, action.command_seq)

    def _report(self, action: Action, mode: Mode, seq: int) -> None:
        done = self._clock.now()
        moved = action.command is not None and seq >= 0
        data = {
            "data": action.data if moved else np.full(action.data.shape, np.nan),
            "action": np.array(int(mode), np.uint8),
            "command_seq": np.array(seq, np.int64),
            "clamped": np.array(action.clamped, np.uint8),
        }
        self._write(Sample(f"{action.target}/applied", done, done, data))

    def forget(self) -> None:
        """After the device was lost: the watchdog starts anew, so that whatever the robot should do is said again."""
        self.watchdog = Watchdog(self.targets, "watchdog", armed=False, standing=self._standing)
        if self.body is not None:
            self.body.forget()


def run(child: Child) -> None:
    """The worker of a device that moves."""
    device = build_device(child)
    keeper = Keeper(child, device)
    writers = {name: child.writer(name) for name in child.settings["writes"]}

    def write(sample: Sample) -> None:
        writers[sample.stream].write(sample)

    readers = {t.name: child.reader(f"{t.name}/sent") for t in device.targets}
    body = body_maker(child.settings.get("body"), child.name, device, child.control.press_estop)
    loop = ActuatorLoop(device, readers, write, lambda e: child.emit(replace(e, source=child.name)), child.clock, body)
    # the loop writes one command a target; the last one's arrival means that all are there
    wake: SharedReader = readers[device.targets[-1].name]
    child.go_realtime()
    timeout_s = 1.2 / float(child.settings["rate_hz"])  # without commands: keep asking the robot how it is
    seen, end = 0, None
    while end is None or child.clock.now() < end:
        child.beat()
        if child.stopping and end is None:
            end = child.clock.now() + (END_DAMP_NS if loop.body is None else END_LOWER_NS)
            if loop.body is not None:
                loop.body.lower(child.clock.now())
        if not keeper.ensure_open():
            continue
        wake.wait(seen, timeout_s)
        seen = wake.written
        try:
            loop.command(child.control.estop)
            if loop.read():
                keeper.heard()
        except DeviceLost as error:
            keeper.lost(error)
            loop.forget()
    if keeper.is_open and was_told(child, loop.targets):
        with contextlib.suppress(TelerigError):  # close() says what does not go
            device.damp()
    keeper.close()


def was_told(child: Child, targets: Sequence[TargetSpec]) -> bool:
    """Whether this session has told the robot anything, perhaps through a worker that is dead by now.

    The streams outlive their writers.  A driver's own object does not: after a crash it takes what this session moved for
    what somebody else left holding.
    """
    return any(child.reader(f"{t.name}/applied").written for t in targets)
