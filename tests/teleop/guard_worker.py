"""A watchdog in its worker, for an arm alone and for a humanoid with a base."""

from __future__ import annotations

from typing import Any

import numpy as np

from telerig.hardware.commands import Command, Mode, Source, TargetSpec
from telerig.teleop.guard_watchdog import Action, Watchdog

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
ARM = TargetSpec(
    "robot/arm", Mode.JOINT_POSITION, ("a", "b"), (-1.0, -1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0)
)
BASE = TargetSpec(
    "robot/base", Mode.BASE_VELOCITY_HEIGHT, ("vx", "vy", "yaw", "h"), (-1.0, -1.0, -1.0, 0.2), (1.0, 1.0, 1.0, 0.7),
    (1.0,) * 4, (1.0,) * 4, (0.0, 0.0, 0.0, 0.7),
)  # fmt: skip


class Worker:
    """A watchdog in its worker, 2 ms a cycle, that remembers the newest command as a stream would."""

    def __init__(self, target: TargetSpec = ARM) -> None:
        self.target, self.now, self.seq = target, T0, 0
        self.watchdog = Watchdog((target,), "robot")
        self.newest: Any = None
        self.log: list[tuple[int, Action]] = []

    def command(self, **how: Any) -> Command:
        self.seq += 1
        fields = {
            "seq": self.seq, "target": self.target.name, "mode": self.target.mode,
            "data": np.full(self.target.size, 0.5),
            "source": Source.OPERATOR, "t_issued": self.now, "t_inputs": (self.now, self.now), "ttl_ns": 100 * MS,
        }  # fmt: skip
        return Command(**{**fields, **how})

    def send(self, **how: Any) -> list[Action]:
        self.now += 2 * MS
        self.newest = self.command(**how)
        return self.cycle()

    def cycle(self, ms: int = 0, estop: bool = False) -> list[Action]:
        """Cycles every 2 ms for ``ms`` (at least one); the actions of all."""
        out: list[Action] = []
        end = self.now + ms * MS
        while True:
            new = self.watchdog.step(self.now, {self.target.name: self.newest}, estop)
            self.log += [(self.now, a) for a in new]
            out += new
            if self.now >= end:
                return out
            self.now += 2 * MS

    def codes(self) -> list[str]:
        return [e.code for e in self.watchdog.drain()]


class Humanoid:
    """Arms and a base behind one watchdog; ``hold()`` and ``damp()`` are for both."""

    def __init__(self) -> None:
        self.now, self.seq = T0, 0
        self.watchdog = Watchdog((ARM, BASE), "robot")
        self.newest: dict[str, Command | None] = {}
        self.log: list[tuple[int, Action]] = []

    def send(self, arm: Mode, base: Source, ms: int = 2) -> None:
        """Commands to both every 2 ms for so long; the base walks forward, unless the guard stops it."""
        for _ in range(0, ms, 2):
            self.now += 2 * MS
            self.seq += 1
            rest, walk = (self.now, (self.now, self.now)), np.array((0.0 if base is Source.GUARD else 0.5, 0, 0, 0.6))
            self.newest = {
                ARM.name: Command(self.seq, ARM.name, arm, np.full(2, 0.5), Source.OPERATOR, *rest),
                BASE.name: Command(self.seq, BASE.name, BASE.mode, walk, base, *rest),
            }
            self.log += [(self.now, a) for a in self.watchdog.step(self.now, self.newest, False)]

    def alone(self, ms: int, estop: bool) -> list[tuple[int, str, Mode, bool]]:
        """What the watchdog does by itself: ms, target, what, and whether by ``hold()`` or ``damp()`` of the whole robot."""
        start, out = self.now, []
        while self.now < start + ms * MS:
            self.now += 2 * MS
            for a in self.watchdog.step(self.now, self.newest, estop):
                whole = a.command is None and a.changed
                out.append(((self.now - start) // MS, a.target, a.mode, whole))
                if a.command is not None:
                    np.testing.assert_array_equal(a.command.data, (0.0, 0.0, 0.0, 0.6))
                    assert (a.target, a.command.mode, a.command_seq) == (BASE.name, BASE.mode, -1)
        return out
