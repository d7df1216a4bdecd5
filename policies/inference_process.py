"""Inference in a process of its own: reads streams, writes ``policy/chunk``; may be slow, hang or crash without harm.

When no chunk comes the agent in the loop falls silent, and the guard holds the robot; when this process is dead or stopped
the loop holds at once, whatever is left of the newest chunk.
"""

from __future__ import annotations

from pathlib import Path

from telerig.policies.inference import PolicyRunner
from telerig.policies.schedule import Schedule
from telerig.teleop.child import Child, ChildReaders
from telerig.teleop.pulse import Pulse

CYCLE_NS = 2_000_000


def run(child: Child) -> None:
    """Ask the policy whenever a chunk is due, until the session ends."""
    settings = child.settings
    runner = PolicyRunner(Path(settings["checkpoint"]), threads=int(settings["threads"]), ablate=settings["ablate"])
    runner.reset(int(settings["seed"]))
    schedule = Schedule(runner)
    readers, chunks = ChildReaders(child), child.writer("policy/chunk")
    scenes = child.reader("session/scene")
    scene = scenes.written
    pulse = Pulse(child)
    pulse.start()
    while not child.stopping:
        pulse.on(child.clock.now())
        if scenes.written != scene:  # a new scene is a new episode: new noise, as in evaluation
            scene, newest = scenes.written, scenes.latest()
            runner.reset(int(settings["seed"]) if newest is None else int(newest.array("seed")))
        now = child.clock.now()
        if (sample := schedule.step(now, readers)) is not None:
            chunks.write(sample._replace(t_arrival=child.clock.now()))
        child.clock.sleep_until(child.clock.now() + CYCLE_NS)
