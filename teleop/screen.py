"""The operator's screen in the terminal: state, streams with age and rate, mismatch while matching, time, episodes.

Drawn from the session's streams alone, a few times a second; rings the bell on every change of state.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from telerig.hardware import events
from telerig.hardware.events import Event, Level
from telerig.teleop import session_state
from telerig.teleop.body_rig import BodyRig
from telerig.teleop.episodes import RecorderState
from telerig.teleop.screen_body import body_line
from telerig.teleop.session import Session
from telerig.teleop.session_state import SessionState
from telerig.teleop.states import TEXT, State

COLOURS = {
    State.IDLE: "white on blue", State.HOMING: "black on cyan", State.MATCHING: "black on yellow",
    State.ENGAGED: "white on green", State.HOLD: "black on bright_yellow", State.DAMPED: "white on magenta",
    State.ESTOP: "bold white on red",
}  # fmt: skip
ADVICE = {
    State.IDLE: "press and hold enable",
    State.HOMING: "the robot goes to its home pose",
    State.MATCHING: "keep enable held and take the robot's pose",
    State.ENGAGED: "you drive the robot; release enable to stop",
    State.HOLD: "release and press enable to go on",
    State.DAMPED: "release and press enable to go on",
    State.ESTOP: "make safe, close the stop switch, release enable, then press r",
}
HIDDEN = ("/events", "/controls", "/intended", "/episode", "loop/ticks", "session/", "recorder/")


class Rates:
    """Rates over the last two seconds, from the streams' own counts."""

    def __init__(self) -> None:
        self._history: dict[str, deque[tuple[int, int]]] = {}

    def rate(self, name: str, written: int, now: int) -> float:
        """Samples a second."""
        history = self._history.setdefault(name, deque(maxlen=12))
        history.append((now, written))
        (t0, n0), (t1, n1) = history[0], history[-1]
        return (n1 - n0) / ((t1 - t0) / 1e9) if t1 > t0 else 0.0


class Screen:
    """Collects what happened and renders it.  :meth:`bell` says whether to ring."""

    def __init__(
        self,
        session: Session,
        rig_name: str,
        keyboard: bool,
        recording_to: str,
        drive: str = "",
        body: BodyRig | None = None,
    ) -> None:
        self._session, self._rig, self._keyboard, self._folder = session, rig_name, keyboard, recording_to
        self._body = body  # of a robot on its own feet
        self._drive = f"{drive}\n" if drive else ""  # what the keyboard does as pedals
        self._shown = [n for n in session.memories if not any(n.endswith(h) or n.startswith(h) for h in HIDDEN)]
        self._taps = {n: session.reader(n).tap(0) for n in session.memories if n.endswith("/events")}
        self._rates = Rates()
        self._events: deque[Event] = deque(maxlen=7)
        self._last_state: State | None = None
        self._ring = False
        self._table: Segments | None = None
        self._started = session.clock.now()
        self.wrong = ""  # the device that is not the one the rig file says, once one was found at the start

    def collect(self) -> list[Event]:
        """Take in new events; returns them."""
        new: list[Event] = []
        for tap in self._taps.values():
            new += [events.from_sample(s) for s in tap.read()[0]]
        new.sort(key=lambda e: e.t)
        self._events.extend(new)
        self._ring = self._ring or any(e.level is not Level.INFO for e in new)
        for event in new:
            if event.code == "device.wrong" and event.data.get("at_start"):
                self.wrong = self.wrong or event.text
        return new

    def changed(self) -> bool:
        """Take in what is new; whether it is something that must be on the screen at once: an event, another state."""
        before = self._last_state
        return bool(self.collect()) or self.state().state is not before

    def bell(self) -> bool:
        """Whether something changed that the operator must hear; once."""
        ring, self._ring = self._ring, False
        return ring

    def state(self) -> SessionState:
        """The loop's newest state."""
        sample = self._session.reader("session/state").latest()
        state = SessionState() if sample is None else session_state.from_sample(sample)
        if self._last_state is not None and state.state is not self._last_state:
            self._ring = True
        self._last_state = state.state
        return state

    def render(self, console: Console, at_once: bool = False) -> Group:
        """Everything, for :class:`rich.live.Live`.

        :param at_once: the streams' table as it was drawn last.  Laying it out takes most of the time, and what
            happened to the robot must not wait for it.
        """
        self.collect()
        state = self.state()
        now = self._session.clock.now()
        if self._table is None or not at_once:
            self._table = Segments(list(console.render(self._streams(now))))
        keys = self._drive + ("space enable  " if self._keyboard else "")
        keys += "n start  k keep  d discard  s success  f failure  x e-stop  r reset  q quit"
        # a short terminal cuts off what is lowest
        return Group(self._headline(state, now), Text(keys, style="dim"), self._log(), self._table)

    def _headline(self, state: SessionState, now: int) -> Panel:
        lines = Text()
        lines.append(f" {state.state.name} ", COLOURS[state.state])
        lines.append(f"  {TEXT[state.reason]}: {ADVICE[state.state]}\n")
        if state.state is State.MATCHING and math.isfinite(state.mismatch):
            bar = "█" * max(0, 20 - int(state.mismatch * 20))
            lines.append(
                f"  mismatch {state.mismatch:5.2f} rad (0.15 will do) {bar:<20} {state.matched:4.0%}\n", "yellow"
            )
        late = "" if state.overruns == 0 else f"   {state.overruns} periods skipped"
        lines.append(f"  {(now - self._started) / 1e9:6.1f} s   loop {state.period_error / 1e6:5.2f} ms late{late}\n")
        if self._body is not None:
            newest = self._session.reader(f"{self._body.device}/balance").latest()
            lines.append_text(body_line(newest, self._body.calm)).append("\n")
        lines.append_text(self._recording())
        return Panel(lines, title=f"telerig · {self._rig}", border_style=COLOURS[state.state].split()[-1])

    def _recording(self) -> Text:
        if not self._folder:
            return Text("  not recording (--record FOLDER)", "dim")
        sample = self._session.reader("recorder/state").latest()
        r = RecorderState() if sample is None else RecorderState.from_sample(sample)
        text = Text(f"  {'● REC' if r.recording else '○ idle'}", "bold red" if r.recording else "dim")
        text.append(f"  {r.seconds:5.1f} s   kept {r.kept}   discarded {r.discarded}   {r.bytes / 1e6:.0f} MB   ")
        text.append(f"lost {r.lost}", "red" if r.lost else "green")
        return text

    def _streams(self, now: int) -> Table:
        table = Table(box=None, padding=(0, 1), header_style="dim")
        for column, align in (("stream", "left"), ("rate", "right"), ("of", "right"), ("age", "right"), ("", "left")):
            table.add_column(column, justify=align)  # type: ignore[arg-type]
        for name in self._shown:
            reader = self._session.reader(name)
            newest = reader.latest()
            rate = self._rates.rate(name, reader.written, now)
            nominal = reader.spec.rate_hz
            if newest is None:
                table.add_row(name, "", f"{nominal:.0f}", "", Text("waiting", "yellow"))
                continue
            age_ms = max(0, now - newest.t_arrival) / 1e6  # it may have come since `now`
            stale = age_ms > max(100.0, 4000.0 / nominal)
            mark = Text("STALE", "bold red") if stale else Text("●", "green" if rate > 0.9 * nominal else "yellow")
            table.add_row(name, f"{rate:.0f}", f"{nominal:.0f} Hz", f"{age_ms:.0f} ms", mark)
        return table

    def _log(self) -> Text:
        text = Text()
        styles: Mapping[Level, Any] = {Level.INFO: "dim", Level.WARNING: "yellow", Level.ERROR: "bold red"}
        for event in reversed(self._events):
            when = (event.t - self._started) / 1e9
            text.append(f"{when:7.1f}  {event.source}: {event.text}\n", styles[event.level])
        return text
