"""The loop's own process: deadlines, what it depends on, an orderly end."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from telerig.hardware.commands import TargetSpec
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import Agent
from telerig.hardware.samples import Sample
from telerig.teleop.balance_view import BalanceView
from telerig.teleop.child import Child, ChildReaders
from telerig.teleop.loop import LoopCore, LoopOptions, tick_sample
from telerig.teleop.operator_input import OperatorInput
from telerig.teleop.plan import plan_devices, rig_from_told
from telerig.teleop.rig import Rig

PARENT_S = 0.13  # the session's parent must have shown life this recently: four of its beats
ALIVE_S = 0.5  # likewise the recorder of a running episode, and what the agent needs; the parent sees them die sooner
AgentFactory = Callable[[Rig, tuple[TargetSpec, ...], dict[str, Any]], Agent]


def load_factory(name: str) -> AgentFactory:
    """``module:function`` → the function that builds an agent."""
    module, _, attribute = name.partition(":")
    factory: AgentFactory = getattr(import_module(module), attribute)
    return factory


def driven_targets(agent: Agent, targets: tuple[TargetSpec, ...]) -> tuple[str, ...]:
    """The targets an agent commands: its attribute ``drives``, or all."""
    return tuple(getattr(agent, "drives", [t.name for t in targets]))


def build_core(child: Child) -> LoopCore:
    """The loop's core from the settings the session wrote."""
    rig = rig_from_told(child.settings["rig"])
    plans = plan_devices(rig)
    targets = tuple(t for p in plans.values() for t in p.targets)
    told = child.settings["agent"]
    agent = load_factory(told["factory"])(rig, targets, told)
    options = LoopOptions(**child.settings["options"])
    readers = ChildReaders(child)

    def write(sample: Sample) -> None:
        child.writer(sample.stream).write(sample)

    def emit(event: Event) -> None:
        child.emit(
            event if event.source == "loop" else Event(event.t, event.level, "loop", event.code, event.text, event.data)
        )

    rate = rig.file.session.rate_hz
    driven, balance = driven_targets(agent, targets), BalanceView.of(rig, readers)
    operator = OperatorInput(child.settings["operator"], readers, child.control, stands=balance is not None)
    return LoopCore(
        agent, targets, rate, readers, write, emit, operator, child.clock, options, driven, balance, child.is_away
    )


def _missing(child: Child, core: LoopCore) -> str | None:
    if child.stopping:
        return "the session is ending"
    if not child.alive("session", PARENT_S):
        return "the command line gives no sign of life"
    if "recorder" in child.beats and not child.alive("recorder", ALIVE_S) and core.recording:
        return "the recorder gives no sign of life"
    silent = (name for name in child.settings.get("needs", ()) if not child.alive(name, ALIVE_S))
    return next((f"{name} gives no sign of life" for name in silent), None)


def next_due(due: int, ended: int, period: int) -> tuple[int, int]:
    """When the next tick is due, and how many periods are skipped: those that had passed as a whole when the last tick ended.

    Deadlines stay on their grid, whatever happens.  A tick that ends a fraction of a period too late costs no period:
    the next one comes at once, late by that fraction, which is better than one not done for the robot that waits.
    """
    following = due + period
    skipped = max(0, ended - following) // period
    return following + skipped * period, skipped


def run(child: Child) -> None:
    """Tick on absolute deadlines until the session ends; then hold, damp, and go."""
    core = build_core(child)
    ticks = child.writer("loop/ticks")
    period = round(1e9 / child.settings["rate_hz"])
    if not child.go_realtime():
        child.say(Level.WARNING, "loop.no_realtime", "real-time priority refused: expect jitter (docs/realtime.md)")
    due, overruns, end = child.clock.now() + period, 0, None
    while end is None or due < end:
        child.clock.sleep_until(due)
        started = child.clock.now()
        child.beat()
        if child.stopping and end is None:
            end = due + 1_150_000_000  # hold for 0.9 s, then damp, seen by the actuator's watchdog
        core.tick(started, due, overruns, _missing(child, core))
        ended = child.clock.now()
        ticks.write(tick_sample(due, started, ended, overruns))
        due, skipped = next_due(due, ended, period)
        overruns += skipped
