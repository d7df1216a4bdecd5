"""``[body]`` in a rig file: a robot on its own feet, who balances it, and when that has failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.legs import legs_of
from telerig.teleop.config_values import build_config
from telerig.teleop.rig import Rig

DRIVE = "telerig.policies.body.drive:build"  # by name: nothing that operates imports what has learned


@dataclass(frozen=True, slots=True)
class BodyRig:
    """The table's keys.  Angles in degrees: tilts are measured against the pose that the policy stands in.

    :param device: the robot; its driver has legs.
    :param policy: a body policy by name, or a manifest's path beside the rig file;  ``model``: its ONNX file, where the
        manifest does not say.
    :param rise_s: how long stiffness and pose take from limp to standing.
    :param settle_s: how long it must be still before it is engaged, and before the policy takes over.
    :param level_deg: tilt below which it may be engaged.
    :param fall_deg: tilt that is a fall: damped, and a latched stop.
    :param fall_m: pelvis' height above the soles that is a fall.
    :param calm_from_deg, calm_to_deg, calm_least: the arms' speed limit falls between these tilts, from all of it to this
        part of it.
    """

    device: str
    policy: str
    model: str = ""
    rise_s: float = 2.0
    settle_s: float = 0.5
    level_deg: float = 12.0
    fall_deg: float = 45.0
    fall_m: float = 0.20
    calm_from_deg: float = 12.0
    calm_to_deg: float = 30.0
    calm_least: float = 0.2

    def __post_init__(self) -> None:
        if not 0.5 <= self.rise_s <= 20.0:
            raise ConfigError(f"rise_s: {self.rise_s}; 0.5 to 20 s is right")
        if not 0.1 <= self.settle_s <= 5.0:
            raise ConfigError(f"settle_s: {self.settle_s}; 0.1 to 5 s is right")
        if not 0.0 < self.level_deg < self.fall_deg <= 80.0:
            raise ConfigError(f"level_deg {self.level_deg}, fall_deg {self.fall_deg}; 0 < level < fall <= 80 is right")
        if not 0.0 < self.fall_m < 2.0:
            raise ConfigError(f"fall_m: {self.fall_m}; above 0 and below 2 m is right")
        if not 0.0 <= self.calm_from_deg < self.calm_to_deg <= 90.0:
            raise ConfigError(
                f"calm_from_deg {self.calm_from_deg}, calm_to_deg {self.calm_to_deg}; 0 <= from < to <= 90 is right"
            )
        if not 0.05 <= self.calm_least <= 1.0:
            raise ConfigError(f"calm_least: {self.calm_least}; 0.05 to 1 is right")

    def calm(self, tilt: float) -> float:
        """The part of their speed limit that arms have at this tilt, rad; least where it is unknown."""
        if not math.isfinite(tilt):
            return self.calm_least
        low, high = math.radians(self.calm_from_deg), math.radians(self.calm_to_deg)
        part = min(max((tilt - low) / (high - low), 0.0), 1.0)
        return 1.0 - part * (1.0 - self.calm_least)


def body_rig(rig: Rig) -> BodyRig | None:
    """A rig's ``[body]``; None where its robot does not stand on its own feet.

    :raises ConfigError: it does not fit the rig; one line a mistake.
    """
    legged = [name for name, d in rig.devices.items() if hasattr(d.driver, "send_legs")]
    if not rig.file.body:
        if legged:
            raise ConfigError(
                f"{rig.path}: devices.{legged[0]} stands on its own feet: add [body] device = '{legged[0]}', policy = …"
            )
        return None
    try:
        found: BodyRig = build_config(BodyRig, dict(rig.file.body), "body")
    except ConfigError as error:
        raise ConfigError("\n".join(f"{rig.path}: {line}" for line in str(error).splitlines()))
    if found.device not in legged:
        names = ", ".join(legged) or "none does"
        raise ConfigError(f"{rig.path}: body.device: '{found.device}' does not stand on its own feet ({names})")
    legs_of(load_embodiment(rig.devices[found.device].config.embodiment))
    return found


def body_settings(rig: Rig, device: str) -> dict[str, Any] | None:
    """What a robot's worker is told to build its body from, as plain values; None for robots without.

    :raises ConfigError: as :func:`body_rig`.
    """
    found = body_rig(rig)
    if found is None or found.device != device:
        return None
    return settings_of(found, rig.path.parent)


def settings_of(body: BodyRig, beside: Path) -> dict[str, Any]:
    """The same of a table by itself.  ``beside``: the folder that its files' paths begin in."""
    return {"rig": asdict(body), "beside": str(beside), "factory": DRIVE}


def read_settings(told: Mapping[str, Any]) -> BodyRig:
    """The table back from :func:`body_settings`."""
    return BodyRig(**told["rig"])
