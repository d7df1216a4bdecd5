"""The guard's watchdog half: in the actuator's worker, beside the bus, needing nobody.  Pure.

The worker calls :meth:`Watchdog.step` every cycle with the newest command of each target and the e-stop word, and
carries out what comes back.  When the newest accepted command has outlived its ttl the robot holds, 0.9 s later it
damps.  After that, positions are refused until the loop has sent a HOLD or a DAMP (for a base: the guard's own
command), which it does in every state but the moving ones: a loop that was suspended and goes on cannot resume a
motion.  An e-stop is a stop of category 1 (docs/decisions/0009): the robot holds at once and damps 0.9 s after it was
last moved, and it stays so until the word is cleared *and* a command issued after that arrives.

Nothing here raises.  A fault in this module itself becomes a HOLD, then a DAMP, and an event.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import Command, Mode, Source, TargetSpec
from telerig.hardware.events import Event, Level
from telerig.teleop.refusals import RefusalLog, objection

DAMP_AFTER_NS = 900_000_000  # with the ttl: damped a second after the newest command
_LIMP = (Mode.HOLD, Mode.DAMP)


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with one target in this cycle.

    :param mode: what the target does from now on.  With a ``command``: call ``send(command)``; else call ``hold()`` or
        ``damp()`` if ``changed``.
    :param data: ``(size,)``, clamped; zeros for HOLD and DAMP without a command.
    :param command_seq: the command carried out, -1 for what the watchdog does by itself.
    :param clamped: ``data`` differ from what was sent.
    :param changed: the target was in another mode before.
    :param command: for ``Actuator.send``: the command with clamped data; a base that holds is sent zero velocity at its
        present height, because ``hold()`` would stiffen damped arms as well; None for other HOLDs and for DAMP.
    """

    target: str
    mode: Mode
    data: NDArray[np.float64]
    command_seq: int
    clamped: bool = False
    changed: bool = False
    command: Command | None = None


@dataclass(slots=True)
class _Target:
    spec: TargetSpec
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    seq: int = -1
    issued: int = -(2**62)
    seen: tuple[int, int] | None = None  # sequence number and instant of the last command looked at
    expires: int | None = None  # of the newest accepted command; None before the first
    mode: Mode | None = None  # what the robot does now; None: as it was opened
    tripped: bool = False
    estop: bool = False
    height: float = math.nan  # of a base, as last sent
    cleared: int = 0  # when the e-stop word was last seen set


class Watchdog:
    """One per actuator's worker.

    :param source: of the events, the device's name.
    :param armed: False for a robot that was just opened, perhaps again: nobody knows where it is, so that positions are
        refused until the loop has sent HOLD or DAMP, as it does in every state that does not move.
    :param standing: targets that hold for as long as nothing is heard and are damped by an e-stop or a fall only: a base
        on legs, which fall when they are damped.
    """

    def __init__(
        self,
        targets: Sequence[TargetSpec],
        source: str = "watchdog",
        armed: bool = True,
        standing: Collection[str] = (),
    ) -> None:
        self._targets = [_Target(t, np.array(t.low, float), np.array(t.high, float)) for t in targets]
        for target in self._targets:
            target.tripped = not armed
        self._standing = frozenset(standing)
        self._moved = -(2**62)  # when any target was last sent somewhere: hold() and damp() are for the whole device
        self._log = RefusalLog(source)

    def drain(self) -> list[Event]:
        """Events since the last call."""
        return self._log.drain()

    def fell(self) -> None:
        """The robot has fallen: the e-stop that follows damps at once, there is nothing left to hold."""
        self._moved = -(2**62)

    @property
    def tripped(self) -> str | None:
        """The target for which the watchdog acted on its own and has not been answered yet."""
        return next((t.spec.name for t in self._targets if t.tripped), None)

    def step(self, now: int, newest: Mapping[str, Command | None], estop: bool) -> list[Action]:
        """One cycle: at most one action a target, none where nothing is new.

        :param newest: newest command seen, by target; the same one may be given again and again.
        :param estop: the e-stop word.
        """
        actions = []
        for target in self._targets:
            try:
                action = self._one(now, target, newest.get(target.spec.name), estop)
            except Exception as error:  # the last line of defence: whatever it is, the robot must stop
                self._log.refuse(now, target.spec.name, "internal", f"a cycle, the watchdog failed: {error!r}")
                action = self._lapse(now, target, Mode.HOLD if target.mode is not Mode.DAMP else Mode.DAMP)
            if action is not None:
                actions.append(action)
        return actions

    def _one(self, now: int, t: _Target, command: Command | None, estop: bool) -> Action | None:
        if estop:
            t.cleared = now
            return self._brake(now, t)
        accepted = None if command is None else self._accept(now, t, command)
        if accepted is not None:
            return accepted
        if t.estop:  # the word is cleared, but the loop has not answered: the stop takes its course
            return self._brake(now, t)
        if t.expires is None or now <= t.expires:
            return None
        if now - t.expires >= DAMP_AFTER_NS and t.spec.name not in self._standing:
            return self._lapse(now, t, Mode.DAMP)
        return self._lapse(now, t, Mode.HOLD)

    def _brake(self, now: int, t: _Target) -> Action | None:
        """E-stop: HOLD at once, DAMP 0.9 s after the last motion (at once if that is longer ago), once each."""
        mode = Mode.DAMP if t.mode is Mode.DAMP or now - self._moved >= DAMP_AFTER_NS else Mode.HOLD
        if t.estop and t.mode is mode:
            return None
        if not t.estop:
            t.estop = t.tripped = True
            self._log.note(now, Level.ERROR, "guard.estop", "e-stop, holding, then damped", t.spec.name)
        return self._act(now, t, mode)

    def _lapse(self, now: int, t: _Target, mode: Mode) -> Action | None:
        """HOLD or DAMP on the watchdog's own account; once each, and never from DAMP back to HOLD."""
        if t.expires is None:
            t.expires = now
        t.tripped = True
        if t.mode in (mode, Mode.DAMP):
            return None
        why = "no living command, holding" if mode is Mode.HOLD else "no living command for 1 s, damped"
        self._log.note(now, Level.WARNING, f"guard.watchdog.{mode.name.lower()}", why, t.spec.name)
        return self._act(now, t, mode)

    def _accept(self, now: int, t: _Target, command: Command) -> Action | None:
        """Carry out a command that is new and in order; None for one seen before or refused."""
        if isinstance(command, Command):
            key = (command.seq, command.t_issued)
            if key == t.seen:
                return None  # accepted or refused before: neither is done twice
            t.seen = key
        found = objection(t.spec, command, now, _LIMP) or self._order(t, command)
        if found is not None:
            self._log.refuse(now, t.spec.name, *found)
            return None
        t.seq, t.issued, t.expires = command.seq, command.t_issued, command.t_issued + command.ttl_ns
        if t.estop or t.tripped:
            self._log.note(now, Level.INFO, "guard.rearmed", "commands are taken again", t.spec.name)
        t.estop = t.tripped = False
        if command.mode != t.spec.mode:
            return self._act(now, t, Mode(command.mode), command.seq)
        return self._send(now, t, command)

    def _order(self, t: _Target, command: Command) -> tuple[str, str] | None:
        limp = command.mode in _LIMP
        if command.t_issued <= t.issued or (command.seq <= t.seq and not limp):  # a new loop begins with a HOLD
            return "order", f"command {command.seq}, out of order after {t.seq}"
        if t.estop and command.t_issued <= t.cleared:
            return "estop", "a command from before the e-stop was reset"
        if t.tripped and not limp and not _stands(t.spec, command):
            return "tripped", "a motion after the watchdog tripped; HOLD or DAMP has to come first"
        return None

    def _send(self, now: int, t: _Target, command: Command) -> Action:
        raw = np.asarray(command.data, np.float64)
        data = np.clip(raw, t.low, t.high)
        clamped = bool((data != raw).any())
        if clamped:
            worst = int(np.argmax(np.abs(data - raw)))
            text = f"{t.spec.names[worst]} at {raw[worst]:.4f}, clamped to {data[worst]:.4f}"
            self._log.refuse(now, t.spec.name, "clamped", text)
        changed, t.mode = t.mode is not t.spec.mode, t.spec.mode
        if not _stands(t.spec, command):
            self._moved = now
        if t.spec.mode is Mode.BASE_VELOCITY_HEIGHT:
            t.height = float(data[-1])
        out = command._replace(data=data)
        return Action(t.spec.name, t.spec.mode, data, command.seq, clamped, changed, out)

    def _act(self, now: int, t: _Target, mode: Mode, seq: int = -1) -> Action:
        changed, t.mode = t.mode is not mode, mode
        data, command = np.zeros(t.spec.size), None
        if changed and mode is Mode.HOLD and math.isfinite(t.height):
            data[-1] = t.height
            command = Command(seq, t.spec.name, t.spec.mode, data, Source.GUARD, now, (now, now))
        return Action(t.spec.name, mode, data, seq, False, changed, command)


def _stands(spec: TargetSpec, command: Command) -> bool:
    """Whether a command is the guard's own to a base, which takes it to rest and keeps it there."""
    return spec.mode is Mode.BASE_VELOCITY_HEIGHT and command.source == Source.GUARD
