"""The exoskeleton arm's driver and its emulator in virtual time, with a plug that can be pulled."""

from __future__ import annotations

from collections.abc import Callable

from telerig.drivers.exo_arm import ExoArm, ExoArmConfig
from telerig.drivers.exo_arm_emulator import ExoArmEmulator
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

MS = 1_000_000
TICK = 5 * MS


class WaitingPort(LoopbackPort):
    """A loopback on which waiting takes (virtual) time, as on a real port; counts reads and what waiting cost."""

    def __init__(self, emulator: ExoArmEmulator, clock: VirtualClock, connected: Callable[[], bool]) -> None:
        super().__init__(emulator, clock, connected)
        self.emulator, self.clock = emulator, clock
        self.reads = self.waited = 0

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
        self.reads += 1
        end = self.clock.now() + round(timeout_s * 1e9)
        while not (data := super().read(0.0, max_bytes)) and self.clock.now() < end:
            due = self.emulator.next_due(self.clock.now())
            before = self.clock.now()
            self.clock.advance(min(end, due or end) - before)
            self.waited += self.clock.now() - before
        return data


class Rig:
    """Driver, emulator, clock, and a plug that can be pulled."""

    def __init__(self, **config: object) -> None:
        self.config = ExoArmConfig(**config)  # type: ignore[arg-type]
        self.clock = VirtualClock()
        self.emulator = ExoArmEmulator(self.config)
        self.events: list[Event] = []
        self.plugged = True
        self.ports: list[WaitingPort] = []
        self.driver = ExoArm(self.config, DeviceContext("exo", self.clock, self._port, emit=self.events.append))

    def _port(self) -> WaitingPort:
        self.ports.append(WaitingPort(self.emulator, self.clock, lambda: self.plugged))
        return self.ports[-1]

    def tick(self, n: int = 1, dt: int = TICK) -> list[Sample]:
        """``n`` control periods; all samples."""
        samples = []
        for _ in range(n):
            self.clock.advance(dt)
            samples += self.driver.read(0)
        return samples

    def codes(self) -> list[tuple[str, int]]:
        return [(e.code, e.data["servo"]) for e in self.events]
