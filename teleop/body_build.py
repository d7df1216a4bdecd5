"""A robot's body supervisor from what its worker was told; the policy is found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from telerig.hardware.commands import Mode
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.stance import Stance
from telerig.teleop.body import Body, LegDrive
from telerig.teleop.body_rig import read_settings

if TYPE_CHECKING:
    from telerig.teleop.actuator import ActuatorLoop


def load_drive(told: Mapping[str, Any], embodiment: str, upper: tuple[str, ...]) -> LegDrive:
    """The policy that a rig names.  :raises ConfigError: it does not fit; one line."""
    rig = read_settings(told)
    module, _, attribute = str(told["factory"]).partition(":")
    drive: LegDrive = getattr(import_module(module), attribute)(
        load_embodiment(embodiment), upper, rig.policy, rig.model, told["beside"]
    )
    return drive


def body_maker(
    told: Mapping[str, Any] | None, name: str, device: Any, press_estop: Callable[[], None]
) -> Callable[[ActuatorLoop], Body] | None:
    """What :class:`~telerig.teleop.actuator.ActuatorLoop` builds its body with; None for robots without.

    :raises ConfigError: the policy does not fit the robot.
    """
    if told is None:
        return None
    embodiment = device.config.embodiment
    upper = next(t.names for t in device.targets if t.mode is Mode.JOINT_POSITION)
    drive, stance, rig = load_drive(told, embodiment, upper), Stance(load_embodiment(embodiment)), read_settings(told)

    def make(loop: ActuatorLoop) -> Body:
        return Body(name, device, drive, stance, rig, loop.publish, loop.report, lambda _: loop.fall(press_estop))

    return make
