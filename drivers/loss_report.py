"""Losses as events: added up, at most one of a kind a second, nothing twice and nothing never."""

from __future__ import annotations

from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import DeviceContext

REPORT_NS = 1_000_000_000


class LossReport:
    """Adds up what went wrong with one device, and reports it through its context."""

    def __init__(self, context: DeviceContext) -> None:
        self._context = context
        self._told: dict[str, int] = {}
        self._next: dict[str, int] = {}

    def update(self, code: str, total: int, text: str, last: bool = False) -> None:
        """Tell how many are new in ``total`` since the last event of this code; ``last``: tell now or never."""
        new = total - self._told.get(code, 0)
        if new <= 0:
            return
        now = self._context.clock.now()
        if now < self._next.get(code, 0) and not last:
            return
        self._told[code], self._next[code] = total, now + REPORT_NS
        name = self._context.name
        data = {"count": new, "total": total}
        self._context.emit(Event(now, Level.WARNING, name, code, f"{name}: {new} {text}", data))
