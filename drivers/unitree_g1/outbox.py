"""A :class:`~telerig.drivers.unitree_g1.commander.Drive` as messages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.unitree_g1 import dds
from telerig.drivers.unitree_g1.commander import Drive
from telerig.drivers.unitree_g1.dds import Bus
from telerig.drivers.unitree_g1.motors import SIDES
from telerig.drivers.unitree_g1.state import N
from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg

HAND_EVERY = 2  # messages to the body for one to the hands


class Outbox:
    """:param hands: whether there are any.  :ivar sent: messages to the body."""

    def __init__(self, bus: Bus, hands: bool) -> None:
        self._bus, self._hands = bus, hands
        self._body = hg.new(hg.LOW_CMD)
        self._hand = np.zeros(hg.HAND_MOTORS, hg.MOTOR_CMD)
        self.sent = 0

    def publish(self, drive: Drive, machine: int) -> None:
        """To the body, and every other time to the hands.  :raises DeviceLost: DDS refuses."""
        body = self._body
        body["mode_machine"] = machine
        _fill(body["motor"], drive, 0, N)
        body["motor"]["mode"][:N] = drive.enabled[:N]
        self._bus.publish(dds.LOW_CMD, cdr.encode_low_cmd(hg.seal(body)))
        self.sent += 1
        if not self._hands or self.sent % HAND_EVERY:
            return
        for k, side in enumerate(SIDES):
            first = N + k * hg.HAND_MOTORS
            _fill(self._hand, drive, first, hg.HAND_MOTORS)
            on = drive.enabled[first : first + hg.HAND_MOTORS]
            self._hand["mode"] = [hg.hand_mode(i, bool(e)) for i, e in enumerate(on)]
            self._bus.publish(dds.HAND_CMD[side], cdr.encode_hand_cmd(self._hand))


def _fill(motors: NDArray[np.void], drive: Drive, first: int, n: int) -> None:
    part = slice(first, first + n)
    motors["q"][:n], motors["tau"][:n] = drive.q[part], drive.tau[part]
    motors["kp"][:n], motors["kd"][:n] = drive.kp[part], drive.kd[part]
