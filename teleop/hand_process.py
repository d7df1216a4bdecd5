"""The process that moves emulated sensors: a virtual operator, or a benchmark's metronome.

Whatever moves them is a *hand*: ``step(now, readers) -> {device: {field: values}}``, pure but for the streams it may read.
It writes emulated sensor values (``NAME/controls``) and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from telerig.hardware.protocols import StreamReader
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.teleop.child import Child, ChildReaders

RATE_HZ = 100.0
Values = Mapping[str, Mapping[str, Sequence[float]]]


class Hand(Protocol):
    """What moves emulated sensors."""

    def step(self, now: int, readers: Mapping[str, StreamReader]) -> Values: ...


def load_hand(settings: Mapping[str, Any]) -> Hand:
    """``{"factory": "module:Class", "config": {…}}`` → the hand."""
    module, _, attribute = str(settings["factory"]).partition(":")
    hand: Hand = getattr(import_module(module), attribute)(**settings.get("config", {}))
    return hand


def controls_sample(spec: StreamSpec, values: Mapping[str, Sequence[float]], now: int) -> Sample:
    """One device's emulated sensor values as a sample of its ``controls`` stream."""
    data = {a.name: np.asarray(values[a.name], a.dtype).reshape(a.shape) for a in spec.arrays}
    return Sample(spec.name, now, now, data)


def run(child: Child) -> None:
    """Move the sensors 100 times a second until the session ends."""
    hand = load_hand(child.settings)
    readers = ChildReaders(child)
    child.go_realtime()
    due = child.clock.now()
    while not child.stopping:
        due = max(due + round(1e9 / RATE_HZ), child.clock.now() - 100_000_000)
        child.clock.sleep_until(due)
        child.beat()
        for device, values in hand.step(child.clock.now(), readers).items():
            writer = child.writer(f"{device}/controls")
            writer.write(controls_sample(writer.spec, values, child.clock.now()))
