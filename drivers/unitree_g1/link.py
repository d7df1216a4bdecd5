"""The live connection to a G1: bus, gate, commander, and the two threads that keep them going.

In virtual time there are no threads: reading receives, and sends what is due.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.loss_report import LossReport
from telerig.drivers.unitree_g1 import dds, meeting, pump
from telerig.drivers.unitree_g1.commander import Commander, Stance
from telerig.drivers.unitree_g1.dds import Bus
from telerig.drivers.unitree_g1.legs import LegDrive
from telerig.drivers.unitree_g1.motors import SIDES
from telerig.drivers.unitree_g1.outbox import Outbox
from telerig.drivers.unitree_g1.samples import Motors, Reading
from telerig.drivers.unitree_g1.state import BUTTONS, Gate, LowState
from telerig.hardware.errors import DeviceLost
from telerig.hardware.events import Event, Level
from telerig.hardware.legs import LegCommand, LegMode
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.wire import unitree_hg as hg

if TYPE_CHECKING:
    from telerig.drivers.unitree_g1.robot import UnitreeG1Config

Array = NDArray[np.float64]
LOST_NS = 500_000_000
HAND_STALE_NS = 100_000_000
BACKLOG = 256  # readings that wait to be read: half a second
SEEN_NS = 300_000_000  # DDS tells of who else is there a little later than of the robot
FAREWELL = 5  # messages without torque before going silent
_WAIT_S = 0.05


class Link:
    """:param legs: of a robot that stands on its own feet."""

    def __init__(
        self,
        bus: Bus,
        config: UnitreeG1Config,
        context: DeviceContext,
        commander: Commander,
        legs: LegDrive | None = None,
    ) -> None:
        self._bus, self._config, self._context, self._clock = bus, config, context, context.clock
        self.gate = Gate(config.mode_machine)
        self.commander, self.legs = commander, legs
        self._losses = LossReport(context)
        self._lock = threading.Lock()
        self._readings: deque[Reading] = deque(maxlen=BACKLOG)
        self._there = threading.Event()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failed: Exception | None = None
        self._period = round(1e9 / config.rate_hz)
        self._heard = 0
        self._state: LowState | None = None
        self._hands: dict[str, tuple[int, NDArray[np.void]]] = {}
        self._mute: set[str] = set()  # hands of a standing robot that are silent
        self._mask = sum(BUTTONS[b] for b in config.stop_buttons)
        self._pressed = False
        self._outbox = Outbox(bus, config.hands)
        self.missed = 0  # periods without one, because this process came late

    # --- meeting the robot -----------------------------------------------------------------------------------------

    def meet(self) -> None:
        """Wait for a believable state of body and hands.  :raises DeviceOpenError, DeviceIdentityError: see ``open``."""
        clock, begin = self._clock, self._clock.now()
        end = begin + round(self._config.open_timeout_s * 1e9)
        while True:
            self._receive()
            now = clock.now()
            if clock.virtual or now > end or (self._complete() and now > begin + SEEN_NS):
                break
            self._bus.wait(_WAIT_S)
        meeting.check(self._name, self._config, self.gate, self._state, self._hands, self._bus.writers(dds.LOW_CMD))

    @property
    def sent(self) -> int:
        """Messages to the body so far."""
        return self._outbox.sent

    @property
    def _name(self) -> str:
        return self._context.name

    def _complete(self) -> bool:
        return self._state is not None and (not self._config.hands or len(self._hands) == len(SIDES))

    def start(self) -> None:
        """Begin to listen and, once there is something to say, to send."""
        if self._clock.virtual:
            return
        self._threads = [pump.start("g1-receive", self._listen), pump.start("g1-send", self._speak)]

    def _listen(self) -> None:
        try:
            while not self._ending.is_set():
                self._bus.wait(_WAIT_S)
                self._receive()
        except Exception as error:  # whatever it is: a thread that ended must not look like a quiet robot
            self._fail(error)

    def _speak(self) -> None:
        beat = pump.Metronome(self._clock, self._period)
        try:
            while not self._ending.is_set():
                now = beat.wait()
                self.missed = beat.missed
                self._send(now)
        except Exception as error:  # whatever it is: a thread that ended must not look like a quiet robot
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failed = error
        self._there.set()

    # --- receiving -------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        bus, now = self._bus, self._clock.now()
        if self._config.hands:
            for side in SIDES:
                for data in bus.take(dds.HAND_STATE[side])[-1:]:
                    if (hand := self.gate.hand(data)) is not None:
                        self._hands[side] = (now, hand.motors[: hg.HAND_MOTORS])
        for data in bus.take(dds.LOW_STATE):
            if (state := self.gate.low(data, now)) is not None:
                self._accept(now, state)

    def _accept(self, now: int, state: LowState) -> None:
        motors = self._motors(now, state)
        self._state, self._heard = state, now
        pressed = state.pressed(self._mask)
        with self._lock:
            news, self._pressed = pressed and not self._pressed, pressed  # before a target for the legs can slip in
            self.commander.measured(now, motors.position, motors.effort)
            if pressed:
                self.commander.stop(f"{' + '.join(self._config.stop_buttons)} on the remote control, damped")
                if self.legs is not None and self.legs.mode is not LegMode.OFF:
                    self.legs.damp()
        if news:
            self._say("robot.stopped", f"{self._name}: stopped by its remote control, damped", Level.ERROR)
        self._readings.append(Reading(state, motors))
        self._there.set()

    def _motors(self, now: int, state: LowState) -> Motors:
        parts: list[NDArray[np.void] | None] = [state.motors]
        unknown = np.full(hg.HAND_MOTORS, np.nan)
        columns = []
        if self._config.hands:
            for side in SIDES:
                heard, motors = self._hands.get(side, (0, None))
                parts.append(motors if motors is not None and now - heard < HAND_STALE_NS else None)
        for key in ("q", "dq", "tau_est"):
            columns.append(np.concatenate([unknown if p is None else p[key] for p in parts]).astype(np.float64))
        return Motors(*columns)

    def read(self, timeout_s: float) -> list[Reading]:
        """All readings since.  :raises DeviceLost: silence (of a hand: but for a standing robot's), or DDS fails."""
        now = self._clock.now()
        with self._lock:
            self.commander.alive(now)
        if self._clock.virtual:
            self._receive()
            self._send(now)
        elif not self._readings and timeout_s > 0:
            self._there.wait(timeout_s)
        self._there.clear()
        if self._failed is not None:
            raise DeviceLost(f"{self._name}: {self._failed}") from self._failed
        found = [self._readings.popleft() for _ in range(len(self._readings))]
        self._check(now)
        return found

    def _check(self, now: int) -> None:
        for kind, text in meeting.REFUSALS.items():
            self._losses.update(f"robot.{kind}", self.gate.refused[kind], text)
        self._losses.update("robot.late", self.missed, "periods without a command: the computer was late")
        if now - self._heard > LOST_NS:
            raise DeviceLost(f"{self._name}: nothing heard of the robot for 0.5 s")
        for side, (heard, _) in self._hands.items():
            silent = now - heard > LOST_NS
            if silent and self.legs is None:
                raise DeviceLost(f"{self._name}: nothing heard of its {side} hand for 0.5 s")
            if silent != (side in self._mute):
                self._report_hand(side, silent)

    def _report_hand(self, side: str, silent: bool) -> None:
        """A standing robot that counted as lost would be let go, and fall, for a hand: it takes no goals instead."""
        if silent:
            self._mute.add(side)
            text = f"nothing heard of its {side} hand for 0.5 s: arms and hands hold, legs go on"
            self._say("robot.hand_silent", f"{self._name}: {text}", Level.ERROR)
        else:
            self._mute.discard(side)
            self._say("robot.hand_back", f"{self._name}: its {side} hand is heard again", Level.INFO)

    # --- sending ---------------------------------------------------------------------------------------------------

    def _send(self, now: int) -> None:
        with self._lock:
            drive, news = self.commander.tick(now)
            drive, more = (drive, "") if self.legs is None else self.legs.tick(now, drive, self.commander)
        for text in filter(None, (news, more)):
            self._say("robot.tripped", f"{self._name}: {text}", Level.WARNING)
        if drive is not None:
            self._outbox.publish(drive, self.gate.machine or 0)

    def _say(self, code: str, text: str, level: Level) -> None:
        self._context.emit(Event(self._clock.now(), level, self._name, code, text))

    def follow(self, which: NDArray[np.intp], goal: Array) -> str:
        """New goals; why they are refused, "" if they are not."""
        now = self._clock.now()
        with self._lock:
            why = self.commander.objection(now)
            if not why and self._mute:
                why = f"silent: its {' and '.join(sorted(self._mute))} hand"
            if not why:
                self.commander.follow(now, which, goal)
        return why

    def hold(self) -> None:
        """All motors stay."""
        with self._lock:
            self.commander.hold(self._clock.now())

    def damp(self) -> None:
        """All motors let go."""
        with self._lock:
            self.commander.damp(self._clock.now())

    def follow_legs(self, command: LegCommand) -> str:
        """A new target for the legs; why it is refused, "" if it is not."""
        now, legs = self._clock.now(), self.legs
        with self._lock:
            if legs is None:
                return "this robot's legs take no targets"
            if self.commander.lost(now):
                return "the robot's state is not known"
            if self._pressed:
                return "stopped by its remote control"
            legs.follow(now, command, self.commander.where)
        return ""

    def damp_legs(self) -> None:
        """The legs let go."""
        with self._lock:
            if self.legs is not None:
                self.legs.damp()

    # --- the end ---------------------------------------------------------------------------------------------------

    def let_down(self, settle_ns: int, rest: float) -> None:
        """Damp, wait for rest, torque off.  Does nothing to a robot that was told nothing."""
        if self.commander.stance is Stance.SILENT and (self.legs is None or self.legs.mode is LegMode.OFF):
            return
        self.damp_legs()
        self.damp()
        clock = self._clock
        end = clock.now() + settle_ns
        while not clock.virtual and clock.now() < end and clock.now() - self._heard < HAND_STALE_NS:
            clock.sleep_until(clock.now() + 10_000_000)
            with self._lock:
                self.commander.alive(clock.now())
            state = self._state
            if state is None or float(np.abs(state.motors["dq"]).max()) < rest:
                break
        self._stop_threads()
        with self._lock:
            self.commander.off()
            if self.legs is not None:
                self.legs.off()
        for _ in range(FAREWELL):
            self._send(clock.now())
            clock.sleep_until(clock.now() + self._period)

    def _stop_threads(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def close(self) -> None:
        """Leave, as things are."""
        self._stop_threads()
        for kind, text in meeting.REFUSALS.items():
            self._losses.update(f"robot.{kind}", self.gate.refused[kind], text, last=True)
        self._bus.close()
