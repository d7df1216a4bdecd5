"""A glove of 16 Hall sensors on a small board that sends telerig's binary frame (docs/wire.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.serial_stream import FramedStream
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Value
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire.messages import (
    ADC_MAX,
    GLOVE_CHANNELS,
    GLOVE_JOINTS,
    DeviceType,
    Identity,
    Message,
    Side,
    unpack_glove,
)


@dataclass(frozen=True, slots=True)
class HallGloveConfig:
    """A glove's keys in a rig file.

    :param side: the hand it is made for; a glove of the other hand is refused.
    :param serial: serial number, where one particular glove must be on the port; empty for any.
    :param baud: of a true UART; USB ignores it.
    """

    side: Literal["left", "right"]
    serial: str = ""
    baud: int = 921_600
    rate_hz: float = 250.0


def glove_stream(name: str, rate_hz: float) -> StreamSpec:
    """``NAME/joints``: ADC counts of the 16 joints, as the sensors give them; calibration makes angles of them."""
    counts = ArraySpec("counts", (GLOVE_CHANNELS,), "<f8", "ADC counts", GLOVE_JOINTS, low=0.0, high=float(ADC_MAX))
    return StreamSpec(f"{name}/joints", (counts,), rate_hz)


class HallGlove(FramedStream):
    """Streams ``NAME/joints`` with field ``counts`` (16,), 0…4095; a joint whose sensor is off is NaN and not valid."""

    Config = HallGloveConfig

    def __init__(self, config: HallGloveConfig, context: DeviceContext) -> None:
        side = Side[config.side.upper()]
        expected = Identity(DeviceType.GLOVE, (0, 0), side, GLOVE_CHANNELS, round(config.rate_hz), config.serial)
        super().__init__(context, glove_stream(context.name, config.rate_hz), Message.GLOVE, expected)

    def values(self, payload: bytes) -> tuple[Mapping[str, Value], NDArray[np.bool_]]:
        """Counts from a GLOVE message."""
        counts = np.array(unpack_glove(payload), np.float64)
        valid = counts <= ADC_MAX
        counts[~valid] = np.nan
        return {"counts": counts}, valid
