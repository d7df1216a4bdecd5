"""What comes from the robot: which states are believed, and what they say.  Sans-IO."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.unitree_g1.motors import BODY
from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg
from telerig.hardware.wire.unitree_cdr import HandState, WireError
from telerig.hardware.wire.unitree_hg import Record

N = len(BODY)
TICK_NS = 1_000_000  # the robot counts milliseconds
_WRAP = 1 << 32
EMULATED = 0x47495254  # "TRIG": what telerig's emulator says in LowState.reserve[0], and no robot
_BUTTONS = (
    *("R1", "L1", "start", "select", "R2", "L2", "F1", "F2"),
    *("A", "B", "X", "Y", "up", "right", "down", "left"),
)
BUTTONS = {name: 1 << bit for bit, name in enumerate(_BUTTONS)}  # bytes 2 and 3 of the remote control's forty


@dataclass(frozen=True, slots=True, eq=False)
class LowState:
    """One believed state.  ``tick``: the robot's milliseconds, unwrapped;  ``arrived``: session clock, ns."""

    arrived: int
    tick: int
    record: Record

    @property
    def motors(self) -> NDArray[np.void]:
        """The 29 body motors, in the order of the slots."""
        motors: NDArray[np.void] = self.record["motor"][:N]
        return motors

    @property
    def machine(self) -> int:
        """What the robot says it is."""
        return int(self.record["mode_machine"])

    def pressed(self, mask: int) -> bool:
        """Whether all buttons of a mask are held down on the remote control."""
        remote = self.record["wireless_remote"]
        return bool(mask) and (int(remote[2]) | int(remote[3]) << 8) & mask == mask


class Gate:
    """Believes a state that has the right length and CRC, comes from the right machine and is newer than the last.

    :param machines: values of ``mode_machine`` that are right.
    :ivar refused: how many were not believed, by reason: ``bytes``, ``crc``, ``machine``, ``stale``.
    :ivar machine: of the newest state with a right CRC; None before.
    """

    def __init__(self, machines: tuple[int, ...]) -> None:
        self._machines = machines
        self.refused: Counter[str] = Counter()
        self.machine: int | None = None
        self._tick: int | None = None

    def low(self, data: bytes, arrived: int) -> LowState | None:
        """The state in a message, None if it is not believed."""
        try:
            record = cdr.decode_low_state(data)
        except WireError:
            self.refused["bytes"] += 1
            return None
        if not hg.sealed(record):
            self.refused["crc"] += 1
            return None
        self.machine = int(record["mode_machine"])
        if self.machine not in self._machines:
            self.refused["machine"] += 1
            return None
        tick = int(record["tick"])
        if self._tick is not None:
            ahead = (tick - self._tick) % _WRAP
            if not 0 < ahead < _WRAP // 2:
                self.refused["stale"] += 1
                return None
            tick = self._tick + ahead
        self._tick = tick
        return LowState(arrived, tick, record)

    def hand(self, data: bytes) -> HandState | None:
        """A hand's state, None if it is not believed.  Hands have no CRC and no clock."""
        try:
            state = cdr.decode_hand_state(data)
        except WireError:
            self.refused["bytes"] += 1
            return None
        if len(state.motors) < hg.HAND_MOTORS or not np.isfinite(state.motors["q"]).all():
            self.refused["bytes"] += 1
            return None
        return state
