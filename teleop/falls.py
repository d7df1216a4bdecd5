"""Whether a robot on its own feet lies on the floor, and the reset of the e-stop that its fall pressed, and of no other."""

from __future__ import annotations

from telerig.hardware.legs import Balance
from telerig.hardware.protocols import StreamReader
from telerig.teleop.control import ControlBlock

AGAIN_NS = 1_000_000_000  # between two requests: the loop may refuse one, enable being held


class Falls:
    """Call :meth:`look` several times a second.

    A fall presses the e-stop.  Presses have numbers and no order, so a press that somebody else made is known by being
    another one: from then on nothing is reset here until a person has done it.  One that falls between two looks, and just
    before the fall's own, is not seen.  Once the fall's press is cleared, what is pressed is a person's until the next fall.

    :param balance: ``ROBOT/balance``; None for a robot that cannot fall.
    :param may_reset: whether a program may do this at all: where nothing real moves.
    :ivar lies: it has fallen, and has not risen since.
    """

    def __init__(self, balance: StreamReader | None, control: ControlBlock, may_reset: bool) -> None:
        self._balance, self._control, self._may_reset = balance, control, may_reset
        self._presses: set[int] = set()  # seen while latched
        self._idle = 0  # the newest while not latched: an old one, whatever its number
        self._asked = 0
        self._cleared = False  # the press of this fall
        self.lies = False

    def look(self) -> bool:
        """Whether it fell since the last look."""
        before, newest = self.lies, self._balance.latest() if self._balance is not None else None
        self.lies = newest is not None and Balance(int(newest.array("state"))) is Balance.FALLEN
        press = self._control.newest_press  # after the state: a fall that is seen has pressed
        fell, latched = self.lies and not before, self._control.estop
        if latched:  # both: a person may have pressed in between, and neither may be missed
            self._presses |= {press, self._control.newest_press} - {self._idle}
        else:
            self._presses.clear()
            self._idle = press
        self._cleared = self.lies and not fell and (self._cleared or not latched)
        return fell

    def reset(self, now: int, since: int) -> None:
        """Ask for the reset, at most once a second, if the robot lies and its fall's press is the only one.

        :param since: when it began to hang in its gantry again, or was asked to, ns.
        """
        if not (self._may_reset and self.lies and len(self._presses) == 1) or self._cleared:
            return
        if now - max(since, self._asked) > AGAIN_NS:
            self._asked = now
            (press,) = self._presses
            self._control.reset_estop(press)  # the loop refuses it if there is a newer one by then
