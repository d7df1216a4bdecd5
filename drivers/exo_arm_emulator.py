"""The exoskeleton arm's other half: seven limp servos whose shafts a wearer moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from telerig.drivers.dynamixel_emulator import DynamixelChain
from telerig.drivers.dynamixel_servo import Servo
from telerig.drivers.exo_arm import ExoArmConfig
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire import dynamixel_table as table


class ExoArmEmulator(DynamixelChain):
    """``controls``: ``angle`` (7,) rad, the servo angles (0 = centre) that the wearer's arm imposes.

    A NaN leaves that joint where it is.
    """

    def __init__(self, config: ExoArmConfig) -> None:
        model = table.MODEL_NAMES[config.model or "XL330-M077"]
        super().__init__((Servo(i, model) for i in config.ids), config.baud, config.wire_time)
        for servo in self.servos.values():
            servo.move_hand(0.0)
        self.controls = StreamSpec(
            "controls", (ArraySpec("angle", (len(config.ids),), "<f8", "rad", config.joint_names),), config.rate_hz
        )

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """``angle``: one an id, in the configuration's order.  :raises KeyError, ValueError: anything else."""
        angles = values["angle"]
        for servo, angle in zip(self.servos.values(), angles, strict=True):
            if angle == angle:
                servo.move_hand(float(angle))
