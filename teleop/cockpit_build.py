"""From a rig file's ``[cockpit]`` to the operator's agent::

    [[cockpit.arms]]              # exoskeletons, leader arms: joints are copied
    device = "exo_left"
    target = "robot/upper"
    groups = ["left_arm"]         # the embodiment's groups that its servos copy, in order
    [[cockpit.hands]]             # gloves
    device = "glove_left"
    target = "robot/upper"
    groups = ["left_hand"]
    table = "three_finger"        # teleop/retarget/*.toml
    side = "left"
    [cockpit.pedals]              # a walking base
    device = "pedals"
    target = "robot/base"
    [cockpit.sticks]              # or a gamepad (driver gamepad)
    device = "pad"
    target = "robot/base"
    [cockpit.keyboard]            # or the keyboard, teleop/keyboard_drive.py
    target = "robot/base"

A real device needs its calibration (``telerig calibrate RIG DEVICE``) unless the rig says ``calibrate = false``; an
emulated one has the identity, or its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telerig.hardware import calibration
from telerig.hardware.calibration import (
    Calibration,
    DeviceCalibration,
    GloveCalibration,
    JointCalibration,
    PedalCalibration,
)
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import DEFAULT_TTL_NS, TargetSpec
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import DeviceContext, Observation
from telerig.hardware.specs import StreamSpec
from telerig.teleop.cockpit import Cockpit, Input, Part, elements
from telerig.teleop.config_values import build_config
from telerig.teleop.keyboard_drive import DRIVE
from telerig.teleop.retarget.base import height_now
from telerig.teleop.retarget.hand import HandMap, load_synergies
from telerig.teleop.retarget.joints import JointMap
from telerig.teleop.retarget.pedals import PedalMap, PedalShape
from telerig.teleop.retarget.sticks import StickMap, StickShape, WishMap
from telerig.teleop.rig import Device, Rig


@dataclass(frozen=True, slots=True)
class ArmRig:
    """``[[cockpit.arms]]``; the numbers are per robot joint, see :class:`JointMap`.  ``groups`` or ``joints``."""

    device: str
    target: str
    groups: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    take: tuple[int, ...] = ()
    sign: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class HandRig:
    """``[[cockpit.hands]]``.  Either ``groups`` or ``joints``."""

    device: str
    target: str
    table: str
    side: str
    groups: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PedalRig(PedalShape):
    """``[cockpit.pedals]``: a device, a target, and how the pedals feel."""

    device: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StickRig(StickShape):
    """``[cockpit.sticks]``: a gamepad, a target, and how its sticks feel."""

    device: str
    target: str


@dataclass(frozen=True, slots=True)
class KeyboardRig:
    """``[cockpit.keyboard]``: the base that keys drive."""

    target: str


SINGLE = ("pedals", "sticks", "keyboard")
FIELD = {JointCalibration.kind: "position", GloveCalibration.kind: "counts", PedalCalibration.kind: "position"}


def kind_of(streams: Sequence[StreamSpec]) -> tuple[str, StreamSpec] | None:
    """What a device can be calibrated as, and the stream to watch; None for cameras and the like."""
    for spec in streams:
        names = {a.name for a in spec.arrays}
        if "counts" in names:
            return GloveCalibration.kind, spec
        if {"position", "switches"} <= names:
            return PedalCalibration.kind, spec
        if "position" in names:
            return JointCalibration.kind, spec
    return None


def device_streams(device: Device) -> tuple[StreamSpec, ...]:
    """The streams a device will have; nothing is opened."""
    probe = device.driver(device.config, DeviceContext(device.name, RealClock(0)))
    return tuple(probe.streams)


def identity(device: Device) -> str:
    """Which unit this is: ``emulated``, its serial number where the rig gives one, or its port."""
    if device.rig.emulate:
        return calibration.EMULATED
    return str(getattr(device.config, "serial", "") or device.rig.port or device.name)


class _Builder:
    """Builds parts; remembers what was calibrated."""

    def __init__(self, rig: Rig, targets: Sequence[TargetSpec]) -> None:
        self.rig, self.targets = rig, {t.name: t for t in targets}
        self.saved = calibration.load(rig.calibration_path)

    def device(self, name: str, kind: str) -> tuple[StreamSpec, Calibration]:
        """A device's stream and calibration.  :raises ConfigError: unknown, of another kind, or not calibrated."""
        device = self.rig.devices.get(name)
        if device is None:
            raise ConfigError(f"device '{name}' is not in this rig ({', '.join(self.rig.devices)})")
        found = kind_of(device_streams(device))
        if found is None or found[0] != kind:
            raise ConfigError(f"device '{name}' (driver {device.rig.driver}) has no {FIELD[kind]} of {kind}")
        spec = found[1]
        return spec, device_calibration(self.rig, device, kind, spec.array(FIELD[kind]).axes, self.saved)

    def joints(self, part: ArmRig | HandRig) -> tuple[TargetSpec, tuple[int, ...]]:
        """The target and its elements that a part drives."""
        target = self.target(part.target)
        if bool(part.groups) == bool(part.joints):
            raise ConfigError("give either groups (of the embodiment) or joints")
        names = part.joints
        if part.groups:
            robot = self.rig.devices.get(part.target.partition("/")[0])
            embodiment = getattr(robot.config, "embodiment", "") if robot is not None else ""
            if not embodiment:
                raise ConfigError(f"{part.target}: its device has no embodiment, so no groups; give joints")
            names = load_embodiment(embodiment).joints(part.groups)
        return target, elements(target, names)

    def target(self, name: str) -> TargetSpec:
        """:raises ConfigError: the robot does not take it."""
        if name not in self.targets:
            raise ConfigError(f"target '{name}' is unknown; this rig's robot has {', '.join(self.targets)}")
        return self.targets[name]

    def arm(self, part: ArmRig) -> Part:
        """An exoskeleton or leader arm."""
        spec, values = self.device(part.device, JointCalibration.kind)
        target, into = self.joints(part)
        assert isinstance(values, JointCalibration)
        low, high = [target.low[i] for i in into], [target.high[i] for i in into]
        how = {key: getattr(part, key) for key in ("take", "sign", "offset", "scale")}
        convert = JointMap(values, low, high, **how)
        return Part(Input(spec, "position", convert.take), target.name, into, lambda raw, _: convert(raw))

    def hand(self, part: HandRig) -> Part:
        """A glove."""
        spec, values = self.device(part.device, GloveCalibration.kind)
        target, into = self.joints(part)
        assert isinstance(values, GloveCalibration)
        low, high = [target.low[i] for i in into], [target.high[i] for i in into]
        convert = HandMap(values, load_synergies(part.table, part.side), low, high)
        return Part(Input(spec, "counts", convert.take), target.name, into, lambda raw, _: convert(raw))

    def pedals(self, part: PedalRig) -> Part:
        """Pedals."""
        spec, values = self.device(part.device, PedalCalibration.kind)
        target = self.target(part.target)
        assert isinstance(values, PedalCalibration)
        convert = PedalMap(values, target, part)
        return Part(
            Input(spec, "position", range(3)), target.name, tuple(range(target.size)),
            lambda raw, now: convert(now, raw), convert.reset,
        )  # fmt: skip

    def sticks(self, part: StickRig) -> Part:
        """A gamepad."""
        device = self.rig.devices.get(part.device)
        if device is None:
            raise ConfigError(f"device '{part.device}' is not in this rig ({', '.join(self.rig.devices)})")
        specs = [s for s in device_streams(device) if "axes" in {a.name for a in s.arrays}]
        if not specs:
            raise ConfigError(f"device '{part.device}' (driver {device.rig.driver}) has no axes of a gamepad")
        target = self.target(part.target)
        convert = StickMap(target, part)

        def resume(observation: Observation) -> None:
            if (height := height_now(observation, target.name)) is not None:
                convert.stand_at(height)

        return Part(
            Input(specs[0], "axes", range(4)), target.name, tuple(range(target.size)),
            lambda raw, now: convert(now, raw), convert.reset, resume,
        )  # fmt: skip

    def keyboard(self, part: KeyboardRig) -> Part:
        """The command line's keys."""
        target = self.target(part.target)
        convert = WishMap(target)
        return Part(
            Input(DRIVE, "wish", range(4)), target.name, tuple(range(target.size)),
            lambda raw, now: convert(now, raw), convert.reset,
        )  # fmt: skip


def device_calibration(
    rig: Rig, device: Device, kind: str, names: tuple[str, ...], saved: Mapping[str, DeviceCalibration]
) -> Calibration:
    """A device's calibration values.

    :raises ConfigError: a real device without, or one made on another unit or for other joints.
    """
    found = saved.get(device.name)
    mine = identity(device)
    how = f"run: telerig calibrate {rig.path} {device.name}"
    if found is None or (device.rig.emulate and found.identity != mine):
        if device.rig.emulate or not device.rig.calibrate:
            return calibration.default_calibration(kind, names)
        raise ConfigError(f"device '{device.name}' is not calibrated; {how}")
    if found.identity != mine:
        raise ConfigError(f"device '{device.name}' is {mine}, but was calibrated as {found.identity}; {how}")
    if found.driver != device.rig.driver or found.values.kind != kind or found.values.names != names:
        raise ConfigError(f"device '{device.name}' was calibrated as {found.driver} with other joints; {how}")
    return found.values


def build(rig: Rig, targets: tuple[TargetSpec, ...], told: Mapping[str, Any]) -> Cockpit:
    """The agent of a rig's ``[cockpit]``.

    :raises ConfigError: every mistake, one line each: file, key, what is allowed.
    """
    raw = dict(rig.file.cockpit)
    builder = _Builder(rig, targets)
    parts: list[Part] = []
    mistakes: list[str] = []
    ttl_ms = raw.pop("ttl_ms", DEFAULT_TTL_NS / 1e6)
    if not isinstance(ttl_ms, int | float) or not 10 <= ttl_ms <= 1000:
        mistakes.append(f"cockpit.ttl_ms: {ttl_ms}; 10 to 1000 is right")
    makers: dict[str, tuple[type[Any], Any]] = {
        "arms": (ArmRig, builder.arm), "hands": (HandRig, builder.hand), "pedals": (PedalRig, builder.pedals),
        "sticks": (StickRig, builder.sticks), "keyboard": (KeyboardRig, builder.keyboard),
    }  # fmt: skip
    for key, value in raw.items():
        if key not in makers:
            mistakes.append(f"cockpit.{key}: unknown key; known: {', '.join(makers)}, ttl_ms")
            continue
        tables = [value] if key in SINGLE else value
        if not isinstance(tables, list) or not all(isinstance(t, Mapping) for t in tables):
            mistakes.append(f"cockpit.{key}: must be {f'[cockpit.{key}]' if key in SINGLE else f'[[cockpit.{key}]]'}")
            continue
        for i, table in enumerate(tables):
            where = f"cockpit.{key}" if key in SINGLE else f"cockpit.{key}.{i}"
            try:
                parts.append(_part(*makers[key], table, where))
            except ConfigError as error:
                mistakes += str(error).splitlines()
    if not mistakes:
        try:
            return Cockpit(parts, targets, round(ttl_ms * 1e6))
        except ConfigError as error:
            mistakes.append(str(error))
    raise ConfigError("\n".join(f"{rig.path}: {line}" for line in mistakes))


def _part(config: type[Any], make: Any, table: Mapping[str, Any], where: str) -> Part:
    try:
        part: Part = make(build_config(config, table, ""))
    except ConfigError as error:
        raise ConfigError("\n".join(f"{where}: {line}" for line in str(error).splitlines()))
    return part
