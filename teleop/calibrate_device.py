"""Runs the wizard on one device of a rig, without a session: opens the device here, reads it, asks at the terminal, saves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from telerig.hardware import calibration
from telerig.hardware.calibration import Calibration, DeviceCalibration
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.protocols import Clock, Device, DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.teleop import cockpit_build, rig
from telerig.teleop.calibrate import Wizard
from telerig.teleop.open_port import port_opener

SILENT_NS = 2_000_000_000


def find(loaded: rig.Rig, name: str) -> tuple[rig.Device, str, StreamSpec]:
    """The device, what it is calibrated as, and the stream to watch.

    :raises ConfigError: no such device, nothing to calibrate, or it is emulated.
    """
    device = loaded.devices.get(name)
    if device is None:
        raise ConfigError(f"{loaded.path}: no device '{name}'; it has {', '.join(loaded.devices)}")
    found = cockpit_build.kind_of(cockpit_build.device_streams(device))
    if found is None or hasattr(device.driver, "send"):
        raise ConfigError(f"{loaded.path}: device '{name}' (driver {device.rig.driver}) has nothing to calibrate")
    if device.rig.emulate:
        raise ConfigError(f"{loaded.path}: device '{name}' is emulated and needs no calibration")
    return device, *found


def open_device(device: rig.Device, clock: Clock) -> Any:
    """The driver's object, open.  :raises DeviceOpenError: it is not there."""
    opener = port_opener({"port": device.rig.port, "baud": device.baud})
    driver = device.driver(device.config, DeviceContext(device.name, clock, opener))
    driver.open()
    return driver


def converse(
    wizard: Wizard, device: Device, spec: StreamSpec, field: str, clock: Clock,
    confirmed: Callable[[], bool], say: Callable[[str], None],
) -> Calibration:  # fmt: skip
    """Feed the wizard until it has a result.

    :param confirmed: whether the wearer has pressed Enter since it was last asked; raises to give up.
    :raises DeviceLost: unplugged, or silent for 2 s.
    """
    shown: tuple[int, bool, str] | None = None
    heard = clock.now()
    while wizard.result is None:
        if shown != (now := (wizard.at, wizard.waiting, wizard.refusal)):
            shown = now
            if wizard.refusal:
                say(f"  refused: {wizard.refusal}")
            if wizard.waiting:
                say(wizard.prompt)
        if confirmed():
            wizard.confirm()
        for value in _values(device.read(0.05), spec, field):
            heard = clock.now()
            wizard.feed(heard, value)
        if clock.now() - heard > SILENT_NS:
            raise DeviceLost(f"{spec.name}: no samples for 2 s")
    return wizard.result


def _values(samples: Iterable[Sample], spec: StreamSpec, field: str) -> Iterable[np.ndarray[Any, np.dtype[np.float64]]]:
    before = 0
    for a in spec.arrays:
        if a.name == field:
            break
        before += a.size
    for sample in samples:
        if sample.stream == spec.name:
            value = np.array(sample.array(field), np.float64)
            if sample.valid is not None:
                value[~sample.valid[before : before + value.size]] = np.nan
            yield value


def save(loaded: rig.Rig, device: rig.Device, values: Calibration) -> Path:
    """Put one device's values into the rig's calibration file; the others' stay."""
    devices = calibration.load(loaded.calibration_path)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    devices[device.name] = DeviceCalibration(device.rig.driver, cockpit_build.identity(device), made, values)
    calibration.save(loaded.calibration_path, devices)
    return loaded.calibration_path


def calibrate(path: Path, name: str, signs: bool) -> None:
    """What ``telerig calibrate`` does.  :raises ConfigError: see :func:`find`; there is no terminal; it was given up."""
    from telerig.teleop.keyboard import Keyboard

    loaded = rig.load_rig(path)
    device, kind, spec = find(loaded, name)
    field = cockpit_build.FIELD[kind]
    wizard = Wizard(kind, spec.array(field).axes, signs=signs)
    calibration.load(loaded.calibration_path)  # a broken file is said before the wearer has done the work
    clock = RealClock()
    with Keyboard() as keyboard:
        if not keyboard.present:
            raise ConfigError("calibrate needs a terminal: you are asked to move and to press Enter")

        def confirmed() -> bool:
            keys = keyboard.keys(0.0)
            if "q" in keys or "\x1b" in keys:
                raise ConfigError(f"given up; {loaded.calibration_path} is as it was")
            return "\n" in keys or "\r" in keys

        driver = open_device(device, clock)
        try:
            print(f"Calibrating {name} ({device.rig.driver}).  q gives up.")
            values = converse(wizard, driver, spec, field, clock, confirmed, print)
        finally:
            driver.close()
    print(f"Saved to {save(loaded, device, values)}")
