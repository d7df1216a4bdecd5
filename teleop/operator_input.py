"""What the operator's hands and feet say besides the pose: enable, stop, reset, episode.

Enable comes from the pedal box where the rig has one, else from the keyboard (a stream the command line writes 30 times
a second: when it stops, enable is released).  A pedal box that is silent has released enable; one that is gone is an open
stop switch.  A robot on its own feet, which falls when it is stopped, goes on standing without a box: a plug or an empty
battery is no reason to let it fall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from telerig.hardware.protocols import StreamReader
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.control import ControlBlock
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.states import State
from telerig.teleop.switches import Press, Switches

OPERATOR = StreamSpec("session/operator", (ArraySpec("enable", (), "<u1"), ArraySpec("resets", (), "<i8")), 30.0)
FRESH_NS = 150_000_000  # five beats of the command line
PEDALS_FRESH_NS = 100_000_000  # without a sample for longer: enable counts as released, the robot holds
PEDALS_GONE_NS = (
    400_000_000  # for so long: the box is gone, which is an open stop switch (a busy computer stalls for less)
)


def operator_sample(enable: bool, resets: int, now: int) -> Sample:
    """The command line's keys as a sample of ``session/operator``."""
    return Sample(OPERATOR.name, now, now, {"enable": np.array(enable, np.uint8), "resets": np.array(resets, np.int64)})


@dataclass(frozen=True, slots=True)
class Hands:
    """One tick's switches.

    ``reset``: it was asked for since the last tick;  ``again``: but the e-stop was pressed after that;  ``unheard``: the
    pedal box is silent, so nobody knows whether *stop* is closed;  ``gone``: it has been so for 0.4 s.
    """

    enable: bool
    stop: bool
    estop: bool
    reset: bool
    again: bool
    unheard: bool
    gone: bool
    episode: EpisodeCommand | None


class OperatorInput:
    """Reads pedals and keyboard.

    :param told: ``pedals`` (stream name or ""), ``unattended`` (nobody at the
        pedals: enable is pressed by itself while the command line allows it; simulated robots only).
    :param stands: the robot stands on its own feet: a pedal box that is gone has released *enable* and not opened *stop*.
    """

    def __init__(
        self, told: Mapping[str, Any], readers: Mapping[str, StreamReader], control: ControlBlock, stands: bool = False
    ) -> None:
        self._pedals: str = told["pedals"]
        self._stands = stands
        self._unattended = bool(told["unattended"])
        self._readers, self._control = readers, control
        self._switches = Switches()
        self._seen = -1
        self._resets = control.resets
        self._granted = 0  # the press that a granted reset clears
        self._ticks = 0
        self._released = True

    @property
    def requires(self) -> tuple[str, ...]:
        """Streams without which nobody can stop the robot, so nothing may move without them."""
        return (self._pedals,) if self._pedals else ()

    def step(self, now: int, state: State) -> Hands:
        """What holds at this instant."""
        resets, self._resets = self._resets, self._control.resets
        reset = self._resets != resets
        if reset:
            self._granted = self._control.asked_press
        enable, stop, episode = False, False, None
        if self._pedals:
            enable, stop, episode = self._read_pedals(now)
        else:
            enable = self._held(now)
        if self._unattended and state is State.ESTOP:
            self._ticks, enable = 0, enable and bool(self._pedals)  # a foot refuses the reset, nobody's press does not
        elif self._unattended:
            # the state machine wants to see a press: released for half a second outside of motion, then held
            self._ticks = 0 if state is State.HOMING else self._ticks + 1
            pressed = state in (State.MATCHING, State.ENGAGED) or self._ticks % 150 > 100
            enable = pressed and self._keyboard(now)
        again = reset and self._control.newest_press != self._granted
        silence = self._silence(now)
        unheard, gone = silence > PEDALS_FRESH_NS, silence > PEDALS_GONE_NS
        return Hands(enable, stop, self._control.estop, reset, again, unheard, gone, episode)

    def reset_granted(self) -> None:
        """The state machine left ESTOP: clear the word, but for a press it has not seen."""
        self._control.clear_estop(self._granted)

    def _held(self, now: int) -> bool:
        """Enable from the keyboard.  After a silence (the command line was suspended) it has to be seen released first."""
        keys = self._readers[OPERATOR.name].latest()
        if keys is None:
            return False
        if now - keys.t_arrival >= FRESH_NS:
            self._released = False
        elif not keys.array("enable"):
            self._released = True
        return self._released and self._keyboard(now)

    def _keyboard(self, now: int) -> bool:
        keys = self._readers[OPERATOR.name].latest()
        return keys is not None and now - keys.t_arrival < FRESH_NS and bool(keys.array("enable"))

    def _silence(self, now: int) -> int:
        """ns since the pedal box was heard; 0 where there is none."""
        if not self._pedals:
            return 0
        sample = self._readers[self._pedals].latest()
        return 2**62 if sample is None else now - sample.t_arrival

    def _read_pedals(self, now: int) -> tuple[bool, bool, EpisodeCommand | None]:
        sample = self._readers[self._pedals].latest()
        if sample is None:
            return False, False, None  # never seen: nothing can be enabled, but nothing ran that could be stopped
        if now - sample.t_arrival > PEDALS_FRESH_NS:
            self._switches.forget()  # whatever held the robot, a foot that stayed on the pedal is no new press
            gone = not self._stands and now - sample.t_arrival > PEDALS_GONE_NS
            return False, self._switches.stop or gone, None
        if sample.seq != self._seen:
            self._seen = sample.seq
            press = self._switches.update(sample.t_sample, sample.array("switches"))
        else:
            press = None
        meaning = {Press.SHORT: EpisodeCommand.START_OR_KEEP, Press.LONG: EpisodeCommand.DISCARD}
        return self._switches.enable, self._switches.stop, meaning.get(press) if press is not None else None
