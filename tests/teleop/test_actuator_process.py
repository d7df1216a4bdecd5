"""The end of an actuator's worker, in virtual time: what it lets go, what it leaves alone, and that it has time for it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from telerig.drivers.dynamixel_arm import LONGEST_SETTLE_S, DynamixelArm, DynamixelArmConfig
from telerig.drivers.dynamixel_arm_emulator import DynamixelArmEmulator
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source, applied_stream, command_stream, to_sample
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.wire import dynamixel_table as table
from telerig.teleop import actuator
from telerig.teleop.stream import LocalReader, LocalStream

from ..drivers.dynamixel_arm_rig import gains_when_let_go

MS = 1_000_000
TARGET = "robot/joints"


class Killed(BaseException):
    """SIGKILL: nothing is put in order."""


class Waking(LocalReader):
    """A reader that waits for nothing: time passes between two beats."""

    def wait(self, seen: int, timeout_s: float) -> bool:
        return self.written > seen


class Desk:
    """A session without its processes: an arm on its bus, the streams, and what a worker asks of its Child.

    :ivar script: what the loop sends in each of the next control periods; the worker is asked to end when it is over.
    :ivar closing: at each ``close`` of the device, how long the worker had said it would be busy, s.
    """

    name = "robot"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.events, self.plugged = VirtualClock(), list[Event](), True
        self.control = SimpleNamespace(going=False, estop=False, press_estop=lambda: None)
        self.settings = {"writes": ["robot/state", f"{TARGET}/applied"], "rate_hz": 200.0}
        self.emulator = DynamixelArmEmulator(DynamixelArmConfig())
        target = self.make().targets[0]
        self.home = np.array(target.home)
        specs = (command_stream(target, "sent", 200.0), applied_stream(target, 200.0), *self.make().streams)
        self.streams = {spec.name: LocalStream(spec) for spec in specs}
        self.script: list[Callable[[], object]] = []
        self.closing: list[float] = []
        self.away: list[bool] = []
        self._busy_until = self._seq = 0
        monkeypatch.setattr(actuator, "build_device", lambda child: self.watched(self.make()))

    def make(self) -> DynamixelArm:
        def port() -> LoopbackPort:
            return LoopbackPort(self.emulator, self.clock, lambda: self.plugged)

        return DynamixelArm(DynamixelArmConfig(), DeviceContext(self.name, self.clock, port, emit=self.events.append))

    def watched(self, device: DynamixelArm) -> DynamixelArm:
        real = device.close

        def close() -> None:
            self.closing.append((self._busy_until - self.clock.now()) / 1e9)
            real()

        device.close = close  # type: ignore[method-assign]
        return device

    # what a worker asks of its Child
    @property
    def stopping(self) -> bool:
        return not self.script

    def beat(self, busy_s: float = 0.0) -> None:
        """A control period passes between two beats."""
        if not busy_s:
            self.clock.advance(5 * MS)
            if self.script:
                self.script.pop(0)()
        self._busy_until = self.clock.now() + round(busy_s * 1e9)

    def note_away(self, away: bool) -> None:
        self.away.append(away)

    def go_realtime(self) -> bool:
        self.control.going = True
        return False

    def writer(self, stream: str) -> LocalStream:
        return self.streams[stream]

    def reader(self, stream: str) -> Waking:
        return Waking(self.streams[stream])

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def say(self, level: Level, code: str, text: str, **data: Any) -> None:
        self.emit(Event(self.clock.now(), level, self.name, code, text, data))

    # the test's side
    def sends(self, mode: Mode) -> Callable[[], object]:
        def send() -> None:
            now = self.clock.now()
            self._seq += 1
            data = self.home if mode is Mode.JOINT_POSITION else np.zeros(len(self.home))
            command = Command(self._seq, TARGET, mode, data, Source.OPERATOR, now, (now, now))
            self.streams[f"{TARGET}/sent"].write(to_sample(command, f"{TARGET}/sent"))

        return send

    def moves(self, periods: int) -> list[Callable[[], object]]:
        """A session that holds the arm, then moves it."""
        return [self.sends(Mode.HOLD)] + [self.sends(Mode.JOINT_POSITION)] * periods

    def run(self, script: list[Callable[[], object]]) -> None:
        self.script = script
        actuator.run(self)  # type: ignore[arg-type]

    def crash(self) -> None:
        raise Killed

    def unplug(self) -> None:
        self.plugged = False

    def registers(self, register: table.Register) -> list[int]:
        return [s.get(register) for s in self.emulator.servos.values()]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def silence(periods: int) -> list[Callable[[], object]]:
    """The loop sends nothing (any more)."""
    return [lambda: None] * periods


def test_a_worker_that_was_started_again_lets_go_of_what_the_one_before_it_moved(desk: Desk) -> None:
    """And the loop was gone before the new one heard of it."""
    with pytest.raises(Killed):
        desk.run([*desk.moves(200), desk.crash])
    assert desk.registers(table.TORQUE_ENABLE) == [1] * 7
    desk.events.clear()
    desk.clock.advance(1_500 * MS)
    gains = gains_when_let_go(desk.emulator, 2)
    desk.run(silence(1))
    assert desk.registers(table.TORQUE_ENABLE) == [0] * 7
    assert gains == [0]  # it was damped first
    assert not [e.text for e in desk.events if "still holds" in e.text]


def test_what_an_earlier_program_left_holding_is_left_alone_by_a_session_that_sends_nothing(desk: Desk) -> None:
    """``--dry-run``, also when its worker crashed and was started again."""
    before = desk.make()
    before.open()
    before.hold()
    desk.clock.advance(2_000 * MS)
    with pytest.raises(Killed):
        desk.run([*silence(20), desk.crash])
    desk.run(silence(20))
    assert desk.registers(table.TORQUE_ENABLE) == [1] * 7
    assert desk.registers(table.POSITION_P_GAIN) == [800] * 7
    assert desk.events[-1].text.startswith("robot still holds, as it was found")


def test_closing_has_the_time_an_arm_takes_to_come_to_rest(desk: Desk) -> None:
    """At the end, and when it is lost: a worker that says nothing for a second is killed, with the torque still on."""
    desk.run([*desk.moves(20), desk.unplug, *silence(20)])
    assert [e.code for e in desk.events if e.code.startswith("device.")] == [
        "device.open", "device.lost", "device.close",
    ]  # fmt: skip
    assert desk.away == [False, True]
    desk.plugged = True
    desk.run(desk.moves(20))  # started again while it was away: it is there when it says how it is
    assert desk.away == [False, True, False]
    assert len(desk.closing) == 2
    assert min(desk.closing) > LONGEST_SETTLE_S
    assert desk.registers(table.TORQUE_ENABLE) == [0] * 7
