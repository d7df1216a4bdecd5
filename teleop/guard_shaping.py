"""The guard's shaping half: what an agent intends, made into what the robot is sent.  Runs in the loop, pure.

Each tick the loop calls :meth:`Shaper.judge` (is the agent alive, is what it wants acceptable, how far is the robot
from it), then the state machine, then :meth:`Shaper.move` with the new state.  Per state:

======== ========================================================= ===================================================
state    joints                                                    base (vx, vy, yaw rate, height)
======== ========================================================= ===================================================
IDLE     HOLD                                                      velocities to 0, height kept
HOMING   from the measured pose to ``home``, at most 0.3 rad/s     velocities to 0, height kept
MATCHING from the measured pose to the intended, at most 0.3 rad/s velocities to 0, height to the intended, ≤ 0.1 m/s
ENGAGED  to the intended pose, within the target's limits          to the intended, within the target's limits
HOLD     HOLD                                                      velocities to 0, height kept
DAMPED   DAMP                                                      velocities to 0, height kept (legs that damp, fall)
ESTOP    HOLD; DAMP 0.9 s after the last motion (or at once)       velocities 0 at once; DAMP after the same time
======== ========================================================= ===================================================

For a base, the target's ``velocity`` and ``acceleration`` are the first and second derivative of the element: m/s² and
m/s³ for vx.  Refused, with an event: NaN, infinite, wrong size, wrong mode, expired, from the future, and a joint that
jumps further than :data:`JUMP_RAD` (plus what it could travel since its oldest input) between two commands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import DEFAULT_TTL_NS, Command, Mode, Source, TargetSpec
from telerig.hardware.errors import ConfigError
from telerig.hardware.events import Event
from telerig.teleop.profile import Vector, advance, goal_velocity
from telerig.teleop.refusals import RefusalLog, objection
from telerig.teleop.states import HOLD_TIME_NS, State

SLOW = 0.3  # rad/s, while homing and matching
SLOW_HEIGHT = 0.1  # m/s
JUMP_RAD = 0.8  # what GELLO takes for its start gate: no wearer moves that far between two samples
JUMP_CATCH_UP_S = 0.25
PRESSING_RAD = 0.8  # a finger may be this far from where it was sent (it squeezes an object) and still count as matched
BASE_SIZE = 4
Measured = Mapping[str, NDArray[np.float64] | None]
_MOVING = (State.HOMING, State.MATCHING, State.ENGAGED)
_STEERED = (State.MATCHING, State.ENGAGED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What :meth:`Shaper.judge` found; the fields go into the state machine's inputs of the same names.

    ``mismatch``: rad, largest over all driven targets; inf while any of them is unknown.
    """

    refused: str | None
    silent: str | None
    mismatch: float


@dataclass(frozen=True, slots=True)
class Shaped:
    """What one :meth:`Shaper.step` produced."""

    commands: tuple[Command, ...]
    events: tuple[Event, ...]


class Shaper:
    """Limits of all targets in one vector; ``n`` below is the sum of their sizes.

    :param driven: names of the targets the agent commands; the others hold.  Default: all.
    :param speed: scales the velocity limits, 0…1.
    :ivar calm: scales the joints' velocity limits, 0…1, tick by tick, while a robot on its own feet is off balance.
    :raises ConfigError: a target that cannot be guarded, or limits that are not.
    """

    def __init__(
        self, targets: Sequence[TargetSpec], rate_hz: float, *, driven: Sequence[str] | None = None, speed: float = 1.0,
        source: str = "guard",
    ) -> None:  # fmt: skip
        self.targets = tuple(targets)
        self.driven = tuple(t.name for t in targets) if driven is None else tuple(driven)
        _check(self.targets, self.driven, speed)
        self._dt = 1.0 / rate_hz
        self.calm = 1.0
        self._log = RefusalLog(source)
        ends = np.cumsum([0, *(t.size for t in targets)])
        self._slices = {t.name: slice(int(a), int(b)) for t, a, b in zip(targets, ends[:-1], ends[1:], strict=True)}
        cat = {k: np.array([x for t in targets for x in getattr(t, k)], float) for k in ("low", "high", "home")}
        self._low, self._high, self._home = cat["low"], cat["high"], cat["home"]
        self._v_max = np.array([x for t in targets for x in t.velocity]) * speed
        self._a_max = np.array([x for t in targets for x in t.acceleration])
        self._base = np.array([t.mode is Mode.BASE_VELOCITY_HEIGHT for t in targets for _ in t.names])
        self._rate = np.array([t.mode is Mode.BASE_VELOCITY_HEIGHT and i < 3 for t in targets for i in range(t.size)])
        self._grips = np.array([name in t.gripping for t in targets for name in t.names])
        self._steered = np.array([t.name in self.driven for t in targets for _ in t.names])
        self._velocity = {t.name: np.array(t.velocity) for t in targets}
        self._v_slow = np.minimum(self._v_max, np.where(self._base, SLOW_HEIGHT, SLOW))
        self._v_slow[self._rate] = self._v_max[self._rate]  # a base that comes to rest does so at its own limit
        self._reset()

    def _reset(self) -> None:
        n = self._home.size
        self._p, self._v = np.clip(self._home, self._low, self._high), np.zeros(n)
        self._goal, self._goals = self._p.copy(), (self._p, self._p, self._p)
        self._measured = np.full(n, np.nan)
        self._live = {t.name: False for t in self.targets}  # a trajectory runs
        self._newest: dict[str, Command] = {}
        self._seq = {t.name: 0 for t in self.targets}
        self._state = State.IDLE
        self._moved = -(2**62)  # the last tick in a moving state

    @property
    def homed(self) -> bool:
        """HOMING, and every joint's trajectory has arrived."""
        arrived = np.abs(self._p - self._home)[~self._base] < 1e-6
        live = all(self._live[t.name] for t in self.targets if t.mode is Mode.JOINT_POSITION)
        return self._state is State.HOMING and live and bool(arrived.all())

    def step(self, now: int, state: State, intended: Mapping[str, Command], measured: Measured) -> Shaped:
        """:meth:`judge` and :meth:`move` in one, for callers without a state machine between them."""
        self.judge(now, intended, measured)
        return Shaped(tuple(self.move(now, state)), tuple(self.drain()))

    def drain(self) -> list[Event]:
        """Events since the last call."""
        return self._log.drain()

    def judge(self, now: int, intended: Mapping[str, Command], measured: Measured) -> Verdict:
        """Take in one tick's commands and measurements; nothing moves yet.

        :param measured: by target, ``(size,)`` in its order and unit; None or NaN where unknown.
        """
        refused = None
        for spec in self.targets:
            command = intended.get(spec.name)
            problem = None if command is None else self._refuse(now, spec, command)
            refused = refused or problem
            self._measured[self._slices[spec.name]] = self._measurement(spec, measured.get(spec.name))
        for name in intended.keys() - self._slices.keys():
            refused = refused or f"{name}: no such target"
            self._log.refuse(now, name, "target", "a command for a target that does not exist")
        silent = next((name for name in self.driven if not self._living(now, name)), None)
        return Verdict(refused, silent, math.inf if silent or not self.driven else self._mismatch())

    def mismatch(self, target: str) -> float:
        """Largest distance in one target between intended and robot, rad; NaN where unknown."""
        return float(np.max(self._distance()[self._slices[target]]))

    def move(self, now: int, state: State) -> list[Command]:
        """One tick of every target's trajectory; one command a target, always."""
        self._state = state
        if state not in _MOVING:
            self._live = dict.fromkeys(self._live, False)
        else:
            self._moved = now
            if not all(self._live.values()):
                self._start(now, state)
        goal = self._aim(now, state)
        self._goals = (goal, self._goals[0], self._goals[1])
        v_max = self._v_max if state is State.ENGAGED else self._v_slow
        if self.calm < 1.0:
            v_max = np.where(self._base, v_max, v_max * self.calm)
        limits = (self._low, self._high, v_max, self._a_max)
        drift = goal_velocity(self._goals, self._dt)
        self._p, self._v = advance(self._p, self._v, goal, drift, limits, self._dt)
        if state is State.ESTOP:
            self._p[self._rate] = 0.0
            self._v[:] = 0.0
        return [self._command(now, state, spec) for spec in self.targets]

    def _start(self, now: int, state: State) -> None:
        """Begin trajectories at the measured pose, at rest; an unmeasured target stays on HOLD, tries again."""
        for spec in self.targets:
            if self._live[spec.name]:
                continue
            part = self._slices[spec.name]
            if spec.mode is Mode.JOINT_POSITION:
                if not np.isfinite(self._measured[part]).all():
                    self._log.refuse(now, spec.name, "unmeasured", f"{state.name}: its position is not measured")
                    continue
                self._p[part] = np.clip(self._measured[part], self._low[part], self._high[part])
                self._v[part] = 0.0
            self._live[spec.name] = True
        self._goals = (self._p, self._p, self._p)

    def _aim(self, now: int, state: State) -> Vector:
        """Where every element goes, (n,): where it is, if nothing else moves it; a base's velocities go to 0."""
        goal: Vector = np.where(self._rate, 0.0, self._p)
        for spec in self.targets:
            if not self._live[spec.name]:
                continue
            part = self._slices[spec.name]
            if state in _STEERED and spec.name in self.driven and self._living(now, spec.name):
                goal[part] = self._goal[part]
            elif state is State.HOMING and spec.mode is Mode.JOINT_POSITION:
                goal[part] = self._home[part]
        if state is not State.ENGAGED:
            goal[self._rate] = 0.0
        return goal

    def _command(self, now: int, state: State, spec: TargetSpec) -> Command:
        part = self._slices[spec.name]
        base = spec.mode is Mode.BASE_VELOCITY_HEIGHT
        mode = Mode.HOLD
        estop_over = state is State.ESTOP and now - self._moved >= HOLD_TIME_NS
        if estop_over or (state is State.DAMPED and not base):
            mode = Mode.DAMP
        elif base or self._live[spec.name]:
            mode = spec.mode
        agent = self._newest.get(spec.name)
        steered = agent is not None and mode is spec.mode and state in _STEERED and self._living(now, spec.name)
        self._seq[spec.name] += 1
        data = self._p[part].copy()
        if mode is not spec.mode:  # ignored by the robot, but recorded: where it is, as far as that is known
            seen = self._measured[part]
            data = np.minimum(np.maximum(np.where(np.isfinite(seen), seen, data), self._low[part]), self._high[part])
        if agent is None or not steered:
            return Command(self._seq[spec.name], spec.name, mode, data, Source.GUARD, now, (now, now))
        ttl = min(agent.ttl_ns, DEFAULT_TTL_NS)
        return Command(self._seq[spec.name], spec.name, mode, data, agent.source, now, agent.t_inputs, ttl)

    def _refuse(self, now: int, spec: TargetSpec, command: Command) -> str | None:
        """Accept a command as the target's goal, or say why not."""
        found = objection(spec, command, now)
        if found is None and spec.name not in self.driven:
            found = ("undriven", "a command for a target this agent does not drive")
        if found is None:
            found = self._jump(spec, command)
        if found is not None:
            self._log.refuse(now, spec.name, *found)
            return f"{spec.name}: {found[1]}"
        part = self._slices[spec.name]
        self._goal[part] = np.minimum(np.maximum(command.data, self._low[part]), self._high[part])
        self._newest[spec.name] = command
        return None

    def _jump(self, spec: TargetSpec, command: Command) -> tuple[str, str] | None:
        last = self._newest.get(spec.name)
        if last is None or spec.mode is not Mode.JOINT_POSITION or self._state not in _STEERED:
            return None
        if self._state is State.MATCHING and command.t_issued > last.t_issued + last.ttl_ns:
            return None  # the agent was silent meanwhile; matching makes good for it
        elapsed = min(max(command.t_inputs[0] - last.t_inputs[0], 0) / 1e9, JUMP_CATCH_UP_S)
        jump = np.abs(np.asarray(command.data) - last.data)
        excess = jump - JUMP_RAD - self._velocity[spec.name] * elapsed
        worst = int(np.argmax(excess))
        if excess[worst] <= 0.0:
            return None
        return "jump", f"{spec.names[worst]} jumping {jump[worst]:.2f} rad between two commands"

    def _living(self, now: int, name: str) -> bool:
        newest = self._newest.get(name)
        return newest is not None and now <= newest.t_issued + newest.ttl_ns

    def _measurement(self, spec: TargetSpec, value: NDArray[np.float64] | None) -> Vector | float:
        if spec.mode is not Mode.JOINT_POSITION:
            sent: Vector = self._p[self._slices[spec.name]]  # a base is where it was sent: nothing measures it
            return sent
        if value is None or np.shape(value) != (spec.size,):
            return math.nan
        return np.asarray(value, float)

    def _distance(self) -> Vector:
        """(n,) between intended and robot.

        A finger kept from its goal by an object counts from where it was sent, if it is near that.  No other joint does:
        an arm that does not follow is never matched.
        """
        seen: Vector = np.abs(self._goal - self._measured)
        sent = np.abs(self._goal - self._p)
        if self._state is State.MATCHING:
            near = self._grips & (np.abs(self._p - self._measured) <= PRESSING_RAD)
            seen = np.where(near, np.minimum(seen, sent), seen)
        return seen

    def _mismatch(self) -> float:
        worst = float(self._distance()[self._steered].max())
        return worst if math.isfinite(worst) else math.inf


def _check(targets: Sequence[TargetSpec], driven: Sequence[str], speed: float) -> None:
    names = [t.name for t in targets]
    if not 0.0 < speed <= 1.0:
        raise ConfigError(f"speed is {speed}; above 0 and at most 1 is right")
    for name in set(driven) - set(names):
        raise ConfigError(f"the agent drives {name}, which no actuator offers ({', '.join(names)})")
    for t in targets:
        if t.mode not in (Mode.JOINT_POSITION, Mode.BASE_VELOCITY_HEIGHT):
            raise ConfigError(f"{t.name}: takes {t.mode.name}; the guard knows JOINT_POSITION and BASE_VELOCITY_HEIGHT")
        if t.mode is Mode.BASE_VELOCITY_HEIGHT and t.size != BASE_SIZE:
            raise ConfigError(f"{t.name}: a base has vx, vy, yaw rate and height, not {t.size} elements")
        for joint, *limits in zip(t.names, t.low, t.high, t.velocity, t.acceleration, strict=True):
            low, high, velocity, acceleration = limits
            if not (low <= high and velocity > 0.0 and acceleration > 0.0 and np.isfinite(limits).all()):
                raise ConfigError(
                    f"{t.name}: limits of {joint} are {limits}; low ≤ high, velocity > 0, acceleration > 0"
                )
