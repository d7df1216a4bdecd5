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
    """The planner's half: home at first, then waving about it for as long as the robot is engaged."""
    settings = child.settings
    robot = load_embodiment(settings["embodiment"])
    target = robot.target("robot", settings["target"])
    waving = {name for g in settings["groups"] for name in robot.group(g).joints}
    moving = np.array([name in waving for name in target.names])
    writer, states = child.writer(STREAM), child.reader("session/state")
    pulse = Pulse(child)
    pulse.start()
    since: int | None = None
    while not child.stopping:
        now = child.clock.now()
        pulse.on(now)
        state = states.latest()
        engaged = state is not None and int(state.array("state")) == State.ENGAGED
        since = (since or now) if engaged else None
        writer.write(_plan(now, since, np.array(target.home), moving, settings))
        child.clock.sleep_until(now + 50_000_000)


def _plan(now: int, since: int | None, home: Any, moving: Any, settings: Mapping[str, Any]) -> Sample:
    t = (now + np.arange(STEPS) * STEP_NS - (now if since is None else since)) / 1e9
    amplitude = 0.0 if since is None else float(settings["amplitude"])
    swing = amplitude * np.sin(2 * math.pi * float(settings["hz"]) * t)
    data = {"targets": home + swing[:, None] * moving, "t0": np.array(now, np.int64)}
    return Sample(STREAM, now, now, data)
