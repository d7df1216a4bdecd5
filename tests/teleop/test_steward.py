"""What the command line tells the loop of the operator's keys: enable that nobody could release lapses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Mode, TargetSpec
from telerig.teleop.keyboard import split_keys
from telerig.teleop.keyboard_drive import DRIVE, KeyDrive
from telerig.teleop.live import Steward
from telerig.teleop.operate import Keys
from telerig.teleop.operator_input import OPERATOR, Hands, OperatorInput
from telerig.teleop.session import Session
from telerig.teleop.states import State

MS = 1_000_000
BASE = TargetSpec(
    "robot/base", Mode.BASE_VELOCITY_HEIGHT, ("vx", "vy", "yaw", "height"), (-0.5, -0.4, -0.8, 0.24),
    (1.0, 0.4, 0.8, 0.74), (2.0,) * 4, (20.0,) * 4, (0.0, 0.0, 0.0, 0.74),
)  # fmt: skip


class Desk:
    """A person's keys, the steward that passes them on, and the loop's end of it; nothing runs by itself."""

    def __init__(self, session: Session, unattended: bool = False, drive: KeyDrive | None = None) -> None:
        self.clock = VirtualClock()
        session.clock = self.clock  # type: ignore[assignment]
        self.session, self.steward = session, Steward(session, unattended, drive)
        self.keys = Keys(session, self.steward, None)  # type: ignore[arg-type]
        told = {"pedals": "", "unattended": unattended}
        self.loop = OperatorInput(told, {OPERATOR.name: session.reader(OPERATOR.name)}, session.control)

    def look(self, typed: str = "") -> bool:
        """The command line looks at its keys; whether they were typed blind."""
        blind = self.steward.look()
        for key in split_keys(typed):
            self.keys.press(key, blind)
        return blind

    def pass_time(self, ms: int, looking: bool) -> Hands:
        """Beats every 30 ms; what the loop makes of the last one."""
        for _ in range(0, ms, 30):
            self.clock.advance(30 * MS)
            if looking:
                self.look()
            self.steward.pass_on()
            hands = self.loop.step(self.clock.now(), State.ENGAGED)
        return hands

    def blind(self) -> int:
        """How often somebody was told."""
        return self.session.reader("session/events").written


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path, [OPERATOR, DRIVE], [])
    yield made
    for memory in made.memories.values():
        os.close(memory.fd)
    os.close(made.control.fd)


@pytest.fixture
def desk(session: Session) -> Desk:
    """One at which somebody holds enable by the space bar."""
    found = Desk(session)
    found.pass_time(30, looking=True)
    found.look(" ")
    assert found.pass_time(600, looking=True).enable
    return found


def test_enable_lapses_within_half_a_second_and_is_told_once(desk: Desk) -> None:
    assert desk.pass_time(390, looking=False).enable
    assert not desk.pass_time(60, looking=False).enable
    assert not desk.pass_time(3000, looking=False).enable
    assert desk.blind() == 1


def test_keys_that_are_looked_at_again_press_nothing_by_themselves(desk: Desk) -> None:
    desk.pass_time(600, looking=False)
    assert not desk.pass_time(3000, looking=True).enable
    desk.look(" ")  # as after every other hold: release
    assert not desk.pass_time(60, looking=True).enable
    desk.look(" ")
    assert desk.pass_time(60, looking=True).enable
    assert desk.blind() == 1


@pytest.mark.parametrize("typed", [" ", "  ", "   ", " z  "])
def test_what_was_typed_blind_releases_only(desk: Desk, typed: str) -> None:
    desk.pass_time(600, looking=False)
    assert desk.look(typed)
    assert not desk.pass_time(600, looking=True).enable
    assert not desk.look(" ")  # released before: this is a press, and seen
    assert desk.pass_time(60, looking=True).enable


def test_a_command_line_that_was_suspended_whole_looks_first_and_still_has_lapsed(desk: Desk) -> None:
    desk.clock.advance(2000 * MS)
    assert desk.look()
    assert not desk.pass_time(600, looking=True).enable
    assert desk.blind() == 1


def test_the_e_stop_is_pressed_by_a_blind_key_too(desk: Desk) -> None:
    desk.pass_time(600, looking=False)
    desk.look("x")
    assert desk.session.control.estop


@pytest.mark.parametrize(
    ("typed", "estop"), [("\x1b", True), ("x", True), ("\x1b[A", False), ("\x1bOB \x1b[1;5C", False)]
)
def test_an_arrow_key_is_no_escape_key(desk: Desk, typed: str, estop: bool) -> None:
    desk.look(typed)
    assert desk.session.control.estop is estop
    assert desk.steward.enable is False or " " in typed  # what nobody knows releases


def test_a_base_stands_when_its_keys_are_blind_whoever_holds_enable(session: Session) -> None:
    """A foot may hold enable while the keys drive."""
    desk = Desk(session, drive=KeyDrive(BASE))
    desk.look("uu")
    desk.pass_time(300, looking=True)
    wish = session.reader(DRIVE.name)
    assert wish.latest().array("wish")[0] > 0.1  # type: ignore[union-attr]
    desk.pass_time(390, looking=False)
    assert wish.latest().array("wish")[0] > 0.1  # type: ignore[union-attr]
    desk.pass_time(60, looking=False)
    assert wish.latest().array("wish")[:3].tolist() == [0.0, 0.0, 0.0]  # type: ignore[union-attr]


def test_a_reset_typed_blind_is_not_obeyed(desk: Desk) -> None:
    desk.session.control.press_estop()
    desk.pass_time(600, looking=False)
    desk.look("r")
    desk.steward.pass_on()
    assert not desk.loop.step(desk.clock.now(), State.ESTOP).reset


def test_a_program_that_holds_enable_needs_no_keyboard(session: Session) -> None:
    desk = Desk(session, unattended=True)
    desk.pass_time(30, looking=True)
    assert desk.pass_time(3000, looking=False).enable
    assert desk.blind() == 0


def test_r_releases_enable_first_so_that_the_reset_is_not_refused_for_it(desk: Desk) -> None:
    control = desk.session.control
    control.press_estop()
    desk.look("r")
    now = desk.clock.now()
    assert not desk.loop.step(now, State.ESTOP).reset  # the loop does not know of the release yet
    desk.steward.pass_on()
    hands = desk.loop.step(now, State.ESTOP)
    assert (hands.reset, hands.enable, hands.again) == (True, False, False)


def test_a_press_between_r_and_the_request_is_a_later_one(desk: Desk) -> None:
    desk.session.control.press_estop()
    desk.look("r")
    desk.session.control.press_estop()
    desk.steward.pass_on()
    hands = desk.loop.step(desk.clock.now(), State.ESTOP)
    assert (hands.reset, hands.again) == (True, True)
