"""A shaper, targets for it, and a robot that is where it was sent one tick ago."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import Command, Mode, Source, TargetSpec
from telerig.teleop.guard_shaping import Shaper, Verdict
from telerig.teleop.states import State

TICK = 5_000_000
DT = 0.005
T0 = 1_700_000_000_000_000_000
ARM = TargetSpec(
    "robot/arm", Mode.JOINT_POSITION, ("a", "b", "c"), (-2.0, -1.0, 0.0), (2.0, 1.0, 1.5), (3.0, 6.0, 10.0),
    (20.0, 30.0, 80.0), (0.0, 0.2, 0.1), "rad", ("robot/state", "position"),
)  # fmt: skip
BASE = TargetSpec(
    "robot/base", Mode.BASE_VELOCITY_HEIGHT, ("vx", "vy", "yaw", "height"), (-0.5, -0.4, -0.8, 0.24),
    (1.0, 0.4, 0.8, 0.74), (2.0, 2.0, 3.0, 0.3), (20.0, 20.0, 30.0, 3.0), (0.0, 0.0, 0.0, 0.74), "m/s, m/s, rad/s, m",
)  # fmt: skip


def command(
    target: TargetSpec,
    data: object,
    now: int,
    seq: int = 1,
    mode: Mode | None = None,
    t_inputs: tuple[int, int] | None = None,
) -> Command:
    value = np.asarray(data, float)
    return Command(seq, target.name, mode or target.mode, value, Source.OPERATOR, now, t_inputs or (now, now))


class Rig:
    """A shaper and a robot that is where it was sent one tick ago."""

    def __init__(self, *targets: TargetSpec, start: object = (0.0, 0.2, 0.1), **how: object) -> None:
        self.targets = targets or (ARM,)
        self.shaper = Shaper(self.targets, 200.0, **how)  # type: ignore[arg-type]
        self.now = T0
        self.measured: dict[str, NDArray[np.float64] | None] = {ARM.name: np.asarray(start, float)}
        self.verdict = Verdict(None, None, math.inf)
        self.sent: list[dict[str, Command]] = []

    def tick(self, state: State, goals: Mapping[TargetSpec, object] | None = None, n: int = 1) -> dict[str, Command]:
        for _ in range(n):
            self.now += TICK
            intended = {
                t.name: g if isinstance(g, Command) else command(t, g, self.now) for t, g in (goals or {}).items()
            }
            self.verdict = self.shaper.judge(self.now, intended, self.measured)
            out = {c.target: c for c in self.shaper.move(self.now, state)}
            self.sent.append(out)
            if ARM.name in out and out[ARM.name].mode is Mode.JOINT_POSITION:
                self.measured[ARM.name] = out[ARM.name].data
        return out

    def path(self, name: str = ARM.name) -> NDArray[np.float64]:
        return np.array([s[name].data for s in self.sent])
