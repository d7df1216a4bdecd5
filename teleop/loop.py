"""The loop: once a control period, what is sensed becomes what the robot is sent.

:class:`LoopCore` is one tick, pure but for its streams, and the same in real and virtual time; :func:`run` is its
process: absolute deadlines, never re-anchored after a late tick (whole periods are skipped and counted), no encoding, no
logging, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from telerig.hardware import commands
from telerig.hardware.commands import Command, TargetSpec
from telerig.hardware.errors import TelerigError
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import Agent, Clock, StreamReader
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop import session_state
from telerig.teleop.balance_view import BalanceView
from telerig.teleop.episodes import EpisodeCommand, RecorderState, episode_sample
from telerig.teleop.freshness import Freshness
from telerig.teleop.guard_shaping import Shaper
from telerig.teleop.operator_input import OperatorInput
from telerig.teleop.session_state import SessionState
from telerig.teleop.states import Inputs, Machine, State, Status, state_event

TICKS = StreamSpec(
    "loop/ticks",
    (
        ArraySpec("due", (), "<i8", "ns"),
        ArraySpec("started", (), "<i8", "ns"),
        ArraySpec("ended", (), "<i8", "ns"),
        ArraySpec("overruns", (), "<i8"),
    ),
    200.0,
)


PUBLISH_EVERY = 4  # ticks between two samples of session/state; a change is told at once


@dataclass(frozen=True)
class LoopOptions:
    """What the command line may change.

    :param dry_run: decide everything, send nothing.
    :param speed: scales the guard's velocity limits, 0…1.
    :param home: slew to the home pose at the start.
    :param stale_s: the rig's own staleness limits, by stream.
    """

    dry_run: bool = False
    speed: float = 1.0
    home: bool = True
    stale_s: Mapping[str, float] = field(default_factory=dict)


class LoopCore:
    """One tick: read, agent, states, guard, write.

    :param readers: every stream by name; ``write`` publishes a sample; ``emit`` reports an event.
    :param operator: where enable, stop and episode switches come from.
    :param balance: of a robot on its own feet.
    :param is_away: whether the device of a stream is known to have gone away.
    """

    def __init__(
        self,
        agent: Agent,
        targets: Sequence[TargetSpec],
        rate_hz: float,
        readers: Mapping[str, StreamReader],
        write: Callable[[Sample], object],
        emit: Callable[[Event], None],
        operator: OperatorInput,
        clock: Clock,
        options: LoopOptions,
        driven: Sequence[str] | None = None,
        balance: BalanceView | None = None,
        is_away: Callable[[str], bool] = lambda stream: False,
    ) -> None:
        self.agent, self.targets, self._readers, self._write, self._emit = agent, tuple(targets), readers, write, emit
        self._operator, self._clock, self._options, self._balance = operator, clock, options, balance
        self.shaper = Shaper(targets, rate_hz, driven=driven, speed=options.speed)
        self.machine = Machine(clock.now())
        required = [*agent.requires, *operator.requires, *(t.state[0] for t in targets if t.state is not None)]
        required += [] if balance is None else [balance.stream]
        rates = {name: readers[name].spec.rate_hz for name in dict.fromkeys(required)}
        limits = {name: s for name, s in options.stale_s.items() if name in rates}
        self.freshness = Freshness(rates, limits, is_away)
        self._home = options.home
        self._told_fault, self._told_gone = "", True  # a box that was not heard yet is not gone
        self.status = self.machine.status
        self.recording = False
        self._ticks = 0

    def tick(self, now: int, due: int | None = None, overruns: int = 0, missing: str | None = None) -> Status:
        """Everything one control period needs.  ``missing``: a process that must live and does not answer."""
        switches = self._operator.step(now, self.status.state)
        arrivals = {name: _arrival(self._readers[name].latest()) for name in self.freshness.names}
        stale = self.freshness.check(now, arrivals)
        intended = self._intend(now)
        verdict = self.shaper.judge(now, intended, self._measured())
        mismatch, tripped = verdict.mismatch, self._tripped()
        if self._balance is not None:
            view = self._balance.look(self.status.state)
            self.shaper.calm = view.calm
            mismatch, tripped = mismatch if view.standing else math.inf, view.trouble or tripped
        status = self.machine.step(
            now,
            Inputs(
                enable=switches.enable,
                stop=switches.stop,
                estop=switches.estop,
                stale=missing or (stale.text if stale else None),
                refused=verdict.refused,
                tripped=tripped,
                silent=verdict.silent,
                mismatch=mismatch,
                home=self._home and not self._options.dry_run,
                homed=self.shaper.homed,
                reset=switches.reset,
                again=switches.again,
                unheard=switches.unheard,
            ),
        )
        if status.changed and status.previous is State.ESTOP:
            self._operator.reset_granted()  # before anything is sent: the watchdog half takes nothing while the word is set
        self._home = self._home and status.state is State.IDLE
        if status.changed and status.state is State.MATCHING:
            self.agent.reset()  # whatever it had in mind belongs to before
        self._send(now, status)
        self._report(now, status, switches.episode)
        if self._balance is not None and missing is None:  # where the session ends, its pedals go first
            self._report_pedals(now, switches.gone)
        index = self.freshness.names.index(stale.stream) if stale else -1
        self._ticks += 1
        if status.changed or self._ticks % PUBLISH_EVERY == 0:
            self._publish(now, status, mismatch, index, switches.enable, overruns, 0 if due is None else now - due)
        self.status = status
        return status

    def _intend(self, now: int) -> dict[str, Command]:
        """What the agent wants; an agent that fails intends nothing, and the operator is told once."""
        try:
            wanted = {c.target: c for c in self.agent.act(self._readers, now)}
            self._told_fault = ""
        except TelerigError as error:
            wanted = {}
            if str(error) != self._told_fault:
                self._told_fault = str(error)
                self._emit(Event(now, Level.WARNING, "loop", "agent.fault", str(error)))
        for command in wanted.values():
            self._write(commands.to_sample(command, f"{command.target}/intended"))
        return wanted

    def _measured(self) -> dict[str, NDArray[np.float64] | None]:
        found: dict[str, NDArray[np.float64] | None] = {}
        for target in self.targets:
            sample = None if target.state is None else self._readers[target.state[0]].latest()
            found[target.name] = None if sample is None or target.state is None else sample.array(target.state[1])
        return found

    def _tripped(self) -> str | None:
        """The target for which the watchdog half acted on its own."""
        for target in self.targets:
            applied = self._readers[f"{target.name}/applied"].latest()
            if applied is not None and int(applied.array("command_seq")) < 0:
                return target.name
        return None

    def _send(self, now: int, status: Status) -> None:
        shaped = self.shaper.move(now, status.state)
        if not self._options.dry_run:
            for command in shaped:
                self._write(commands.to_sample(command, f"{command.target}/sent"))
        for event in self.shaper.drain():
            self._emit(event)

    def _report(self, now: int, status: Status, episode: EpisodeCommand | None) -> None:
        if (event := state_event(status, now, "loop")) is not None:
            self._emit(event)
        if episode is not None:
            self._write(episode_sample("loop", episode, now))

    def _report_pedals(self, now: int, gone: bool) -> None:
        """Of a robot on its own feet: no e-stop tells the operator that the stop switch does nothing any more."""
        if gone and not self._told_gone:
            text = "the pedal box is gone, its stop switch with it: enable is released; the e-stop (x) is a fall"
            self._emit(Event(now, Level.ERROR, "loop", "pedals.gone", text))
        self._told_gone = gone

    def _publish(
        self, now: int, status: Status, mismatch: float, stale: int, enable: bool, overruns: int, late: int
    ) -> None:
        newest = self._readers["recorder/state"].latest()
        recorder = RecorderState() if newest is None else RecorderState.from_sample(newest)
        self.recording = recorder.recording
        state = SessionState(
            status.state, status.previous, status.reason, status.since, mismatch, status.matched, stale, enable,
            recorder.recording, recorder.episode, recorder.kept, recorder.discarded, overruns, late,
        )  # fmt: skip
        self._write(session_state.to_sample(state, now))


def _arrival(sample: Sample | None) -> int | None:
    return None if sample is None else sample.t_arrival


def tick_sample(due: int, started: int, ended: int, overruns: int) -> Sample:
    """One tick's instants as a sample of ``loop/ticks``: what every figure on rate and jitter is made from."""
    values = {"due": due, "started": started, "ended": ended, "overruns": overruns}
    return Sample(TICKS.name, started, due, {k: np.array(v, np.int64) for k, v in values.items()})
