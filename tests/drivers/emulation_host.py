"""A host of emulated devices in a thread, and drivers that reach them over pseudo-terminals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from telerig.drivers import table
from telerig.drivers.emulation import EmulationHost, ask, read_journal
from telerig.drivers.ports import SerialPort
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import DeviceOpenError
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

RIG: dict[str, tuple[str, dict[str, Any]]] = {
    "left": ("hall_glove", {"side": "left"}),
    "fast": ("hall_glove", {"side": "right", "rate_hz": 1000.0}),
    "text": ("homunculus_glove", {"side": "right"}),
    "pedals": ("pedal_box", {}),
}
PAUSE = threading.Event()  # never set: waits without time.sleep


class Served:
    """A host in a thread, and drivers for its devices."""

    def __init__(self, folder: Path, controls: Mapping[str, Any] | None = None) -> None:
        self.clock = RealClock()
        self.ports, self.journals = folder / "ports", folder / "journals"
        self.events: list[Event] = []
        emulators = {n: table.emulator(d)(table.driver(d).Config(**c)) for n, (d, c) in RIG.items()}
        self.emulators: dict[str, Any] = emulators
        self.host = EmulationHost(emulators, self.clock, self.ports, self.journals, controls)
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self.host.run, args=(self._asked,))
        self._thread.start()
        assert self._ready.wait(10)

    def _asked(self) -> bool:
        self._ready.set()
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the host hangs"

    def driver(self, name: str) -> Any:
        kind, config = RIG[name]
        cls = table.driver(kind)
        path = str(self.ports / name)
        context = DeviceContext(name, self.clock, lambda: SerialPort(path, 115_200), {}, self.events.append)
        return cls(cls.Config(**config), context)

    def opened(self, name: str) -> Any:
        """An open driver; like a worker it tries again when a busy computer lets the device answer too late."""
        device = self.driver(name)
        for _ in range(9):
            try:
                device.open()
                return device
            except DeviceOpenError:
                PAUSE.wait(0.2)
        device.open()
        return device

    def journal(self, name: str) -> np.ndarray:
        return read_journal(self.journals / f"{name}.journal")

    def status(self, name: str) -> dict[str, int]:
        found: dict[str, int] = ask(self.ports, {"query": "status"})["devices"][name]
        return found


def collect(device: Any, n: int) -> list[Sample]:
    samples: list[Sample] = []
    while len(samples) < n:
        fresh = device.read(5.0)
        assert fresh, "the device has gone quiet"
        samples += fresh
    return samples


def collect_all(devices: Mapping[str, Any], n: int) -> dict[str, list[Sample]]:
    """At least n samples of each, read in turns: a pseudo-terminal keeps 0.4 s of the fastest of them, then drops."""
    samples: dict[str, list[Sample]] = {name: [] for name in devices}
    for _ in range(20_000):
        for name, device in devices.items():
            samples[name] += device.read(0.002)
        if min(map(len, samples.values())) >= n:
            return samples
    counts = {name: len(got) for name, got in samples.items()}
    raise AssertionError(f"a device has gone quiet: {counts}")


def eventually(true: Callable[[], bool], what: str) -> None:
    for _ in range(500):
        if true():
            return
        PAUSE.wait(0.02)
    raise AssertionError(f"not within 10 s: {what}")
