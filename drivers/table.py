"""One table from a driver's name in a rig file to its class, loaded lazily; entry points add others' drivers.

A third-party package adds a driver with ``[project.entry-points."telerig.drivers"]  my_glove = "pkg.module:MyGlove"``;
its emulator, if it has one, goes by the same name into ``telerig.emulators``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from telerig.hardware.errors import ConfigError

DRIVERS = {
    "exo_arm": "telerig.drivers.exo_arm:ExoArm",
    "hall_glove": "telerig.drivers.hall_glove:HallGlove",
    "homunculus_glove": "telerig.drivers.homunculus_glove:HomunculusGlove",
    "pedal_box": "telerig.drivers.pedal_box:PedalBox",
    "gamepad": "telerig.drivers.gamepad:Gamepad",
    "dynamixel_arm": "telerig.drivers.dynamixel_arm:DynamixelArm",
    "synthetic_camera": "telerig.drivers.synthetic_camera:SyntheticCamera",
    "uvc_camera": "telerig.drivers.uvc_camera:UvcCamera",
    "realsense": "telerig.drivers.realsense:RealSense",
    "mujoco_world": "telerig.drivers.mujoco.world:MujocoWorld",
    "mujoco_robot": "telerig.drivers.mujoco.robot:MujocoRobot",
    "mujoco_humanoid": "telerig.drivers.mujoco.humanoid:MujocoHumanoid",
    "mujoco_camera": "telerig.drivers.mujoco.camera:MujocoCamera",
    "unitree_g1": "telerig.drivers.unitree_g1.robot:UnitreeG1",
    "unitree_g1_humanoid": "telerig.drivers.unitree_g1.humanoid:UnitreeG1Humanoid",
    "unitree_g1_emulator": "telerig.drivers.unitree_g1.emulator:UnitreeG1Emulator",
}

EMULATORS = {
    "exo_arm": "telerig.drivers.exo_arm_emulator:ExoArmEmulator",
    "hall_glove": "telerig.drivers.hall_glove_emulator:HallGloveEmulator",
    "homunculus_glove": "telerig.drivers.homunculus_glove_emulator:HomunculusGloveEmulator",
    "pedal_box": "telerig.drivers.pedal_box_emulator:PedalBoxEmulator",
    "dynamixel_arm": "telerig.drivers.dynamixel_arm_emulator:DynamixelArmEmulator",
}

# Virtual operators: they move emulated sensors, never a robot.
OPERATORS = {
    "pick_place": "telerig.drivers.operator_pick_place:PickPlaceOperator",
    "shelf_to_table": "telerig.drivers.operator_shelf_to_table:ShelfToTableOperator",
}


def _load(table: dict[str, str], group: str, kind: str, name: str) -> type[Any]:
    if name in table:
        module, _, attribute = table[name].partition(":")
        found: type[Any] = getattr(import_module(module), attribute)
        return found
    for entry in entry_points(group=group):
        if entry.name == name:
            loaded: type[Any] = entry.load()
            return loaded
    raise ConfigError(f"{kind} '{name}' is unknown; known: {', '.join(names(table, group))}")


def names(table: dict[str, str] = DRIVERS, group: str = "telerig.drivers") -> list[str]:
    """Every known name, sorted."""
    return sorted({*table, *(e.name for e in entry_points(group=group))})


def driver(name: str) -> type[Any]:
    """The driver class of that name; its ``Config`` attribute is the dataclass of its rig keys.

    :raises ConfigError: there is none.
    """
    return _load(DRIVERS, "telerig.drivers", "driver", name)


def emulator(name: str) -> type[Any]:
    """The emulator class of a driver.  :raises ConfigError: that driver has none."""
    return _load(EMULATORS, "telerig.emulators", "emulator for driver", name)


def has_emulator(name: str) -> bool:
    """Whether a driver has an emulator, telerig's own or another package's."""
    return name in EMULATORS or any(e.name == name for e in entry_points(group="telerig.emulators"))


def operator(name: str) -> type[Any]:
    """The virtual operator of that name.  :raises ConfigError: there is none."""
    return _load(OPERATORS, "telerig.operators", "virtual operator", name)
