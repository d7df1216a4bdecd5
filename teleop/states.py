"""The operator's states: one table, read from top to bottom, first row that applies wins.

======== ============================================== ============================================================
state    the robot                                      leaves by
======== ============================================== ============================================================
IDLE     holds where it is                              a press of *enable* (MATCHING), a request to go home (HOMING)
HOMING   slews to its home pose, ≤ 0.3 rad/s         arrived (IDLE), a press of *enable* (MATCHING)
MATCHING slews to the operator's pose, ≤ 0.3 rad/s   every joint within 0.15 rad for 0.3 s (ENGAGED)
ENGAGED  follows the agent within its limits            released, stale, refused, silent, tripped, late (HOLD)
HOLD     holds where it is                              0.9 s (DAMPED), a new press of *enable* (MATCHING)
DAMPED   limp, damped                                   a new press of *enable* (MATCHING)
ESTOP    holds, damped 0.9 s after its last motion      a reset asked for with *stop* closed, *enable* released (IDLE)
======== ============================================== ============================================================

HOMING is an addition to the design's list: the robot goes home when a session starts, nobody steers it, and it stops
for the same causes as everything else.  A *press* is an edge: an enable switch that is already closed when the session
starts, or that was held through a HOLD, has to be released first; a press that cannot be granted (a stream is stale)
is told to the operator and lost.  So nothing that returns by itself, a stream or a stalled loop, can start a motion.

Pure: no clock, no I/O; ``now`` is an instant in ns.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

from telerig.hardware.events import Event, Level

MATCH_TOLERANCE_RAD = 0.15
MATCH_TIME_NS = 300_000_000
HOLD_TIME_NS = 900_000_000  # with the time in which a stop is noticed: damped a second after its cause
LATE_NS = 100_000_000  # a loop that did not tick for a command's ttl has lost its robot to the watchdog


class State(enum.IntEnum):
    """What the session is doing with the robot."""

    IDLE = 0
    HOMING = 1
    MATCHING = 2
    ENGAGED = 3
    HOLD = 4
    DAMPED = 5
    ESTOP = 6


class Reason(enum.IntEnum):
    """Why the state is what it is; codes are recorded, so they never change meaning."""

    START = 0
    STOP_SWITCH = 1
    ESTOP_WORD = 2
    RESET = 3
    LATE = 4
    RELEASED = 5
    STALE = 6
    REFUSED = 7
    TRIPPED = 8
    SILENT = 9
    MATCHED = 10
    HOMED = 11
    PRESSED = 12
    HOME = 13
    HELD = 14


TEXT = {
    Reason.START: "session started",
    Reason.STOP_SWITCH: "the stop switch is open or unplugged",
    Reason.ESTOP_WORD: "e-stop was set",
    Reason.RESET: "e-stop was reset",
    Reason.LATE: "the loop stood still for more than 100 ms",
    Reason.RELEASED: "enable was released",
    Reason.STALE: "a required stream is stale",
    Reason.REFUSED: "the guard refused a command",
    Reason.TRIPPED: "the robot's watchdog tripped",
    Reason.SILENT: "the agent sends no commands",
    Reason.MATCHED: "operator and robot are in the same pose",
    Reason.HOMED: "the robot is at home",
    Reason.PRESSED: "enable was pressed",
    Reason.HOME: "going home",
    Reason.HELD: "held for 0.9 s",
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the loop knows in one tick.  Texts are None where all is well, else they name what is not.

    :param enable: the enable switch is held.
    :param stop: the stop switch is open, or its box is gone (of a robot that falls when it is stopped: open only).
    :param estop: the e-stop word in shared memory.
    :param stale: the required stream that is stale.
    :param refused: what the guard's shaping half refused.
    :param tripped: the target whose watchdog half acted on its own.
    :param silent: the target for which there is no living command.
    :param mismatch: rad, largest distance between operator and robot; inf or NaN where unknown.
    :param home: somebody asks for the home pose;  ``homed``: it is reached.
    :param reset: an explicit reset of the e-stop is asked for.  Whoever calls clears the e-stop word when that has left
        ESTOP, and not before.
    :param again: the e-stop was pressed again after the reset was asked for.
    :param unheard: the pedal box is silent, so nobody knows whether the stop switch is closed.
    """

    enable: bool = False
    stop: bool = False
    estop: bool = False
    stale: str | None = None
    refused: str | None = None
    tripped: str | None = None
    silent: str | None = None
    mismatch: float = math.inf
    home: bool = False
    homed: bool = False
    reset: bool = False
    again: bool = False
    unheard: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """Where the machine stands after a tick.

    :param since: the instant the state was entered, ns.
    :param detail: what the reason is about (a stream, a target), or "".
    :param matched: how much of the matching time has passed, 0…1.
    :param ignored: why a press or reset in this very tick was not granted, or "".
    """

    state: State
    previous: State
    reason: Reason
    since: int
    detail: str = ""
    matched: float = 0.0
    changed: bool = False
    ignored: str = ""

    @property
    def text(self) -> str:
        """One line for the operator."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.state.name}: {TEXT[self.reason]}{detail}"


@dataclass(frozen=True, slots=True)
class _Facts:
    """Inputs of one tick and what follows from them."""

    i: Inputs
    pressed: bool
    matched: bool
    late: bool
    waited: int  # ns in this state


def _unsafe(i: Inputs) -> str:
    """Why an e-stop may not be reset now, or ""."""
    if i.stop:
        return "the stop switch is open"
    if i.unheard:
        return "the pedal box is silent, so the stop switch may be open"
    if i.enable:
        return "enable is held"
    return "the e-stop was pressed again" if i.again else ""


_Rule = tuple[frozenset[State], Callable[[_Facts], bool], State, Reason]
_ALIVE = frozenset(State) - {State.ESTOP}
_STEERED = frozenset({State.MATCHING, State.ENGAGED})
_MOVING = _STEERED | {State.HOMING}
_ONLY = {s: frozenset({s}) for s in State}

TABLE: tuple[_Rule, ...] = (
    (_ALIVE, lambda f: f.i.stop, State.ESTOP, Reason.STOP_SWITCH),
    (_ALIVE, lambda f: f.i.estop, State.ESTOP, Reason.ESTOP_WORD),
    (_ONLY[State.ESTOP], lambda f: f.i.reset and not _unsafe(f.i), State.IDLE, Reason.RESET),
    (_MOVING, lambda f: f.late, State.HOLD, Reason.LATE),
    (_STEERED, lambda f: not f.i.enable, State.HOLD, Reason.RELEASED),
    (_MOVING, lambda f: f.i.stale is not None, State.HOLD, Reason.STALE),
    (_STEERED, lambda f: f.i.refused is not None, State.HOLD, Reason.REFUSED),
    (_MOVING, lambda f: f.i.tripped is not None, State.HOLD, Reason.TRIPPED),
    (_ONLY[State.ENGAGED], lambda f: f.i.silent is not None, State.HOLD, Reason.SILENT),
    (_ONLY[State.MATCHING], lambda f: f.matched, State.ENGAGED, Reason.MATCHED),
    (_ALIVE - _STEERED, lambda f: f.pressed and f.i.stale is None, State.MATCHING, Reason.PRESSED),
    (_ONLY[State.HOMING], lambda f: f.i.homed, State.IDLE, Reason.HOMED),
    (_ONLY[State.IDLE], lambda f: f.i.home and f.i.stale is None, State.HOMING, Reason.HOME),
    (_ONLY[State.HOLD], lambda f: f.waited >= HOLD_TIME_NS, State.DAMPED, Reason.HELD),
)


class Machine:
    """Runs :data:`TABLE`.  One per session; the loop calls :meth:`step` once a tick."""

    def __init__(self, now: int) -> None:
        self.status = Status(State.IDLE, State.IDLE, Reason.START, now)
        self._last = now
        self._enable = True  # so that a switch that is already closed is not a press
        self._matched_since: int | None = None

    @property
    def state(self) -> State:
        """The present state."""
        return self.status.state

    def step(self, now: int, inputs: Inputs) -> Status:
        """One tick: at most one transition."""
        old = self.status
        pressed = inputs.enable and not self._enable
        late = now - self._last > LATE_NS
        self._enable, self._last = inputs.enable, now
        fraction = self._match(now, inputs)
        facts = _Facts(inputs, pressed, fraction >= 1.0, late, now - old.since)
        for states, applies, target, reason in TABLE:
            if old.state in states and applies(facts):
                self._matched_since = None
                self.status = Status(target, old.state, reason, now, _detail(reason, inputs), 0.0, True)
                return self.status
        ignored = _ignored(old.state, facts)
        self.status = Status(old.state, old.previous, old.reason, old.since, old.detail, fraction, False, ignored)
        return self.status

    def _match(self, now: int, inputs: Inputs) -> float:
        """The fraction of the matching time for which all joints have been near, without a break."""
        if self.status.state is not State.MATCHING or not inputs.mismatch <= MATCH_TOLERANCE_RAD:  # NaN is far away
            self._matched_since = None
            return 0.0
        if self._matched_since is None:
            self._matched_since = now
        return min(1.0, (now - self._matched_since) / MATCH_TIME_NS)


def _detail(reason: Reason, inputs: Inputs) -> str:
    about = {
        Reason.STALE: inputs.stale,
        Reason.REFUSED: inputs.refused,
        Reason.TRIPPED: inputs.tripped,
        Reason.SILENT: inputs.silent,
    }
    return about.get(reason) or ""


def _ignored(state: State, facts: _Facts) -> str:
    if facts.pressed and state is State.ESTOP:
        return "enable is ignored: e-stop is latched; reset it first"
    if facts.pressed and facts.i.stale is not None:
        return f"enable is ignored, stale: {facts.i.stale}; press again when it is back"
    if facts.i.reset and state is State.ESTOP:
        return f"reset is ignored: {_unsafe(facts.i)}"
    return ""


def state_event(status: Status, now: int, source: str = "session") -> Event | None:
    """The event a tick is worth: a change of state, a press or reset that was not granted, or nothing."""
    if status.changed:
        loud = status.state in (State.HOLD, State.DAMPED, State.ESTOP) and status.reason is not Reason.RELEASED
        level = Level.ERROR if status.state is State.ESTOP else Level.WARNING if loud else Level.INFO
        data = {"state": status.state.name, "previous": status.previous.name, "reason": status.reason.name}
        return Event(now, level, source, f"state.{status.state.name.lower()}", status.text, data)
    if status.ignored:
        return Event(now, Level.WARNING, source, "state.ignored", status.ignored, {"state": status.state.name})
    return None
