"""The e-stop's word: anybody presses, a person asks for the reset, the loop clears it, and never a press it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, TargetSpec, applied_stream, command_stream, from_sample
from telerig.hardware.events import Event
from telerig.hardware.protocols import StreamReader
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.control import ControlBlock
from telerig.teleop.episodes import RECORDER_STATE
from telerig.teleop.guard_watchdog import Watchdog
from telerig.teleop.loop import LoopCore, LoopOptions
from telerig.teleop.operator_input import OperatorInput
from telerig.teleop.states import Inputs, State, Status
from telerig.teleop.stream import LocalReader, LocalStream

TICK = 5_000_000
PEDALS = StreamSpec("pedals/pedals", (ArraySpec("switches", (3,), "<u1"),), 100.0)
ARM = TargetSpec("robot/arm", Mode.JOINT_POSITION, ("a",), (-1.0,), (1.0,), (1.0,), (1.0,), (0.0,))
RELEASED, ENABLED, OPEN = (0, 0, 1), (1, 0, 1), (0, 0, 0)


class Nobody:
    """An agent that wants nothing."""

    requires: tuple[str, ...] = ()

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, readers: Mapping[str, StreamReader], now: int) -> Sequence[Command]:
        """No command."""
        return ()


class Rig:
    """Pedals, the loop's core, and the watchdog half beside the robot; the latter sees the word through its own mapping."""

    def __init__(self) -> None:
        self.control = ControlBlock()
        self.elsewhere = ControlBlock(self.control.fd)
        self.clock, self.events, self.switches = VirtualClock(), list[Event](), RELEASED
        specs = (PEDALS, RECORDER_STATE, command_stream(ARM, "sent", 200.0))
        self.streams = {s.name: LocalStream(s) for s in specs}
        readers = {name: LocalReader(stream) for name, stream in self.streams.items()}
        readers["robot/arm/applied"] = LocalReader(LocalStream(applied_stream(ARM, 200.0)))  # never written
        self.sent = readers["robot/arm/sent"]
        operator = OperatorInput({"pedals": PEDALS.name, "unattended": False}, readers, self.control)
        self.core = LoopCore(
            Nobody(), (ARM,), 200.0, readers, self.write, self.events.append, operator, self.clock,
            LoopOptions(home=False),
        )  # fmt: skip
        self.watchdog = Watchdog((ARM,))
        self.status, self.heard = self.core.status, True

    def write(self, sample: Sample) -> None:
        if sample.stream in self.streams:
            self.streams[sample.stream].write(sample)

    def run(self, ticks: int = 1) -> State:
        """So many periods, of the loop and of the robot's worker."""
        for _ in range(ticks):
            now = self.clock.advance(TICK)
            if self.heard:
                self.write(Sample(PEDALS.name, now, now, {"switches": np.array(self.switches, np.uint8)}))
            self.status = self.core.tick(now)
            newest = self.sent.latest()
            assert newest is not None
            self.watchdog.step(now, {ARM.name: from_sample(newest)}, self.elsewhere.estop)
        return self.status.state

    def told(self) -> list[str]:
        """What the watchdog half said since the last call."""
        return [e.code for e in self.watchdog.drain()]


@pytest.fixture
def rig() -> Rig:
    """In ESTOP, because another process pressed it."""
    found = Rig()
    assert found.run(10) is State.IDLE
    assert not found.control.estop
    found.elsewhere.press_estop()
    assert found.control.estop
    assert found.run(300) is State.ESTOP
    assert found.told() == ["guard.estop"]
    return found


@pytest.mark.parametrize("switches", [ENABLED, OPEN])
def test_a_refused_reset_leaves_the_word_set_and_the_robot_stopped(rig: Rig, switches: tuple[int, int, int]) -> None:
    rig.switches = switches
    rig.run(10)
    rig.control.reset_estop()
    assert rig.elsewhere.estop  # asked for, not granted
    assert rig.run() is State.ESTOP
    assert "reset is ignored" in rig.status.ignored
    assert rig.run(200) is State.ESTOP
    assert rig.elsewhere.estop
    rig.switches = RELEASED
    assert rig.run(200) is State.ESTOP  # the old request is spent
    assert rig.elsewhere.estop
    assert rig.told() == []  # the watchdog half took nothing meanwhile
    rig.control.reset_estop()
    assert rig.run() is State.IDLE
    assert not rig.elsewhere.estop
    assert rig.run(10) is State.IDLE
    assert rig.told() == ["guard.rearmed"]


@pytest.mark.parametrize("ticks", [25, 60, 100])
@pytest.mark.parametrize("switches", [RELEASED, OPEN])
def test_a_reset_while_the_pedal_box_is_silent_is_refused(rig: Rig, switches: tuple[int, int, int], ticks: int) -> None:
    rig.switches = switches
    rig.run(10)
    rig.heard = False
    assert rig.run(ticks) is State.ESTOP
    rig.control.reset_estop()
    assert rig.run() is State.ESTOP
    assert "reset is ignored" in rig.status.ignored
    assert rig.run(100) is State.ESTOP
    assert rig.elsewhere.estop


def test_without_a_pedal_box_a_robot_that_cannot_fall_is_stopped_for_good() -> None:
    rig = Rig()
    rig.run(10)
    rig.heard = False
    assert rig.run(80) is State.IDLE
    assert rig.run() is State.ESTOP
    assert "pedals.gone" not in [e.code for e in rig.events]
    rig.heard = True
    assert rig.run(100) is State.ESTOP


def test_a_press_after_the_request_is_never_wiped(rig: Rig) -> None:
    rig.control.reset_estop()
    rig.elsewhere.press_estop()
    assert rig.run() is State.ESTOP
    assert "pressed again" in rig.status.ignored
    assert rig.run(10) is State.ESTOP
    assert rig.control.estop
    assert rig.told() == []
    rig.control.reset_estop()
    assert rig.run() is State.IDLE
    assert not rig.control.estop


def test_a_press_while_the_loop_grants_the_reset_is_never_wiped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    step = rig.core.machine.step

    def press_meanwhile(now: int, inputs: Inputs) -> Status:
        status = step(now, inputs)
        rig.elsewhere.press_estop()
        return status

    rig.control.reset_estop()
    with monkeypatch.context() as patch:
        patch.setattr(rig.core.machine, "step", press_meanwhile)
        assert rig.run() is State.IDLE  # what it saw was reset
    assert rig.control.estop
    assert rig.run() is State.ESTOP
    assert rig.told() == []


def test_whoever_asks_may_say_which_press_is_meant(rig: Rig) -> None:
    """A program that looked, found nothing pressed, and asks a moment later."""
    rig.control.reset_estop()
    assert rig.run() is State.IDLE
    rig.switches = OPEN
    assert rig.run() is State.ESTOP
    rig.switches = RELEASED
    rig.run(10)
    known = rig.control.newest_press
    assert not rig.control.estop
    rig.elsewhere.press_estop()
    rig.control.reset_estop(known)
    assert rig.run() is State.ESTOP
    assert rig.control.estop


def test_every_writer_s_press_is_a_press_of_its_own(rig: Rig) -> None:
    """Two processes press, the first one is cleared late: the second stays."""
    first = rig.control.newest_press
    rig.elsewhere.press_estop()
    assert rig.control.newest_press != first
    rig.control.clear_estop(first)
    assert rig.elsewhere.estop
    rig.control.clear_estop(rig.control.newest_press)
    assert not rig.elsewhere.estop


def test_a_reset_when_nothing_is_stopped_does_nothing_to_a_later_press() -> None:
    rig = Rig()
    rig.run(10)
    rig.control.reset_estop()
    rig.elsewhere.press_estop()
    assert rig.run() is State.ESTOP  # both in one period: the press wins
    assert rig.run(10) is State.ESTOP
    assert rig.control.estop
