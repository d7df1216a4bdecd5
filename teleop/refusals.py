"""What is wrong with a command, in words; and how often it is said.  Both halves of the guard use this."""

from __future__ import annotations

from typing import Any

import numpy as np

from telerig.hardware.commands import Command, Mode, TargetSpec
from telerig.hardware.events import Event, Level

FUTURE_NS = 10_000_000  # a reader's `now` may be a little older than a command that arrived meanwhile
MAX_TTL_NS = 1_000_000_000
REPEAT_NS = 1_000_000_000

Objection = tuple[str, str]  # code, text


def objection(spec: TargetSpec, command: Any, now: int, modes: tuple[Mode, ...] = ()) -> Objection | None:
    """Why a command may not be carried out, or None.

    :param modes: allowed beside the target's own (the watchdog half takes HOLD and DAMP).  Never raises.
    """
    if not isinstance(command, Command):
        return "type", f"a {type(command).__name__} is not a command"
    if not all(isinstance(x, int) for x in (command.seq, command.t_issued, command.ttl_ns)):
        return "type", "a command whose seq, instant or ttl is no integer"
    if command.target != spec.name:
        return "target", f"a command for {command.target}"
    if command.mode != spec.mode and command.mode not in modes:
        return "mode", f"mode {command.mode!r}; {spec.mode.name} is right"
    if not 0 < command.ttl_ns <= MAX_TTL_NS:
        return "ttl", f"ttl of {command.ttl_ns} ns; above 0 and at most 1 s is right"
    if command.t_issued > now + FUTURE_NS:
        return "future", f"issued {(command.t_issued - now) / 1e6:.1f} ms in the future"
    if now > command.t_issued + command.ttl_ns:
        return "expired", f"issued {(now - command.t_issued) / 1e6:.1f} ms ago, ttl {command.ttl_ns / 1e6:.0f} ms"
    return _data_objection(spec, command) if command.mode == spec.mode else None


def _data_objection(spec: TargetSpec, command: Command) -> Objection | None:
    try:
        data = np.asarray(command.data, np.float64)
    except (TypeError, ValueError):
        return "data", "data that are not numbers"
    if data.shape != (spec.size,):
        return "size", f"data of shape {data.shape}; ({spec.size},) is right"
    finite = np.isfinite(data)
    if not finite.all():
        bad = [n for n, ok in zip(spec.names, finite, strict=True) if not ok]
        return "not_finite", f"{', '.join(bad[:4])}{' …' if len(bad) > 4 else ''} not finite"
    return None


class RefusalLog:
    """Turns refusals into events: at once when new, then once a second with a count, so that a storm drowns nothing."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.events: list[Event] = []
        self._last: dict[
            tuple[str, str], tuple[int, int]
        ] = {}  # (target, code) -> instant of the event, refusals since

    def refuse(self, now: int, target: str, code: str, text: str) -> None:
        """Note one refusal."""
        said, count = self._last.get((target, code), (None, 0))
        if said is not None and now - said < REPEAT_NS:
            self._last[target, code] = (said, count + 1)
            return
        self._last[target, code] = (now, 0)
        more = f" ({count} more since the last such event)" if count else ""
        data = {"target": target, "more": count}
        line = f"{target}: refused {text}{more}"
        self.events.append(Event(now, Level.WARNING, self.source, f"guard.refused.{code}", line, data))

    def note(self, now: int, level: Level, code: str, text: str, target: str) -> None:
        """Report something that is not a refusal, always."""
        self.events.append(Event(now, level, self.source, code, f"{target}: {text}", {"target": target}))

    def drain(self) -> list[Event]:
        """All events since the last call."""
        out, self.events = self.events, []
        return out
