"""A glove's or pedal box's driver and an emulator joined in virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from telerig.drivers import table
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

MS = 1_000_000
CONFIGS: dict[str, dict[str, Any]] = {
    "hall_glove": {"side": "left"},
    "homunculus_glove": {"side": "right"},
    "pedal_box": {},
}
FRAMED = ("hall_glove", "pedal_box")


@dataclass
class Bench:
    """A driver and an emulator joined in virtual time."""

    driver: str
    config: dict[str, Any] = field(default_factory=dict)
    emulated: str = ""  # another emulator than the driver's own
    emulated_config: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock, self.random = VirtualClock(), random.Random(6)
        self.events: list[Event] = []
        self.journal: list[tuple[int, int]] = []
        self.plugged = True
        cls = table.driver(self.driver)
        config = cls.Config(**(self.config or CONFIGS[self.driver]))
        kind = self.emulated or self.driver
        own = self.emulated_config or (CONFIGS[kind] if self.emulated else None)
        self.emulator = table.emulator(kind)(table.driver(kind).Config(**own) if own else config, **self.options)
        self.emulator.journal = lambda t, seq: self.journal.append((t, seq))
        self.device = cls(config, DeviceContext("dev", self.clock, self._port, {}, self.events.append))

    def _port(self) -> LoopbackPort:
        return LoopbackPort(self.emulator, self.clock, lambda: self.plugged)

    def run(self, seconds: float) -> list[Sample]:
        """Read every 0.1 … 9.9 ms."""
        samples: list[Sample] = []
        end = self.clock.now() + round(seconds * 1e9)
        while self.clock.now() < end:
            self.clock.advance(min(self.random.randrange(MS // 10, 99 * MS // 10), end - self.clock.now()))
            samples += self.device.read(0)
        return samples

    def told(self, code: str) -> int:
        return sum(int(e.data["count"]) for e in self.events if e.code == code)


def opened(driver: str, **more: Any) -> Bench:
    bench = Bench(driver, **more)
    bench.device.open()
    return bench
