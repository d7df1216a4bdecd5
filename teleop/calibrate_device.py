"""Runs the wizard on one device of a rig, without a session: opens the device here, reads it, asks at the terminal, saves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from telerig.hardware import calibration
from telerig.hardware.calibration import Calibration, DeviceCalibration
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.protocols import Clock, Device
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.teleop import cockpit_build, rig
from telerig.teleop.calibrate import Wizard
from telerig.teleop.calibrate_rehearsal import rehearsal
from telerig.teleop.open_port import opened

SILENT_NS = 2_000_000_000


def find(loaded: rig.Rig, name: str) -> tuple[rig.Device, str, StreamSpec]:
    """The device, what it is calibrated as, and the stream to watch.

    :raises ConfigError: no such device, or nothing to calibrate.
    """
    device = loaded.devices.get(name)
    if device is None:
        raise ConfigError(f"{loaded.path}: no device '{name}'; it has {', '.join(loaded.devices)}")
    found = cockpit_build.kind_of(cockpit_build.device_streams(device))
    if found is None or hasattr(device.driver, "send"):
        raise ConfigError(f"{loaded.path}: device '{name}' (driver {device.rig.driver}) has nothing to calibrate")
    return device, *found


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


def shown(values: Calibration) -> str:
    """Calibration values in a line a field."""
    fields = asdict(values)
    names = fields.pop("names")
    lines = (
        f"  {key}: " + ", ".join(f"{n} {v:g}" for n, v in zip(names, found, strict=True))
        for key, found in fields.items()
    )
    return "\n".join(lines)


def calibrate(path: Path, name: str, signs: bool, emulate: bool = False) -> None:
    """What ``telerig calibrate`` does.  An emulated device is rehearsed with, and nothing is saved.

    :raises ConfigError: see :func:`find`; there is no emulator to rehearse with, no terminal; it was given up.
    """
    from telerig.teleop.keyboard import Keyboard

    loaded = rig.load_rig(path, emulate)
    device, kind, spec = find(loaded, name)
    if emulate and not device.rig.emulate:  # else it would be the real one, and its values saved
        raise ConfigError(f"{path}: device '{name}': driver {device.rig.driver} has no emulator to rehearse with")
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

        rehearsed = device.rig.emulate
        with rehearsal(device, wizard, clock) if rehearsed else opened(device, clock, device.rig.port) as driver:
            print(f"Calibrating {name} ({device.rig.driver}).  q gives up.")
            if rehearsed:
                print("It is emulated: a simulated wearer does what is asked; press Enter at each step.")
            values = converse(wizard, driver, spec, field, clock, confirmed, print)
    if rehearsed:
        print(f"A rehearsal, not saved: an emulated device needs no calibration.  Measured:\n{shown(values)}")
    else:
        print(f"Saved to {save(loaded, device, values)}")
