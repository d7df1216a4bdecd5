"""The first words with a simulated robot: who is there, and whether its watchdog is armed.  Only here is a reply waited for."""

from __future__ import annotations

from collections.abc import Callable

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import DeviceIdentityError, DeviceLost
from telerig.hardware.protocols import Clock, Port
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Kind, RobotMode, Status

OPEN_TIMEOUT_NS = 1_000_000_000


class Opening:
    """A dialogue over a fresh connection.

    :param name: of the robot's device; ``world``: of the world it is looked for in (both for what errors say).
    :param seq: number of the last request before this one; :attr:`seq` counts on.
    """

    def __init__(self, name: str, world: str, port: Port, decoder: simbus.Decoder, clock: Clock, seq: int) -> None:
        self.name, self.world, self.seq = name, world, seq
        self._port, self._decoder, self._clock = port, decoder, clock

    def identify(self, want: Embodiment, target: str, joints: tuple[str, ...]) -> None:
        """Ask who is there.

        :param target: the target's name in the rig, and its ``joints`` in order.
        :raises DeviceIdentityError: another embodiment, version or joint order.
        :raises DeviceLost: no answer.  :raises BusError: not this protocol.
        """
        found = simbus.parse_identity(self._ask(simbus.request(Kind.IDENTIFY, self._next())))
        if (found.name, found.version) != (want.name, want.version):
            raise DeviceIdentityError(
                f"{self.name}: world '{self.world}' has {found.name} version {found.version}, "
                f"the rig says {want.name} version {want.version}"
            )
        if found.joints != joints:
            raise DeviceIdentityError(
                f"{self.name}: the world's robot has {len(found.joints)} joints in another order than "
                f"target '{target}' ({len(joints)} joints); give both the same target"
            )

    def arm(self, hold_s: float, damp_s: float) -> tuple[Status, RobotMode]:
        """Arm the firmware's watchdog (0 s disarms); returns whether it took that, and what the robot is doing.

        :raises DeviceLost: no answer.  :raises BusError: not this protocol.
        """
        hold, damp = (round(1000 * s) for s in (hold_s, damp_s))
        return simbus.parse_ack(self._ask(simbus.watchdog_request(self._next(), hold, damp)))

    def ask(self, request: Callable[[int], bytes]) -> bytes:
        """Anything else: the payload of the reply to ``request(number)``.

        :raises DeviceLost: no answer.  :raises BusError: not this protocol.
        """
        return self._ask(request(self._next()))

    def _next(self) -> int:
        self.seq = (self.seq + 1) & 0xFFFF
        return self.seq

    def _ask(self, data: bytes) -> bytes:
        """Write a request and wait for its reply's payload."""
        clock = self._clock
        self._port.write(data)
        deadline = clock.now() + OPEN_TIMEOUT_NS
        while True:
            wait = 0.0 if clock.virtual else (deadline - clock.now()) / 1e9
            for message in self._decoder.feed(self._port.read(wait)):
                if message.kind == data[3] | simbus.REPLY and message.seq == self.seq:
                    return message.payload
            if clock.virtual or clock.now() >= deadline:
                raise DeviceLost(f"world '{self.world}' does not answer")
