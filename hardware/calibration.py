"""What is measured once per device so that its numbers mean something: calibration values and their file.

One JSON file per rig, ``RIG.calibration.json``, holds every device of it::

    {"format": "telerig.calibration", "version": 1,
     "devices": {"exo_left": {"driver": "exo_arm", "identity": "/dev/serial/by-id/…", "made":
                              "2026-11-22T10:00:00+00:00", "kind": "joints", "names": […], "neutral": […], "sign":
                              […]}}}

``identity`` says which unit it was measured on (serial number, port, or ``emulated``): another unit needs its own.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from telerig.hardware.errors import DataError

FORMAT = "telerig.calibration"
VERSION = 1
EMULATED = "emulated"
MIN_GLOVE_COUNTS = 200.0  # of 4095: less is a magnet out of place
MIN_PEDAL_TRAVEL = 0.2
GLOVE_OPEN, GLOVE_CLOSED = 1100.0, 2900.0  # where Hall joints end, about: good enough for emulated gloves


@dataclass(frozen=True, slots=True)
class JointCalibration:
    """An exoskeleton or leader arm, one value a servo.

    :param neutral: rad, raw servo angle in the neutral pose.
    :param sign: +1 where the servo turns as the arm's joint does, -1 where it is mounted the other way round.
    :raises DataError: sizes differ, not finite, or a sign that is not ±1.
    """

    kind: ClassVar[str] = "joints"
    names: tuple[str, ...]
    neutral: tuple[float, ...]
    sign: tuple[float, ...]

    def __post_init__(self) -> None:
        _check(self)
        for name, sign in zip(self.names, self.sign, strict=True):
            if sign not in (1.0, -1.0):
                raise DataError(f"sign of {name} is {sign}; 1 or -1 is right")
        for name, angle in zip(self.names, self.neutral, strict=True):
            if abs(angle) > 2 * math.pi:
                raise DataError(f"neutral of {name} is {angle} rad; it lies within ±2π (is it in degrees?)")


@dataclass(frozen=True, slots=True)
class GloveCalibration:
    """A Hall-sensor glove, ADC counts of each joint with the hand flat open and closed to a fist.

    :raises DataError: sizes differ, not finite, or a range under 200 counts.
    """

    kind: ClassVar[str] = "glove"
    names: tuple[str, ...]
    open: tuple[float, ...]
    closed: tuple[float, ...]

    def __post_init__(self) -> None:
        _check(self)
        _check_range(self.names, self.open, self.closed, MIN_GLOVE_COUNTS, "counts")


@dataclass(frozen=True, slots=True)
class PedalCalibration:
    """Pedals, position 0…1 as the driver gives it, untouched and fully pressed.

    :raises DataError: sizes differ, not finite, or a travel under 0.2.
    """

    kind: ClassVar[str] = "pedals"
    names: tuple[str, ...]
    rest: tuple[float, ...]
    pressed: tuple[float, ...]

    def __post_init__(self) -> None:
        _check(self)
        _check_range(self.names, self.rest, self.pressed, MIN_PEDAL_TRAVEL, "of the travel")


Calibration = JointCalibration | GloveCalibration | PedalCalibration
KINDS: dict[str, type[Any]] = {c.kind: c for c in (JointCalibration, GloveCalibration, PedalCalibration)}


@dataclass(frozen=True, slots=True)
class DeviceCalibration:
    """Values and where they come from.

    :param identity: the unit they were measured on: its serial number, its port, or ``emulated``.
    :param made: ISO 8601 instant, with offset.
    """

    driver: str
    identity: str
    made: str
    values: Calibration


def default_calibration(kind: str, names: tuple[str, ...]) -> Calibration:
    """The identity: what an emulated device has, and a real one until it is calibrated.

    :raises DataError: ``kind`` is unknown.
    """
    n = len(names)
    if kind == JointCalibration.kind:
        return JointCalibration(names, (0.0,) * n, (1.0,) * n)
    if kind == GloveCalibration.kind:
        return GloveCalibration(names, (GLOVE_OPEN,) * n, (GLOVE_CLOSED,) * n)
    if kind == PedalCalibration.kind:
        return PedalCalibration(names, (0.0,) * n, (1.0,) * n)
    raise DataError(f"calibration of kind '{kind}'; known: {', '.join(KINDS)}")


def dump(devices: Mapping[str, DeviceCalibration]) -> str:
    """The file's text; :func:`parse` is the inverse, exactly."""
    out: dict[str, Any] = {"format": FORMAT, "version": VERSION, "devices": {}}
    for name, d in sorted(devices.items()):
        values = {f.name: list(getattr(d.values, f.name)) for f in fields(d.values)}
        head = {"driver": d.driver, "identity": d.identity, "made": d.made, "kind": d.values.kind}
        out["devices"][name] = head | values
    return json.dumps(out, indent=1, allow_nan=False) + "\n"


def parse(text: str, where: str = "calibration") -> dict[str, DeviceCalibration]:
    """Devices' calibrations by name.  :raises DataError: one line with file, device and what is wrong."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not JSON: {error}")
    if not isinstance(raw, dict) or raw.get("format") != FORMAT or not isinstance(raw.get("devices"), dict):
        raise DataError(f"{where}: not a calibration file (format '{FORMAT}')")
    if raw.get("version") != VERSION:
        raise DataError(f"{where}: version {raw.get('version')}; this telerig reads {VERSION}")
    return {name: _device(table, f"{where}: {name}") for name, table in raw["devices"].items()}


def load(path: Path) -> dict[str, DeviceCalibration]:
    """Read a calibration file; an absent one is empty.  :raises DataError: as :func:`parse`."""
    try:
        return parse(path.read_text(), str(path))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}")


def save(path: Path, devices: Mapping[str, DeviceCalibration]) -> None:
    """Write a calibration file whole or not at all (temporary name, fsync, rename)."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w") as file:
        file.write(dump(devices))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _device(table: Any, where: str) -> DeviceCalibration:
    if not isinstance(table, dict):
        raise DataError(f"{where}: not a table")
    missing = {"driver", "identity", "made", "kind"} - table.keys()
    if missing:
        raise DataError(f"{where}: {', '.join(sorted(missing))} missing")
    cls = KINDS.get(str(table["kind"]))
    if cls is None:
        raise DataError(f"{where}: kind '{table['kind']}'; known: {', '.join(KINDS)}")
    keys = {f.name for f in fields(cls)}
    if table.keys() != keys | {"driver", "identity", "made", "kind"}:
        raise DataError(f"{where}: a calibration of kind '{cls.kind}' has {', '.join(sorted(keys))}")
    try:
        names = tuple(str(n) for n in table["names"])
        numbers = {k: tuple(float(v) for v in table[k]) for k in keys - {"names"}}
        values: Calibration = cls(names=names, **numbers)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}")
    except DataError as error:
        raise DataError(f"{where}: {error}")
    return DeviceCalibration(str(table["driver"]), str(table["identity"]), str(table["made"]), values)


def _check(values: Calibration) -> None:
    for item in fields(values):
        found = getattr(values, item.name)
        if len(found) != len(values.names):
            raise DataError(f"{item.name} has {len(found)} values for {len(values.names)} names")
        if item.name != "names" and not all(math.isfinite(v) for v in found):
            bad = [n for n, v in zip(values.names, found, strict=True) if not math.isfinite(v)]
            raise DataError(f"{item.name} of {', '.join(bad)} is not finite")


def _check_range(
    names: tuple[str, ...], a: tuple[float, ...], b: tuple[float, ...], least: float, unit: str
) -> None:  # fmt: skip
    short = [f"{n} {abs(y - x):.4g}" for n, x, y in zip(names, a, b, strict=True) if abs(y - x) < least]
    if short:
        raise DataError(f"range of {', '.join(short)} {unit}; {least:g} is the least")
