"""The Hall glove's other half: flexion in, frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from telerig.drivers.emulation_sensor import FramedEmulator, checked
from telerig.drivers.hall_glove import HallGloveConfig
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire.messages import (
    ADC_MAX,
    GLOVE_CHANNELS,
    GLOVE_JOINTS,
    NOT_MEASURED,
    DeviceType,
    Identity,
    Message,
    Side,
    pack_glove,
)

NOISE_COUNTS = 2.0
CONTROLS = StreamSpec(
    "controls", (ArraySpec("flexion", (GLOVE_CHANNELS,), "<f8", "", GLOVE_JOINTS, low=0.0, high=1.0),), 200.0
)


class HallSensors:
    """16 Hall sensors on a hand: flexion 0 (open) … 1 (closed) to ADC counts.

    Every joint has ends of its own, as magnets and fingers have, drawn by ``seed``: open about 1100, closed about 2900
    counts.  Noise is Gaussian, σ = 2 counts, and depends on ``seed`` and the sample's number only.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.open_counts = rng.uniform(900.0, 1300.0, GLOVE_CHANNELS)
        self.closed_counts = rng.uniform(2600.0, 3200.0, GLOVE_CHANNELS)
        self._noise = rng.normal(0.0, NOISE_COUNTS, (1021, GLOVE_CHANNELS))
        self._flexion = np.array([0.5 if "abduction" in joint else 0.0 for joint in GLOVE_JOINTS])

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """``flexion`` (16,), 0…1; a NaN leaves its joint where it is."""
        for value in checked(values, CONTROLS).values():
            self._flexion = np.where(np.isnan(value), self._flexion, np.clip(value, 0.0, 1.0))

    def counts(self, k: int) -> list[int]:
        """What the ADC gives for sample ``k``."""
        exact = self.open_counts + (self.closed_counts - self.open_counts) * self._flexion
        noisy = np.rint(exact + self._noise[k % len(self._noise)])
        found: list[int] = np.clip(noisy, 0, ADC_MAX).astype(int).tolist()
        return found


class HallGloveEmulator(FramedEmulator):
    """An emulated :class:`~telerig.drivers.hall_glove.HallGlove`.

    ``sensors.open_counts`` and ``sensors.closed_counts`` (16,) are what calibration should find.
    One more fault: ``dead_channel`` (``channel``): that sensor does not answer.
    """

    FAULTS = (*FramedEmulator.FAULTS, "dead_channel")
    controls = CONTROLS

    def __init__(
        self, config: HallGloveConfig, *, drift_ppm: float = 20.0, offset_us: int = 1_000_000, seed: int | None = None
    ) -> None:
        side = Side[config.side.upper()]
        serial = config.serial or f"EMULATED-{config.side.upper()}"
        identity = Identity(DeviceType.GLOVE, (1, 0), side, GLOVE_CHANNELS, round(config.rate_hz), serial)
        seed = int(side) if seed is None else seed
        super().__init__(Message.GLOVE, identity, drift_ppm=drift_ppm, offset_us=offset_us, seed=seed)
        self.sensors = HallSensors(seed)

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """``flexion`` (16,), 0 (open) … 1 (closed)."""
        self.sensors.set_values(values)

    def measure(self, k: int) -> bytes:
        """One GLOVE payload."""
        counts = self.sensors.counts(k)
        dead = self.faults.get("dead_channel")
        if dead is not None:
            counts[int(dead.get("channel", 0)) % GLOVE_CHANNELS] = NOT_MEASURED
        return pack_glove(counts)
