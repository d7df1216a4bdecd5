"""The Homunculus glove: 16 Hall sensors, lines of text without number or clock (hardware/wire/homunculus.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from telerig.drivers.hall_glove import glove_stream
from telerig.drivers.serial_stream import SerialStream
from telerig.hardware.errors import DeviceIdentityError
from telerig.hardware.protocols import DeviceContext, Port
from telerig.hardware.samples import Sample
from telerig.hardware.wire.homunculus import MAX_LINE, LineParser
from telerig.hardware.wire.messages import GLOVE_CHANNELS

PATIENCE = 8  # refused lines, with none accepted, until it is plain that this is another device


@dataclass(frozen=True, slots=True)
class HomunculusGloveConfig:
    """A Homunculus glove's keys in a rig file.

    :param side: which hand it is on; the glove itself cannot tell, so nothing checks it.
    :param rate_hz: measured rate of the firmware in use: about 250 over USB, 140 over a true UART at 115200 baud.
    """

    side: Literal["left", "right"]
    baud: int = 115_200
    rate_hz: float = 250.0


class HomunculusGlove(SerialStream):
    """Streams ``NAME/joints`` like :class:`~telerig.drivers.hall_glove.HallGlove`.

    There is no device clock: lines that arrive together are spaced back by the nominal period, and marked ``spaced``.
    """

    Config = HomunculusGloveConfig

    def __init__(self, config: HomunculusGloveConfig, context: DeviceContext) -> None:
        super().__init__(context, (glove_stream(context.name, config.rate_hz),))
        self._period = round(1e9 / config.rate_hz)
        self.parser = LineParser()
        self._newest = -(1 << 62)

    def greet(self, port: Port) -> None:
        """Nothing to ask; a new port begins in the middle of a line."""
        self.parser = LineParser()

    def decode(self, chunk: bytes, t_arrival: int) -> list[Sample]:
        """Samples from a chunk.  :raises DeviceIdentityError: line after line is not a Homunculus glove's."""
        lines = self.parser.feed(chunk)
        if not self.parser.lines:
            self._doubt()
        samples = []
        for behind, counts in zip(range(len(lines) - 1, -1, -1), lines, strict=True):
            t = self._newest = max(self._newest + 1, t_arrival - behind * self._period)
            data = {"counts": np.array(counts, np.float64)}
            valid = np.ones(GLOVE_CHANNELS, bool)
            spaced = len(lines) > 1
            samples.append(
                Sample(self.streams[0].name, t_arrival, t, data, self._period // 2, valid=valid, spaced=spaced)
            )
        return samples

    def _doubt(self) -> None:
        """Refuse a port on which nothing like a glove has been heard."""
        name, parser = self.context.name, self.parser
        if parser.refused >= PATIENCE:
            words = len(parser.last_refused.split())
            raise DeviceIdentityError(
                f"{name}: lines of {words} words where a Homunculus glove sends {GLOVE_CHANNELS} numbers"
            )
        if parser.resync_bytes > PATIENCE * MAX_LINE:
            raise DeviceIdentityError(
                f"{name}: {parser.resync_bytes} bytes without a line of text: another device or baud rate"
            )

    def report(self, last: bool = False) -> None:
        """Lines that are not 16 counts.  (Lost lines leave no trace in this format.)"""
        self.losses.update("device.bad_lines", self.parser.refused, "damaged lines refused", last)
