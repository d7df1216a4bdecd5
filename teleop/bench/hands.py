"""Hands for benchmarks and tests: they wear the emulated cockpit and do something simple, for ever."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.protocols import StreamReader
from telerig.teleop.hand_process import Values
from telerig.teleop.states import State

RELEASE_NS = 300_000_000
PRESS_NS = 1_500_000_000
COME_HOME_RAD_S = 1.0
Poses = Mapping[str, Sequence[float]]  # device → rad


class SineHand:
    """Holds enable and waves: every joint swings about the robot's home pose.

    :param embodiment: whose home pose the arms start from.
    :param arms: exoskeleton or leader device → the joint groups its servos copy, in order.
    :param gloves: glove devices, whose fingers open and close.  :param pedals: the pedal box, or "".
    :param keyboard: somebody else holds enable: begin at the home pose, wave once engaged.
    :param amplitude: rad.  :param hz: swings a second.
    """

    def __init__(
        self,
        embodiment: str,
        arms: Mapping[str, Sequence[str]],
        gloves: Sequence[str] = (),
        pedals: str = "",
        keyboard: bool = False,
        amplitude: float = 0.15,
        hz: float = 0.5,
    ) -> None:
        robot = load_embodiment(embodiment)
        self._home = {d: [q for g in groups for q in robot.group(g).home] for d, groups in arms.items()}
        self._low = {d: [q for g in groups for q in robot.group(g).low] for d, groups in arms.items()}
        self._high = {d: [q for g in groups for q in robot.group(g).high] for d, groups in arms.items()}
        self._gloves, self._pedals = list(gloves), "" if keyboard else pedals
        self._amplitude, self._hz = amplitude, hz
        self._engaged_at: int | None = None
        self._since = 0

    def step(self, now: int, readers: Mapping[str, StreamReader]) -> Values:
        """What every emulated sensor shows now."""
        state = _state(readers)
        swing = self._swing(now, state)
        values: dict[str, dict[str, Sequence[float]]] = {}
        for device, rest in self._rest(now, state, swing, readers).items():
            low, high = self._low[device], self._high[device]
            values[device] = {"angle": [min(max(q + swing, a), b) for q, a, b in zip(rest, low, high, strict=True)]}
        for device in self._gloves:
            values[device] = {"flexion": [max(0.0, swing)] * 16}
        if self._pedals:
            values[self._pedals] = {
                "position": [0.0, 0.0, 0.0],
                "switches": [float(self._enable(now, state)), 0.0, 1.0],
            }
        return values

    def _swing(self, now: int, state: State) -> float:
        """How far the wave is from its middle, rad."""
        if state is not State.ENGAGED:
            self._engaged_at = None
        elif self._engaged_at is None:
            self._engaged_at = now
        t = 0.0 if self._engaged_at is None else (now - self._engaged_at) / 1e9
        return self._amplitude * math.sin(2 * math.pi * self._hz * t)

    def _rest(self, now: int, state: State, swing: float, readers: Mapping[str, StreamReader]) -> Poses:
        """What every arm waves about."""
        return self._home

    def _enable(self, now: int, state: State) -> bool:
        """Press once the robot stands still, keep pressed while it moves, let go and press again after a stop."""
        if state in (State.MATCHING, State.ENGAGED):
            self._since = 0
            return True
        if state in (State.HOMING, State.ESTOP):
            self._since = now
            return False
        self._since = self._since or now
        return (now - self._since) % PRESS_NS > RELEASE_NS


class HeldHand(SineHand):
    """Waves as :class:`SineHand` does, but its foot does what the command line's enable says: it never lets go by itself.

    Before the robot is engaged the arms are where the robot's are, as a person's would be, so that matching is short; then
    they come home while they wave, and the wave goes on where it was.

    :param target: of the device ``robot``, whose joints the arms are compared with.
    :ivar foot_stays: the foot stays where it is, whatever the command line says: for stops and returns that must not need it.
    """

    def __init__(
        self, embodiment: str, arms: Mapping[str, Sequence[str]], target: str = "upper", **settings: Any
    ) -> None:
        super().__init__(embodiment, arms, **settings)
        robot = load_embodiment(embodiment)
        names = robot.target("robot", target).names
        self._joints = {
            d: [names.index(j) for g in groups for j in robot.group(g).joints] for d, groups in arms.items()
        }
        self._off: dict[str, list[float]] = {d: [0.0] * len(home) for d, home in self._home.items()}
        self._waved_ns, self._last = 0, 0
        self._held = self.foot_stays = False

    def step(self, now: int, readers: Mapping[str, StreamReader]) -> Values:
        """What every emulated sensor shows now."""
        newest = readers["session/operator"].latest()
        if not self.foot_stays:
            self._held = newest is not None and bool(newest.array("enable"))
        values = super().step(now, readers)
        self._last = now
        return values

    def _swing(self, now: int, state: State) -> float:
        if state is State.ENGAGED and self._last:
            self._waved_ns += now - self._last
        return self._amplitude * math.sin(2 * math.pi * self._hz * self._waved_ns / 1e9)

    def _rest(self, now: int, state: State, swing: float, readers: Mapping[str, StreamReader]) -> Poses:
        robot = readers["robot/state"].latest()
        if state is State.ENGAGED:
            step = COME_HOME_RAD_S * (now - self._last) / 1e9
            self._off = {d: [x - min(max(x, -step), step) for x in off] for d, off in self._off.items()}
        elif state is not State.MATCHING and robot is not None:
            seen = robot.array("position")
            for device, home in self._home.items():
                at = [float(seen[k]) for k in self._joints[device]]
                self._off[device] = [x - q - swing for x, q in zip(at, home, strict=True)]
        return {d: [q + x for q, x in zip(home, self._off[d], strict=True)] for d, home in self._home.items()}

    def _enable(self, now: int, state: State) -> bool:
        return self._held


def _state(readers: Mapping[str, StreamReader]) -> State:
    newest = readers["session/state"].latest()
    return State.IDLE if newest is None else State(int(newest.array("state")))
