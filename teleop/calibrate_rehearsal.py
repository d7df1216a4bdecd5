"""Calibrating an emulated device: a rehearsal.  A simulated wearer takes each pose and makes each movement that is asked.

Driver, bytes, pseudo-terminal and wizard are those of a real device; only the arm, hand or foot in it is not.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers import table
from telerig.drivers.emulation import EmulationHost
from telerig.hardware.calibration import GloveCalibration, JointCalibration, PedalCalibration
from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import Clock
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.teleop.calibrate import OPTIONAL, Wizard
from telerig.teleop.open_port import opened
from telerig.teleop.rig import Device

WORN = {JointCalibration.kind: "angle", GloveCalibration.kind: "flexion", PedalCalibration.kind: "position"}
TURN_RAD = 0.6  # comfortably more than the wizard wants to see
TURN_NS = 1_000_000_000


class Wearer:
    """Follows a wizard: takes its pose while it is asked for, turns a joint once the person at the keyboard has pressed Enter.

    A reader of the emulator's ``controls``, so that the emulators' host can follow it.

    :raises ConfigError: the emulator has no control that this kind of device is worn by.
    """

    def __init__(self, device: Device, controls: StreamSpec, wizard: Wizard, clock: Clock) -> None:
        self.spec, self._wizard, self._clock = controls, wizard, clock
        self._field = WORN[wizard.kind]
        if self._field not in {a.name for a in controls.arrays}:
            raise ConfigError(f"device '{device.name}': driver {device.rig.driver}'s emulator cannot be worn")
        self._turning: tuple[int, int] | None = None  # the step, and when it began
        self._seq = -1

    def latest(self) -> Sample:
        """Where the wearer is now."""
        now = self._clock.now()
        self._seq += 1
        data = {a.name: np.full(a.shape, np.nan) for a in self.spec.arrays}  # NaN leaves things as they are
        data[self._field] = self._pose(now)
        return Sample(self.spec.name, now, now, data, seq=self._seq)

    def window(self, t0: int, t1: int) -> list[Sample]:
        """Nothing: the past is not kept."""
        return []

    def _pose(self, now: int) -> NDArray[np.float64]:
        """Values of the worn control, ``(n,)``, for the wizard's present step."""
        at, kind = self._wizard.at, self._wizard.kind
        names = self.spec.array(self._field).axes
        if kind == GloveCalibration.kind:
            return np.array([0.5 if OPTIONAL in n else min(1.0, at) for n in names])
        pose = np.zeros(len(names))
        if not 0 < at <= len(names):
            return pose
        if kind == PedalCalibration.kind:
            pose[at - 1] = 1.0
        elif not self._wizard.waiting:
            if self._turning is None or self._turning[0] != at:
                self._turning = (at, now)
            pose[at - 1] = TURN_RAD * min(1.0, (now - self._turning[1]) / TURN_NS)
        else:
            self._turning = None
        return pose


@contextmanager
def rehearsal(device: Device, wizard: Wizard, clock: Clock) -> Iterator[Any]:
    """An emulated device's driver, open, worn by a :class:`Wearer`.

    :raises ConfigError: see :class:`Wearer`.  :raises DeviceOpenError: it does not open.
    """
    emulator = table.emulator(device.rig.driver)(device.config)
    wearer = Wearer(device, emulator.controls, wizard, clock)
    with tempfile.TemporaryDirectory(prefix="telerig-calibrate-") as folder:
        ports = Path(folder)
        host = EmulationHost({device.name: emulator}, clock, ports, ports / "journals", {device.name: wearer})
        with _served(host), opened(device, clock, str(ports / device.name)) as driver:
            yield driver


@contextmanager
def _served(host: EmulationHost) -> Iterator[None]:
    """Serve emulators in a thread."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            host.poll(0.02)

    host.open()
    thread = threading.Thread(target=serve, name="emulation")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        host.close()
