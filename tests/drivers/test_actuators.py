"""What every registered actuator does at its two ends, whatever it is: opening moves nothing, closing damps and lets go.

An actuator that is new needs a bench here: a robot in virtual time that says whether it is stiff, damped or limp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pytest

from telerig.drivers import table
from telerig.drivers.dynamixel_arm import DynamixelArm, DynamixelArmConfig
from telerig.drivers.dynamixel_arm_emulator import DynamixelArmEmulator
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.events import Event
from telerig.hardware.protocols import Actuator, DeviceContext
from telerig.hardware.wire import dynamixel_table
from telerig.hardware.wire.simbus import RobotMode

from .mujoco_rig import Rig as MujocoRig

PERIOD_NS = 5_000_000
STIFF, DAMPED, LIMP = "stiff", "damped", "limp"


class Watched(LoopbackPort):
    """A port that notes how stiff the robot is after everything it was told."""

    def __init__(self, emulator: Any, clock: Any, note: Callable[[], None]) -> None:
        super().__init__(emulator, clock)
        self._note = note

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
        data = super().read(timeout_s, max_bytes)
        self._note()
        return data

    def write(self, data: bytes) -> None:
        super().write(data)
        self.read_ahead()

    def read_ahead(self) -> None:
        """The robot acts on what it was told at once, not when its answer is fetched."""
        self._in, told = b"", self._in
        self._out += self._emulator.step(self._clock.now(), told)
        self._note()


class Bench(Protocol):
    """One robot, its driver, and how stiff it was all along."""

    driver: Actuator

    def __init__(self) -> None:
        self.clock, self.events, self.seen = VirtualClock(), list[Event](), list[str]()

    def stiffness(self) -> str: ...
    def position(self) -> np.ndarray: ...
    def found_stiff(self) -> None: ...

    def note(self) -> None:
        if not self.seen or self.seen[-1] != self.stiffness():
            self.seen.append(self.stiffness())

    def run(self, periods: int) -> None:
        for _ in range(periods):
            self.clock.advance(PERIOD_NS)
            self.driver.read(0.0)


class DynamixelBench(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.emulator = DynamixelArmEmulator(DynamixelArmConfig())
        self.driver = self.make()

    def make(self) -> DynamixelArm:
        context = DeviceContext("robot", self.clock, self.port, emit=self.events.append)
        return DynamixelArm(DynamixelArmConfig(), context)

    def port(self) -> Watched:
        return Watched(self.emulator, self.clock, self.note)

    def found_stiff(self) -> None:
        """As a program leaves it that dies."""
        self.driver.open()
        self.driver.hold()
        self.driver = self.make()

    def registers(self, register: Any) -> set[int]:
        return {servo.get(register) for servo in self.emulator.servos.values()}

    def stiffness(self) -> str:
        if self.registers(dynamixel_table.TORQUE_ENABLE) == {0}:
            return LIMP
        return DAMPED if self.registers(dynamixel_table.POSITION_P_GAIN) == {0} else STIFF

    def position(self) -> np.ndarray:
        return np.array([servo.angle for servo in self.emulator.servos.values()])


class MujocoBench(Bench):
    def __init__(self) -> None:
        super().__init__()
        bench = self

        class Rig(MujocoRig):
            def port(self) -> LoopbackPort:
                return Watched(self.world.robot_emulator, self.clock, bench.note)

        self.rig = Rig(self.clock)
        self.events = self.rig.events
        self.rig.world.open()
        self.driver = self.rig.robot

    def stiffness(self) -> str:
        return {RobotMode.DAMP: DAMPED, RobotMode.TORQUE_OFF: LIMP}.get(self.rig.world.robot_emulator.mode, STIFF)

    def position(self) -> np.ndarray:
        return np.array(self.rig.world.robot_emulator.position)

    def found_stiff(self) -> None:
        """It powers up so."""

    def run(self, periods: int) -> None:
        for _ in range(periods):
            self.rig.period()


BENCHES: dict[str, type[Bench]] = {"dynamixel_arm": DynamixelBench, "mujoco_robot": MujocoBench}


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest) -> Bench:
    return BENCHES[request.param]()


ELSEWHERE = {"mujoco_humanoid", "unitree_g1", "unitree_g1_humanoid"}  # test_humanoid.py, test_unitree_*.py


def test_every_registered_actuator_is_tried_here_or_elsewhere() -> None:
    assert {name for name in table.DRIVERS if hasattr(table.driver(name), "send")} == BENCHES.keys() | ELSEWHERE


def test_opening_moves_nothing_and_makes_nothing_stiff(bench: Bench) -> None:
    found, before = bench.stiffness(), bench.position()
    bench.driver.open()
    bench.run(50)
    assert set(bench.seen) == {found}
    np.testing.assert_allclose(bench.position(), before, atol=2e-3)


@pytest.mark.parametrize("told", ["hold", "damp"])
def test_closing_damps_what_was_told_anything_then_lets_go(bench: Bench, told: str) -> None:
    bench.driver.open()
    bench.driver.hold()
    bench.run(20)
    assert bench.seen[-1] == STIFF
    getattr(bench.driver, told)()
    bench.run(20)
    bench.driver.close()
    assert bench.seen[-3:] == [STIFF, DAMPED, LIMP]
    bench.driver.close()  # twice is once


def test_closing_a_robot_that_was_told_nothing_lets_go_in_order_or_leaves_it_and_says_so(bench: Bench) -> None:
    """One that would fall without its torque is left as an earlier program left it."""
    bench.found_stiff()
    bench.seen.clear()
    bench.driver.open()
    bench.run(20)
    assert bench.seen == [STIFF]
    bench.driver.close()
    left = [e for e in bench.events if e.code == "device.held" and "as it was found" in e.text]
    assert bench.seen == ([STIFF] if left else [STIFF, DAMPED, LIMP])
