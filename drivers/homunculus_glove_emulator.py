"""The Homunculus glove's other half: flexion in, lines of text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from telerig.drivers.emulation_sensor import SensorEmulator
from telerig.drivers.hall_glove_emulator import CONTROLS, HallSensors
from telerig.drivers.homunculus_glove import HomunculusGloveConfig
from telerig.hardware.wire.homunculus import encode_line


class HomunculusGloveEmulator(SensorEmulator):
    """An emulated :class:`~telerig.drivers.homunculus_glove.HomunculusGlove`; the journal numbers what the wire cannot.

    One more fault: ``wrong_device`` (sends the 21 numbers of a Homunculus *arm*).
    """

    FAULTS = (*SensorEmulator.FAULTS, "wrong_device")
    controls = CONTROLS

    def __init__(self, config: HomunculusGloveConfig, *, drift_ppm: float = 20.0, seed: int | None = None) -> None:
        seed = {"left": 1, "right": 2}[config.side] if seed is None else seed
        super().__init__(config.rate_hz, drift_ppm=drift_ppm, seed=seed)
        self.sensors = HallSensors(seed)

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """``flexion`` (16,), 0 (open) … 1 (closed)."""
        self.sensors.set_values(values)

    def measure(self, k: int) -> bytes:
        """One line."""
        counts = self.sensors.counts(k)
        return encode_line(counts if self.faults.get("wrong_device") is None else [*counts, *counts[:5]])

    def message(self, k: int, clock_us: int, payload: bytes) -> bytes:
        """The line is the message."""
        return payload
