"""A G1's driver and an emulated robot on a wire in memory, in virtual time."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from telerig.drivers.unitree_g1 import dds
from telerig.drivers.unitree_g1.firmware import G1Firmware, Inertial
from telerig.drivers.unitree_g1.motors import gains
from telerig.drivers.unitree_g1.robot import UnitreeG1
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.wire import unitree_cdr as cdr

MS = 1_000_000
PERIOD = 2 * MS
LOAD = 2.0  # N m on every joint of the body: what gravity is to a real one
STIFF = 1600.0  # 1/s2: every joint's own kp by its inertia


class End:
    """One end of the wire; keeps what it sent, newest last."""

    def __init__(self, wire: dict[str, deque[bytes]]) -> None:
        self.wire, self.others, self.closed = wire, 0, False
        self.sent: dict[str, deque[bytes]] = {}

    def publish(self, topic: str, data: bytes) -> None:
        self.sent.setdefault(topic, deque(maxlen=4000)).append(data)
        self.wire.setdefault(topic, deque()).append(data)

    def take(self, topic: str) -> list[bytes]:
        queue = self.wire.setdefault(topic, deque())
        return [queue.popleft() for _ in range(len(queue))]

    def wait(self, timeout_s: float) -> None:
        """Nothing will come while one waits."""

    def writers(self, topic: str) -> int:
        return self.others

    def close(self) -> None:
        self.closed = True


class Puppet:
    """The firmware on joints of one inertia each, with a constant load: analytic, and quick."""

    def __init__(self, end: End, machine: int = 5, watchdog_ms: int = 100) -> None:
        self.end = end
        n = len(G1Firmware(machine, 0, {}, np.ones(1)).joints)
        self.firmware = G1Firmware(machine, watchdog_ms * MS, {}, np.full(n, 25.0))
        self.inertia = gains(self.firmware.joints, {})[:, 0] / STIFF
        self.load = np.where(np.arange(n) < 29, LOAD, 0.0) * (self.inertia / self.inertia.max())
        self.q, self.dq = np.zeros(n), np.zeros(n)
        self.hands = True
        self.upright = Inertial(np.array([1.0, 0, 0, 0]), np.zeros(3), np.array([0.0, 0, 9.81]))

    def step(self, now: int) -> None:
        for data in self.end.take(dds.LOW_CMD):
            self.firmware.low_cmd(now, data)
        for side, topic in dds.HAND_CMD.items():
            for data in self.end.take(topic):
                self.firmware.hand_cmd(now, side, data)
        m, dt = self.firmware.motion(now), PERIOD / 1e9
        torque = m.tau + m.kp * (m.q - self.q) + m.kd * (m.dq - self.dq)
        # the damping term implicitly, so that any kd is stable
        self.dq = (self.dq + dt * (m.tau + m.kp * (m.q - self.q) - self.load) / self.inertia) / (
            1 + dt * m.kd / self.inertia
        )
        self.q = self.q + dt * self.dq
        self.firmware.measured(now, self.q, self.dq, torque, self.upright)
        self._tell()

    def _tell(self) -> None:
        if (state := self.firmware.low_state()) is not None:
            self.end.publish(dds.LOW_STATE, state)
        for side, topic in dds.HAND_STATE.items():
            if self.hands and (hand := self.firmware.hand_state(side)) is not None:
                self.end.publish(topic, hand)

    def of(self, joints: tuple[str, ...]) -> np.ndarray[Any, Any]:
        """Where these joints are, rad."""
        at = dict(zip(self.firmware.joints, self.q, strict=True))
        return np.array([at[j] for j in joints])


class Pair:
    """Driver and puppet; the robot was there for a moment before."""

    def __init__(self, machine: int = 5, robot: Any = None, driver: Any = UnitreeG1, **config: Any) -> None:
        self.clock, self.events = VirtualClock(), list[Event]()
        wire: dict[str, deque[bytes]] = {}
        self.near, self.far = End(wire), End(wire)
        self.puppet = Puppet(self.far, machine) if robot is None else robot(self.far, self.clock)
        context = DeviceContext("robot", self.clock, emit=self.events.append)
        self.robot = driver(driver.Config(rate_hz=500.0, **config), context, lambda: self.near)
        self.target = self.robot.targets[0]
        self._seq = 0
        self.beat()
        self.beat()

    def open(self) -> Pair:
        self.robot.open()
        return self

    def beat(self) -> None:
        """Two milliseconds of the robot."""
        self.clock.advance(PERIOD)
        self.puppet.step(self.clock.now())

    def send(self, goal: Any) -> None:
        """One command."""
        self._seq += 1
        now = self.clock.now()
        data = np.asarray(goal, float)
        self.robot.send(
            Command(self._seq, self.target.name, Mode.JOINT_POSITION, data, Source.OPERATOR, now, (now, now))
        )

    def run(self, ms: float, goal: Any = None, read: bool = True) -> list[Sample]:
        """So long, a goal every 4 ms if there is one; the driver's samples."""
        found: list[Sample] = []
        for k in range(round(ms * MS / PERIOD)):
            self.beat()
            if goal is not None and k % 2 == 0:
                self.send(goal)
            if read:
                found += self.robot.read(0.0)
        return found

    @property
    def last(self) -> np.ndarray[Any, Any]:
        """The newest command to the body's motors."""
        record: np.ndarray[Any, Any] = cdr.decode_low_cmd(self.near.sent[dds.LOW_CMD][-1])
        return record

    @property
    def codes(self) -> list[str]:
        return [e.code for e in self.events]


def opened(**config: Any) -> Pair:
    return Pair(**config).open()


def reach(pair: Pair) -> np.ndarray[Any, Any]:
    """A goal that differs for every joint, inside its limits."""
    low, high = np.array(pair.target.low), np.array(pair.target.high)
    share = np.linspace(0.3, 0.7, pair.target.size)
    goal: np.ndarray[Any, Any] = 0.3 * (low + share * (high - low))
    return np.clip(goal, low, high)
