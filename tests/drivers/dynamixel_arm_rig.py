"""The follower arm's driver and its emulator in virtual time, with a plug that can be pulled."""

from __future__ import annotations

import itertools

import numpy as np

from telerig.drivers.dynamixel_arm import DynamixelArm, DynamixelArmConfig
from telerig.drivers.dynamixel_arm_emulator import DynamixelArmEmulator
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.wire import dynamixel_table as table

MS = 1_000_000
TICK = 5 * MS
HOME = np.array([0.0, -0.6, 0.6, 0.0, 0.6, 0.0, 1.2])


class Rig:
    """Driver, emulator, clock, and a plug that can be pulled."""

    def __init__(self, emulator: DynamixelArmEmulator | None = None, **config: object) -> None:
        self.config = DynamixelArmConfig(**config)  # type: ignore[arg-type]
        self.clock = VirtualClock()
        self.emulator = emulator or DynamixelArmEmulator(self.config)
        self.events: list[Event] = []
        self.plugged = True
        self.seq = itertools.count()
        self.driver = self.make()

    def make(self) -> DynamixelArm:
        def port() -> LoopbackPort:
            return LoopbackPort(self.emulator, self.clock, lambda: self.plugged)

        return DynamixelArm(self.config, DeviceContext("robot", self.clock, port, emit=self.events.append))

    def command(self, goal: object, mode: Mode = Mode.JOINT_POSITION, target: str = "robot/joints") -> Command:
        now = self.clock.now()
        return Command(next(self.seq), target, mode, np.asarray(goal, np.float64), Source.OPERATOR, now, (now, now))

    def drive(self, goal: object, n: int) -> Sample:
        """``n`` control periods: send, then read; the last sample."""
        for _ in range(n):
            self.clock.advance(TICK)
            self.driver.send(self.command(goal))
            (sample,) = self.driver.read(0)
        return sample

    def idle(self, n: int) -> Sample:
        """``n`` control periods in which the state is read and nobody commands."""
        for _ in range(n):
            self.clock.advance(TICK)
            (sample,) = self.driver.read(0)
        return sample

    def idle_without_driver(self, n: int) -> None:
        """``n`` control periods in which nobody talks to the arm."""
        for _ in range(n):
            self.emulator.step(self.clock.advance(TICK), b"")

    def angles(self) -> np.ndarray:
        return np.array([s.angle for s in self.emulator.servos.values()])

    def registers(self, register: table.Register) -> list[int]:
        return [s.get(register) for s in self.emulator.servos.values()]

    def codes(self) -> list[str]:
        return [e.code for e in self.events]
