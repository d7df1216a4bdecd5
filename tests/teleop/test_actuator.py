"""What the actuator's worker does with a robot that refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source, TargetSpec, applied_stream, command_stream, to_sample
from telerig.hardware.errors import CommandRefused
from telerig.hardware.events import Event
from telerig.teleop.actuator import ActuatorLoop
from telerig.teleop.guard_watchdog import Watchdog
from telerig.teleop.stream import LocalReader, LocalStream

ARM = TargetSpec("robot/arm", Mode.JOINT_POSITION, ("a",), (-1.0,), (1.0,), (1.0,), (1.0,), (0.0,))


class Robot:
    """An arm that refuses some of what it is told."""

    targets = (ARM,)

    def __init__(self, refuses: Sequence[str]) -> None:
        self.refuses, self.told = refuses, list[str]()

    def _do(self, what: str) -> None:
        if what in self.refuses:
            raise CommandRefused(f"robot/arm: will not {what}")
        self.told.append(what)

    def send(self, command: Command) -> None:
        self._do("send")

    def hold(self) -> None:
        self._do("hold")

    def damp(self) -> None:
        self._do("damp")


@pytest.mark.parametrize(
    ("refuses", "estop", "told", "reported"),
    [
        ((), True, ["send", "hold"], Mode.HOLD),
        (("send",), False, ["hold"], Mode.HOLD),
        (("hold",), True, ["send", "damp"], Mode.DAMP),
        (("send", "hold"), False, ["damp"], Mode.DAMP),
        (("send", "hold", "damp"), False, [], Mode.DAMP),
    ],
)
def test_a_robot_that_refuses_is_held_and_one_that_refuses_to_hold_is_damped(
    refuses: Sequence[str], estop: bool, told: list[str], reported: Mode
) -> None:
    clock, events = VirtualClock(), list[Event]()
    clock.advance(1_000_000_000)
    sent, applied = LocalStream(command_stream(ARM, "sent", 200.0)), LocalStream(applied_stream(ARM, 200.0))
    robot: Any = Robot(refuses)
    loop = ActuatorLoop(robot, {ARM.name: LocalReader(sent)}, applied.write, events.append, clock)
    loop.watchdog = Watchdog(robot.targets)  # a HOLD has come before
    now = clock.now()
    command = Command(1, ARM.name, ARM.mode, np.zeros(1), Source.OPERATOR, now, (now, now))
    sent.write(to_sample(command, f"{ARM.name}/sent"))
    loop.command(False)
    if estop:
        loop.command(True)
    assert robot.told == told
    report = LocalReader(applied).latest()
    assert report is not None
    assert (Mode(int(report.array("action"))), int(report.array("command_seq"))) == (reported, -1)
    assert ("actuator.refused" in [e.code for e in events]) is bool(refuses)


def test_a_robot_that_was_opened_again_is_not_moved_before_the_loop_has_held_it() -> None:
    clock, robot = VirtualClock(), Robot(())
    clock.advance(1_000_000_000)
    sent, applied = LocalStream(command_stream(ARM, "sent", 200.0)), LocalStream(applied_stream(ARM, 200.0))
    loop = ActuatorLoop(robot, {ARM.name: LocalReader(sent)}, applied.write, lambda e: None, clock)  # type: ignore[arg-type]

    def tell(seq: int, mode: Mode) -> list[str]:
        now = clock.advance(5_000_000)
        command = Command(seq, ARM.name, mode, np.zeros(1), Source.OPERATOR, now, (now, now))
        sent.write(to_sample(command, f"{ARM.name}/sent"))
        robot.told.clear()
        loop.command(False)
        return list(robot.told)

    assert tell(1, ARM.mode) == []
    assert tell(2, Mode.HOLD) == ["hold"]
    assert tell(3, ARM.mode) == ["send"]
    loop.forget()  # the device was lost and is back
    assert tell(4, ARM.mode) == []
    assert tell(5, Mode.HOLD) == ["hold"]
    assert tell(6, ARM.mode) == ["send"]
