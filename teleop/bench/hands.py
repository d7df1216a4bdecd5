"""Hands for benchmarks and tests: they wear the emulated cockpit and do something simple, for ever."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.protocols import StreamReader
from telerig.teleop.hand_process import Values
from telerig.teleop.states import State

RELEASE_NS = 300_000_000
PRESS_NS = 1_500_000_000


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
        newest = readers["session/state"].latest()
        state = State.IDLE if newest is None else State(int(newest.array("state")))
        if state is not State.ENGAGED:
            self._engaged_at = None
        elif self._engaged_at is None:
            self._engaged_at = now
        t = 0.0 if self._engaged_at is None else (now - self._engaged_at) / 1e9
        swing = self._amplitude * math.sin(2 * math.pi * self._hz * t)
        values: dict[str, dict[str, Sequence[float]]] = {}
        for device, home in self._home.items():
            low, high = self._low[device], self._high[device]
            values[device] = {"angle": [min(max(q + swing, a), b) for q, a, b in zip(home, low, high, strict=True)]}
        for device in self._gloves:
            values[device] = {"flexion": [max(0.0, swing)] * 16}
        if self._pedals:
            values[self._pedals] = {
                "position": [0.0, 0.0, 0.0],
                "switches": [float(self._enable(now, state)), 0.0, 1.0],
            }
        return values

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
    """Waves as :class:`SineHand` does, but its foot does what the command line's enable says: it never lets go by itself."""

    def step(self, now: int, readers: Mapping[str, StreamReader]) -> Values:
        """What every emulated sensor shows now."""
        newest = readers["session/operator"].latest()
        self._held = newest is not None and bool(newest.array("enable"))
        return super().step(now, readers)

    def _enable(self, now: int, state: State) -> bool:
        return self._held
