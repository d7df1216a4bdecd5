"""Pedals that fall silent: first the robot holds, then the box counts as gone."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.control import ControlBlock
from telerig.teleop.operator_input import OPERATOR, Hands, OperatorInput, operator_sample
from telerig.teleop.states import State
from telerig.teleop.stream import LocalReader, LocalStream

MS = 1_000_000
PEDALS = StreamSpec("pedals/pedals", (ArraySpec("switches", (3,), "<u1"),), 100.0)
ENABLED, RELEASED, OPEN = [1, 0, 1], [0, 0, 1], [1, 0, 0]


class Box:
    """A pedal box heard 100 times a second."""

    def __init__(self, unattended: bool = False, stands: bool = False) -> None:
        self.stream = LocalStream(PEDALS)
        self.readers = {PEDALS.name: LocalReader(self.stream)}
        told = {"pedals": PEDALS.name, "unattended": unattended}
        self.input = OperatorInput(told, self.readers, ControlBlock(), stands)
        self.now = 0

    def hear(self, switches: list[int], samples: int = 3) -> Hands:
        """So many samples, each looked at."""
        for _ in range(samples):
            self.now += 10 * MS
            self.stream.write(Sample(PEDALS.name, self.now, self.now, {"switches": np.array(switches, np.uint8)}))
            hands = self.input.step(self.now, State.ENGAGED)
        return hands

    def silence(self, ms: int) -> Hands:
        """Nothing for so long after the last sample."""
        return self.input.step(self.now + ms * MS, State.ENGAGED)


@pytest.fixture
def box() -> Box:
    """One whose enable was released, then pressed."""
    found = Box()
    found.hear(RELEASED)
    assert found.hear(ENABLED).enable
    return found


@pytest.mark.parametrize(
    ("ms", "enable", "stop"), [(90, True, False), (110, False, False), (390, False, False), (410, False, True)]
)
def test_a_silent_box_releases_and_then_stops(box: Box, ms: int, enable: bool, stop: bool) -> None:
    hands = box.silence(ms)
    assert (hands.enable, hands.stop) == (enable, stop)


@pytest.mark.parametrize(("ms", "gone"), [(90, False), (390, False), (410, True), (60_000, True)])
def test_a_box_that_is_gone_stops_no_robot_on_its_own_feet(ms: int, gone: bool) -> None:
    """It would fall.  Whatever comes back, enable has to be released first, and an open stop switch counts at once."""
    box = Box(stands=True)
    box.hear(RELEASED)
    assert box.hear(ENABLED).enable
    hands = box.silence(ms)
    assert (hands.enable, hands.stop, hands.unheard, hands.gone) == (ms == 90, False, ms > 100, gone)
    assert box.hear(OPEN, 1).stop
    assert box.silence(ms).stop  # it had said so


@pytest.mark.parametrize("stands", [False, True])
def test_a_foot_that_stayed_when_the_box_was_gone_is_no_new_press(stands: bool) -> None:
    box = Box(stands=stands)
    box.hear(RELEASED)
    box.hear(ENABLED)
    assert not box.silence(2000).enable
    assert not box.hear(ENABLED, 20).enable
    box.hear(RELEASED, 2)
    assert box.hear(ENABLED, 3).enable


@pytest.mark.parametrize("ms", [105, 150, 390])
def test_a_foot_that_stayed_on_the_pedal_is_no_new_press(box: Box, ms: int) -> None:
    """However the silence ends (here the samples' own instants show no gap at all), enable has to be released first."""
    assert not box.silence(ms).enable
    assert not box.hear(ENABLED, 20).enable
    assert not box.hear(RELEASED, 2).enable
    assert box.hear(ENABLED, 3).enable


def test_an_open_stop_counts_at_once(box: Box) -> None:
    assert box.hear(OPEN, 1).stop


def test_a_silent_box_that_had_said_open_is_open(box: Box) -> None:
    box.hear(OPEN, 1)
    assert box.silence(110).stop


@pytest.mark.parametrize(("ms", "unheard"), [(90, False), (110, True), (500, True)])
def test_of_a_silent_box_nobody_knows_whether_stop_is_closed(box: Box, ms: int, unheard: bool) -> None:
    assert box.silence(ms).unheard is unheard


def test_a_box_that_was_never_heard_is_not_closed() -> None:
    assert Box().silence(10).unheard


@pytest.mark.parametrize(("foot", "held"), [(RELEASED, False), (ENABLED, True)])
def test_unattended_nobody_presses_during_an_e_stop_and_a_foot_counts(foot: list[int], held: bool) -> None:
    """Else *enable*, which nobody holds, would refuse the reset."""
    box, keys = Box(unattended=True), LocalStream(OPERATOR)
    box.readers[OPERATOR.name] = LocalReader(keys)

    def tick(state: State) -> bool:
        box.now += 10 * MS
        box.stream.write(Sample(PEDALS.name, box.now, box.now, {"switches": np.array(foot, np.uint8)}))
        keys.write(operator_sample(True, 0, box.now))
        return box.input.step(box.now, state).enable

    box.hear(RELEASED)
    assert any(tick(State.IDLE) for _ in range(150))
    tick(State.ESTOP)
    assert all(tick(State.ESTOP) is held for _ in range(300))
    assert not any(tick(State.IDLE) for _ in range(100))  # and then half a second without a press


def test_a_command_line_that_was_suspended_has_to_release_first() -> None:
    """Ctrl-Z with enable held, then fg: the same key state, heard again, moves nothing."""
    stream = LocalStream(OPERATOR)
    told = {"pedals": "", "unattended": False}
    keys = OperatorInput(told, {OPERATOR.name: LocalReader(stream)}, ControlBlock())

    def hear(enable: bool, now: int) -> bool:
        stream.write(operator_sample(enable, 0, now * MS))
        return keys.step((now + 1) * MS, State.ENGAGED).enable

    assert not hear(False, 10)
    assert hear(True, 43)
    assert not keys.step(400 * MS, State.ENGAGED).enable  # silent for longer than 150 ms
    assert not hear(True, 410)
    assert not hear(True, 443)
    assert not hear(False, 476)
    assert hear(True, 510)
