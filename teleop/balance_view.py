"""What the loop sees of a robot on its own feet: whether it stands, how calm its arms have to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from telerig.hardware.legs import Balance
from telerig.hardware.protocols import StreamReader
from telerig.teleop.body_rig import BodyRig, body_rig
from telerig.teleop.rig import Rig
from telerig.teleop.states import State

_STANDS = (Balance.BALANCING, Balance.LOWERING)


@dataclass(frozen=True, slots=True)
class Look:
    """One tick's view.  ``trouble`` names what must stop a motion, or is None; ``calm`` scales the arms' speed limits
    (least where it stands and nobody knows its tilt)."""

    standing: bool
    trouble: str | None
    calm: float


class BalanceView:
    """Reads ``DEVICE/balance``.  :ivar stream: its name; the loop requires it."""

    def __init__(self, rig: BodyRig, readers: Mapping[str, StreamReader]) -> None:
        self._rig = rig
        self.stream = f"{rig.device}/balance"
        self._reader = readers[self.stream]

    @staticmethod
    def of(rig: Rig, readers: Mapping[str, StreamReader]) -> BalanceView | None:
        """The view of a rig's robot; None where none stands on its own feet.  :raises ConfigError: a wrong ``[body]``."""
        found = body_rig(rig)
        return None if found is None else BalanceView(found, readers)

    def look(self, state: State) -> Look:
        """At the newest sample.  An engaged session needs a robot that balances; before, its legs may be limp."""
        sample = self._reader.latest()
        if sample is None:
            return Look(False, None, 1.0)
        balance = Balance(sample.array("state").item())
        standing = balance in _STANDS
        trouble = None
        if balance is Balance.FALLEN:
            trouble = f"{self._rig.device}/legs: the robot fell"
        elif state is State.ENGAGED and not standing:
            trouble = f"{self._rig.device}/legs: they are {balance.name.lower()}"
        tilt = sample.array("tilt").item()
        return Look(standing, trouble, self._rig.calm(tilt) if standing else 1.0)
