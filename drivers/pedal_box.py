"""The pedal box: three analog pedals (speed, yaw, height) and three switches (enable, episode, stop), docs/wire.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.serial_stream import FramedStream
from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Value
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire.messages import PEDALS, DeviceType, Identity, Message, Side, unpack_pedals

PEDAL_NAMES = ("speed", "yaw", "height")
SWITCH_NAMES = ("enable", "episode", "stop")


@dataclass(frozen=True, slots=True)
class PedalBoxConfig:
    """The box's keys in a rig file.

    :param released, pressed: ADC counts at a pedal's two ends.
    :param margin: counts beyond the ends that are still believed; further out the wire is broken: not valid.
    """

    serial: str = ""
    baud: int = 921_600
    rate_hz: float = 100.0
    released: tuple[int, int, int] = (400, 400, 400)
    pressed: tuple[int, int, int] = (3600, 3600, 3600)
    margin: int = 250

    def __post_init__(self) -> None:
        for name, low, high in zip(PEDAL_NAMES, self.released, self.pressed, strict=True):
            if abs(high - low) < 100:
                raise ConfigError(f"pedal {name}: released {low} and pressed {high} must be 100 counts apart or more")


def pedal_stream(name: str, rate_hz: float) -> StreamSpec:
    """``NAME/pedals``: positions 0 (released) … 1 (pressed); switches 1 = closed.  *stop* is normally closed."""
    position = ArraySpec("position", (PEDALS,), "<f8", "", PEDAL_NAMES, low=0.0, high=1.0)
    switches = ArraySpec("switches", (PEDALS,), "<u1", "", SWITCH_NAMES, low=0.0, high=1.0)
    return StreamSpec(f"{name}/pedals", (position, switches), rate_hz)


class PedalBox(FramedStream):
    """Streams ``NAME/pedals``; a pedal whose wire is broken is NaN and not valid."""

    Config = PedalBoxConfig

    def __init__(self, config: PedalBoxConfig, context: DeviceContext) -> None:
        expected = Identity(DeviceType.PEDAL_BOX, (0, 0), Side.NONE, 2 * PEDALS, round(config.rate_hz), config.serial)
        super().__init__(context, pedal_stream(context.name, config.rate_hz), Message.PEDALS, expected)
        self._released = np.array(config.released, np.float64)
        self._range = np.array(config.pressed, np.float64) - self._released
        self._margin = config.margin / np.abs(self._range)

    def values(self, payload: bytes) -> tuple[Mapping[str, Value], NDArray[np.bool_]]:
        """Positions and switches from a PEDALS message."""
        counts, switches = unpack_pedals(payload)
        position = (np.array(counts, np.float64) - self._released) / self._range
        sound = (position >= -self._margin) & (position <= 1.0 + self._margin)
        position = np.where(sound, np.clip(position, 0.0, 1.0), np.nan)
        valid = np.concatenate((sound, np.ones(PEDALS, bool)))
        return {"position": position, "switches": np.array(switches, np.uint8)}, valid
