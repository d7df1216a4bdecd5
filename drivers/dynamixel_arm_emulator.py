"""The follower arm's other half: seven servos that go where they are told, against an outside load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from telerig.drivers.dynamixel_arm import DynamixelArmConfig
from telerig.drivers.dynamixel_emulator import DynamixelChain
from telerig.drivers.dynamixel_servo import Servo
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire import dynamixel_table as table


class DynamixelArmEmulator(DynamixelChain):
    """``controls``: ``load`` (7,) N·m, outside torque on each servo shaft (gravity, a push)."""

    def __init__(self, config: DynamixelArmConfig, tau: float = 0.04) -> None:
        model = table.MODEL_NAMES[config.model or "XM430-W350"]
        super().__init__((Servo(i, model, tau=tau) for i in config.ids), config.baud, config.wire_time)
        self.controls = StreamSpec(
            "controls", (ArraySpec("load", (len(config.ids),), "<f8", "N·m", config.names),), config.rate_hz
        )

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """``load``: one an id, in the configuration's order.  :raises KeyError, ValueError: anything else."""
        for servo, load in zip(self.servos.values(), values["load"], strict=True):
            servo.load = float(load)
