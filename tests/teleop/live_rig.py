"""A live session for tests: the leader and follower arms on pseudo-terminals, worn by a hand that waves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from telerig.hardware import events
from telerig.hardware.commands import Mode
from telerig.hardware.errors import DeviceError
from telerig.hardware.events import Event
from telerig.teleop.bench.loop_bench import hand_process, in_state, wait_for
from telerig.teleop.live import LiveOptions, Steward
from telerig.teleop.operate import running
from telerig.teleop.rig import load_rig
from telerig.teleop.session import Session
from telerig.teleop.states import State
from telerig.teleop.stream import Tap

RIG = Path(__file__).parents[2] / "rigs" / "follower.toml"
HAND = {
    "factory": "telerig.teleop.bench.hands:SineHand",
    "config": {"embodiment": "follower_arm", "arms": {"leader": ["arm", "gripper"]}, "keyboard": True},
}


class Live:
    """A running session and what tests ask of it."""

    def __init__(self, session: Session, steward: Steward, folder: Path) -> None:
        self.session, self.steward, self.folder = session, steward, folder
        self._taps: dict[str, Tap] = {n: session.reader(n).tap(0) for n in session.memories if n.endswith("/events")}
        self.events: list[Event] = []

    def until(self, condition: Callable[[], bool], what: str, limit_s: float = 25.0) -> None:
        """Wait for a condition; the loop's state and all events are in the failure's text."""
        wait_for(self.session, condition, limit_s, what)

    def engage(self) -> None:
        """Press enable and wait until the robot follows; a press that was not granted is made again, as a person would."""
        for attempt in range(4):
            self.steward.enable = False
            self.until(lambda: in_state_any(self.session, State.IDLE, State.HOLD, State.DAMPED), "standing still")
            released = self.session.reader("session/operator").written + 5
            self.until(lambda n=released: self.session.reader("session/operator").written > n, "a released moment")
            self.steward.enable = True
            try:
                return self.until(lambda: in_state(self.session, State.ENGAGED), "engaging", 10.0 + 5.0 * attempt)
            except DeviceError:
                if attempt == 3 or self.session.failed:
                    raise

    def state(self) -> State:
        """The loop's newest state."""
        sample = self.session.reader("session/state").latest()
        return State.IDLE if sample is None else State(int(sample.array("state")))

    def happened(self, code: str, source: str = "") -> Event | None:
        """The newest event of that code."""
        for tap in self._taps.values():
            self.events += [events.from_sample(s) for s in tap.read()[0]]
        found = [e for e in self.events if e.code == code and source in ("", e.source)]
        return max(found, key=lambda e: e.t) if found else None

    def action(self) -> Mode:
        """What the actuator's worker did last."""
        sample = self.session.reader("robot/joints/applied").latest()
        assert sample is not None
        return Mode(int(sample.array("action")))


def in_state_any(session: Session, *states: State) -> bool:
    """Whether the loop is in one of these states."""
    return any(in_state(session, s) for s in states)


@contextmanager
def live(tmp_path: Path, record: bool = False) -> Iterator[Live]:
    """The session, running."""
    options = LiveOptions(record=tmp_path / "session" if record else None, extra=(hand_process(HAND),), home=False)
    with running(load_rig(RIG, emulate=True), options, tmp_path / "run") as (session, steward):
        yield Live(session, steward, tmp_path / "run")
