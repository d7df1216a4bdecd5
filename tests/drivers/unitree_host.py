"""A G1's driver as its worker has it: a thread that reads, and renews the goals it was given, in real time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from telerig.drivers.unitree_g1.robot import UnitreeG1
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.errors import CommandRefused, DeviceLost
from telerig.hardware.events import Event
from telerig.hardware.legs import LegCommand
from telerig.hardware.protocols import DeviceContext

PATIENCE = 400  # tries of 25 ms


def until(condition: Callable[[], bool], what: str) -> None:
    """Look until a condition holds; the only thing that time decides is when to give up."""
    pause = threading.Event()
    for _ in range(PATIENCE):
        if condition():
            return
        pause.wait(0.025)
    raise AssertionError(f"{what}: not within {PATIENCE / 40:g} s")


class Host:
    """A driver and the worker that is behind it: a thread that reads, and renews the goal it was given.

    Like the real worker it holds when a goal is refused, and goes on: a machine under load may be late by more than the
    driver allows.

    :param driver: with legs, ``legs`` is their goal.
    :ivar works: while it is not set, the thread hangs.
    """

    def __init__(self, domain: int, driver: Any = UnitreeG1, **config: Any) -> None:
        self.events = list[Event]()
        self.clock = RealClock()
        self.robot = driver(
            driver.Config(emulated=True, domain=domain, settle_s=0.0, **config),
            DeviceContext("robot", self.clock, emit=self.events.append),
        )
        self.target = self.robot.targets[0]
        self.goal: np.ndarray[Any, Any] | None = None
        self.legs: LegCommand | None = None
        self.works = threading.Event()
        self.works.set()
        self.read = self.seq = 0
        self.lost: DeviceLost | None = None
        self.refused = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Host:
        self.robot.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.works.set()
        self._thread.join()
        self.robot.close()

    def _work(self) -> None:
        try:
            while not self._ending.is_set():
                self.works.wait()
                self.read += len(self.robot.read(0.005))
                if (goal := self.goal) is not None:
                    self._send(goal)
                if (legs := self.legs) is not None:
                    self._send_legs(legs)
        except DeviceLost as error:
            self.lost = error

    def _send(self, goal: np.ndarray[Any, Any]) -> None:
        now, self.seq = self.clock.now(), self.seq + 1
        try:
            self.robot.send(
                Command(self.seq, self.target.name, Mode.JOINT_POSITION, goal, Source.OPERATOR, now, (now, now))
            )
        except CommandRefused as error:
            self.refused = str(error)
            self.robot.hold()

    def _send_legs(self, legs: LegCommand) -> None:
        try:
            self.robot.send_legs(legs)
        except CommandRefused as error:
            self.refused = str(error)  # its state is old: the legs are damped, and follow the next one
