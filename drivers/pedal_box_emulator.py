"""The pedal box's other half: feet in, frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from telerig.drivers.emulation_sensor import FramedEmulator, checked
from telerig.drivers.pedal_box import PEDAL_NAMES, SWITCH_NAMES, PedalBoxConfig
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire.messages import (
    ADC_MAX,
    NOT_MEASURED,
    PEDALS,
    DeviceType,
    Identity,
    Message,
    Side,
    pack_pedals,
)

NOISE_COUNTS = 2.0


class PedalBoxEmulator(FramedEmulator):
    """An emulated :class:`~telerig.drivers.pedal_box.PedalBox`; at rest: pedals released, only *stop* closed.

    One more fault: ``dead_channel`` (``channel``): the wire of that pedal is broken.
    """

    FAULTS = (*FramedEmulator.FAULTS, "dead_channel")
    controls = StreamSpec(
        "controls",
        (
            ArraySpec("position", (PEDALS,), "<f8", "", PEDAL_NAMES, low=0.0, high=1.0),
            ArraySpec("switches", (PEDALS,), "<f8", "", SWITCH_NAMES, low=0.0, high=1.0),
        ),
        200.0,
    )

    def __init__(
        self, config: PedalBoxConfig, *, drift_ppm: float = -15.0, offset_us: int = 2_000_000, seed: int = 3
    ) -> None:
        serial = config.serial or "EMULATED"
        identity = Identity(DeviceType.PEDAL_BOX, (1, 0), Side.NONE, 2 * PEDALS, round(config.rate_hz), serial)
        super().__init__(Message.PEDALS, identity, drift_ppm=drift_ppm, offset_us=offset_us, seed=seed)
        self._released, self._pressed = np.array(config.released, float), np.array(config.pressed, float)
        self._noise = np.random.default_rng(seed).normal(0.0, NOISE_COUNTS, (1021, PEDALS))
        self._position = np.zeros(PEDALS)
        self._switches = [0, 0, 1]

    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """``position`` (3,), 0 … 1, and ``switches`` (3,), 1 = closed; a NaN leaves things as they are."""
        found = checked(values, self.controls)
        if "position" in found:
            value = found["position"]
            self._position = np.where(np.isnan(value), self._position, np.clip(value, 0.0, 1.0))
        if "switches" in found:
            pairs = zip(found["switches"], self._switches, strict=True)
            self._switches = [old if np.isnan(new) else int(new > 0.5) for new, old in pairs]

    def measure(self, k: int) -> bytes:
        """One PEDALS payload."""
        exact = self._released + (self._pressed - self._released) * self._position
        counts = np.clip(np.rint(exact + self._noise[k % len(self._noise)]), 0, ADC_MAX).astype(int).tolist()
        dead = self.faults.get("dead_channel")
        if dead is not None:
            counts[int(dead.get("channel", 0)) % PEDALS] = NOT_MEASURED
        return pack_pedals(counts, self._switches)
