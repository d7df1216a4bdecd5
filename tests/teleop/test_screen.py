"""The operator's screen notices at once what the operator must know."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any, cast

from rich.console import Console

from telerig.hardware import events
from telerig.hardware.clock import VirtualClock
from telerig.hardware.events import Event, Level
from telerig.teleop import session_state
from telerig.teleop.screen import Screen
from telerig.teleop.session import Session
from telerig.teleop.session_state import SESSION_STATE, SessionState
from telerig.teleop.states import State
from telerig.teleop.stream import LocalReader, LocalStream


class Streams:
    """As much of a session as a screen reads."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        specs = [SESSION_STATE, events.event_stream("exo")]
        self.memories: dict[str, Any] = {s.name: LocalStream(s) for s in specs}

    def reader(self, name: str) -> LocalReader:
        return LocalReader(self.memories[name])

    def tell(self, state: State) -> None:
        self.memories[SESSION_STATE.name].write(session_state.to_sample(SessionState(state), self.clock.now()))


def test_events_and_states_are_on_the_screen_at_once_and_figures_are_not() -> None:
    session = Streams()
    screen = Screen(cast(Session, session), "rig", False, "")
    session.tell(State.ENGAGED)
    assert screen.changed()
    session.tell(State.ENGAGED)
    assert not screen.changed()
    session.tell(State.HOLD)
    assert screen.changed()
    assert screen.bell()
    event = Event(session.clock.now(), Level.WARNING, "exo", "device.lost", "exo is unplugged")
    session.memories["exo/events"].write(events.to_sample(event))
    assert screen.changed()
    assert screen.bell()
    assert not screen.changed()
    assert not screen.bell()


def test_what_must_be_seen_at_once_does_not_wait_for_the_table() -> None:
    session, console = Streams(), Console(width=100, record=True, file=StringIO())
    session.memories["exo/joints"] = LocalStream(replace(SESSION_STATE, name="exo/joints"))
    screen = Screen(cast(Session, session), "rig", False, "")

    def shown(at_once: bool) -> str:
        console.print(screen.render(console, at_once))
        return console.export_text()

    session.tell(State.ENGAGED)
    assert "waiting" in shown(at_once=True)  # nothing was drawn before: all of it
    session.memories["exo/joints"].write(session_state.to_sample(SessionState(State.IDLE), session.clock.now()))
    session.tell(State.HOLD)
    fast = shown(at_once=True)
    assert "HOLD" in fast
    assert "waiting" in fast
    assert "waiting" not in shown(at_once=False)
