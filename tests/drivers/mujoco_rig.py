"""A simulated world and its robot in one process, for tests in virtual time and on a clock that can be late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from telerig.drivers.mujoco.robot import MujocoRobot
from telerig.drivers.mujoco.world import PERIOD_NS, MujocoWorld
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Layout, Sample
from telerig.hardware.scene import SCENE
from telerig.hardware.specs import StreamSpec

MS = 1_000_000
UPPER = "robot/upper"


class LateClock:
    """A real clock's face with a hand-set time: sleeping arrives late by ``late``."""

    virtual, offset_ns = False, 0

    def __init__(self) -> None:
        self.t, self.late = 1_700_000_000_000_000_000, 0

    def now(self) -> int:
        return self.t

    def sleep_until(self, t: int) -> None:
        self.t, self.late = max(self.t, t) + self.late, 0


def through(spec: StreamSpec, sample: Sample, seq: int) -> Sample:
    """A sample as a stream's reader gets it."""
    layout = Layout(spec)
    memory = memoryview(bytearray(layout.size))
    layout.pack_into(memory, 0, sample, seq)
    return layout.unpack_from(memory, 0)


class Latest:
    """A stream's reader whose newest sample is set by hand."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec, self.n = spec, 0
        self.sample: Sample | None = None

    def put(self, sample: Sample) -> None:
        self.sample, self.n = through(self.spec, sample, self.n), self.n + 1

    def latest(self) -> Sample | None:
        return self.sample

    def window(self, t0: int, t1: int) -> list[Sample]:
        return []


class Rig:
    """A world and its robot in one process."""

    def __init__(self, clock: Any = None, robot: dict[str, Any] | None = None, **world: Any) -> None:
        self.clock = clock or VirtualClock()
        self.events: list[Event] = []
        self.scene = Latest(SCENE)
        self.connected = True
        config = MujocoWorld.Config(**{"embodiment": "g1_like", "task": "pick_place", **world})
        inputs = {SCENE.name: self.scene}
        self.world = MujocoWorld(config, DeviceContext("world", self.clock, None, inputs, self.events.append))
        self.robot = MujocoRobot(
            MujocoRobot.Config(**{"embodiment": "g1_like", **(robot or {})}),
            DeviceContext("robot", self.clock, self.port, {}, self.events.append),
        )
        self.home = np.array(self.robot.targets[0].home)

    def port(self) -> LoopbackPort:
        return LoopbackPort(self.world.robot_emulator, self.clock, lambda: self.connected)

    def open(self) -> Rig:
        self.world.open()
        self.robot.open()
        return self

    def period(self, data: np.ndarray | None = None) -> tuple[list[Sample], list[Sample]]:
        self.clock.advance(PERIOD_NS)
        made, measured = list(self.world.read(0)), list(self.robot.read(0))
        if data is not None:
            self.robot.send(command(data, self.clock.now()))
        return made, measured

    def run(self, periods: int, data: Callable[[int], np.ndarray] | None = None) -> list[Sample]:
        out: list[Sample] = []
        for k in range(periods):
            out += self.period(None if data is None else data(k))[0]
        return out

    def wave(self, k: int) -> np.ndarray:
        goal = self.home.copy()
        goal[14:21] += 0.25 * np.sin(0.02 * k)
        goal[21:28] *= 0.5
        return goal


def command(data: np.ndarray, now: int, mode: Mode = Mode.JOINT_POSITION, target: str = UPPER) -> Command:
    return Command(0, target, mode, np.asarray(data, np.float64), Source.OPERATOR, now, (now, now))


def states(samples: list[Sample]) -> list[Sample]:
    return [s for s in samples if s.stream == "world/state"]


def truths(samples: list[Sample]) -> list[Sample]:
    return [s for s in samples if s.stream == "world/truth"]
