"""An agent that lives outside the loop, as a policy does: a process plans a second ahead, the loop carries plans out.

For the dead man's test: the planner is what is stopped, and the loop holds a whole second of its plans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from telerig.hardware.commands import Command, Mode, Source, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.protocols import Observation
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.bench.hands import COME_HOME_RAD_S
from telerig.teleop.child import Child
from telerig.teleop.pulse import Pulse
from telerig.teleop.rig import Rig
from telerig.teleop.states import State

STREAM = "bench/plan"
STEPS, STEP_NS = 51, 20_000_000


def plan_stream(n: int) -> StreamSpec:
    """Joint targets of the next second, 20 ms apart, for ``n`` joints."""
    fields = (ArraySpec("targets", (STEPS, n), "<f8", "rad"), ArraySpec("t0", (), "<i8", "ns"))
    return StreamSpec(STREAM, fields, 20.0)


class PlanAgent:
    """Executes the newest plan by absolute time; silent once it is used up."""

    def __init__(self, target: str, requires: Sequence[str] = ()) -> None:
        self.drives, self.requires = (target,), tuple(requires)
        self._seq = 0

    def reset(self) -> None:
        """It has nothing in mind that could be forgotten."""

    def act(self, observation: Observation, now: int) -> Sequence[Command]:
        """One joint-position command while there is a plan for now."""
        sample = observation[STREAM].latest()
        if sample is None:
            return ()
        step = (now - int(sample.array("t0"))) / STEP_NS
        if not 0 <= step < STEPS - 1:
            return ()
        k, share = int(step), step - int(step)
        plan = sample.array("targets")
        self._seq += 1
        data = (1 - share) * plan[k] + share * plan[k + 1]
        arrived = (sample.t_arrival, sample.t_arrival)
        return (Command(self._seq, self.drives[0], Mode.JOINT_POSITION, data, Source.POLICY, now, arrived),)


def build(rig: Rig, targets: tuple[TargetSpec, ...], told: Mapping[str, Any]) -> PlanAgent:
    """The loop's half."""
    return PlanAgent(str(told["target"]), told.get("requires", ()))


def run(child: Child) -> None:
    """The planner's half: where the robot is until it is engaged, then waving, and coming home on the way."""
    settings = child.settings
    robot = load_embodiment(settings["embodiment"])
    target = robot.target("robot", settings["target"])
    waving = {name for g in settings["groups"] for name in robot.group(g).joints}
    moving = np.array([name in waving for name in target.names])
    writer, states, robots = child.writer(STREAM), child.reader("session/state"), child.reader("robot/state")
    home = start = np.array(target.home)
    limits = np.array(target.low), np.array(target.high)
    pulse = Pulse(child)
    pulse.start()
    since: int | None = None
    while not child.stopping:
        now = child.clock.now()
        pulse.on(now)
        newest, measured = states.latest(), robots.latest()
        state = State.IDLE if newest is None else State(int(newest.array("state")))
        since = (since or now) if state is State.ENGAGED else None
        if state not in (State.MATCHING, State.ENGAGED) and measured is not None:
            start = measured.array("position").copy()
        writer.write(_plan(now, since, (start, home), limits, moving, settings))
        child.clock.sleep_until(now + 50_000_000)


def _plan(
    now: int, since: int | None, way: tuple[Any, Any], limits: tuple[Any, Any], moving: Any, settings: Mapping[str, Any]
) -> Sample:
    """The next second.  :param way: where the robot was when it was engaged, and home, rad ``(n,)``."""
    t = np.zeros(STEPS) if since is None else (now + np.arange(STEPS) * STEP_NS - since) / 1e9
    start, home = way
    left = np.maximum(np.abs(start - home) - COME_HOME_RAD_S * t[:, None], 0.0) * np.sign(start - home)
    swing = float(settings["amplitude"]) * np.sin(2 * math.pi * float(settings["hz"]) * t)
    targets = np.clip(home + left + swing[:, None] * moving, *limits)
    return Sample(STREAM, now, now, {"targets": targets, "t0": np.array(now, np.int64)})
