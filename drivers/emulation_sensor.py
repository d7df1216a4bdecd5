"""What emulated sensors share: a sample clock and a µs clock of their own, misbehaviour on demand, a journal.

Sans-IO and without :mod:`time`, like every emulator: bytes in, bytes out, as a function of the instant.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import ConfigError
from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire.frame import VERSION, Frame, FrameParser, encode_frame
from telerig.hardware.wire.messages import DeviceType, Identity, Message

BACKLOG_NS = 1_000_000_000  # what a board that nobody serves keeps; older samples are never sent, only numbered


@dataclass(slots=True)
class ActiveFault:
    """A fault in force.  ``until``: when it ends by itself (ns), None for never."""

    how: Mapping[str, float]
    until: int | None


class FaultBox:
    """The faults of one emulator or pipe, switched on for a while or until cleared.

    ``seconds`` in ``how`` limits a fault; its time begins with the first :meth:`at` afterwards, because whoever orders
    a fault has no clock.  The kind ``clear`` ends all.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        self._ordered: dict[str, dict[str, float]] = {}
        self._active: dict[str, ActiveFault] = {}

    def order(self, kind: str, how: Mapping[str, float]) -> None:
        """Switch a fault on.  :raises ConfigError: there is none of that kind."""
        if kind == "clear":
            self._ordered.clear()
            self._active.clear()
        elif kind in self.kinds:
            self._ordered[kind] = dict(how)
        else:
            raise ConfigError(f"fault '{kind}' is unknown here; known: {', '.join((*self.kinds, 'clear'))}")

    def at(self, now: int) -> None:
        """Begin what was ordered, end what is over."""
        for kind, how in self._ordered.items():
            seconds = how.get("seconds", 0.0)
            self._active[kind] = ActiveFault(how, now + round(seconds * 1e9) if seconds > 0 else None)
        self._ordered.clear()
        if self._active:
            self._active = {k: f for k, f in self._active.items() if f.until is None or now < f.until}

    def end(self, kind: str) -> None:
        """End one fault."""
        self._active.pop(kind, None)

    def get(self, kind: str) -> Mapping[str, float] | None:
        """How the fault was ordered, while it is in force; None otherwise."""
        fault = self._active.get(kind)
        return None if fault is None else fault.how

    def ends(self) -> list[int]:
        """The instants at which active faults end by themselves (ns)."""
        return [f.until for f in self._active.values() if f.until is not None] if self._active else []

    def __bool__(self) -> bool:
        """Whether any fault is in force or ordered."""
        return bool(self._active or self._ordered)


class SensorEmulator(ABC):
    """A board that samples at its own rate and sends what it measured.

    :param drift_ppm: how much too fast the board's crystal runs; its sample clock and its µs clock share it.
    :param offset_us: what its µs clock showed when it was first stepped; near 2³² it wraps soon.
    :param seed: of noise and damage.

    Faults: ``silent`` (hangs: measures nothing, answers nothing), ``freeze`` (the same values again and again),
    ``corrupt`` (``p``: share of messages of which one byte arrives damaged), ``lose`` (``n``: so many samples are
    measured, numbered and journaled but never arrive); each for ``seconds``, or until ``clear``.
    """

    FAULTS: tuple[str, ...] = ("silent", "freeze", "corrupt", "lose")
    controls: StreamSpec

    def __init__(self, rate_hz: float, *, drift_ppm: float = 0.0, offset_us: int = 0, seed: int = 0) -> None:
        self.journal: Callable[[int, int], None] | None = None
        self.faults = FaultBox(self.FAULTS)
        self._period_us = 1e6 / rate_hz  # of the board's own clock
        self._ns_per_us = 1000.0 / (1.0 + drift_ppm * 1e-6)  # host ns a µs of the board's clock
        self._offset_us = offset_us
        self._start: int | None = None
        self._next = 0  # number of the next sample
        self._skipped = 0
        self._frozen: bytes | None = None
        self._random = random.Random(seed)
        self._lose = 0

    @abstractmethod
    def measure(self, k: int) -> bytes:
        """What the sensors give for sample ``k``: the payload of its message."""

    @abstractmethod
    def message(self, k: int, clock_us: int, payload: bytes) -> bytes:
        """The bytes on the wire."""

    def answer(self, data: bytes, clock_us: int) -> bytes:
        """What the board says to the host's bytes; most say nothing."""
        return b""

    @abstractmethod
    def set_values(self, values: Mapping[str, Sequence[float]]) -> None:
        """Move the sensors.  Keys are the fields of ``controls``."""

    def fault(self, kind: str, **how: float) -> None:
        """Misbehave.  :raises ConfigError: this device knows no such fault."""
        self.faults.order(kind, how)
        if kind == "lose":
            self._lose += max(0, int(how.get("n", 1)))
        elif kind == "clear":
            self._lose = 0

    def next_due(self, now: int) -> int | None:
        """When the next sample is measured."""
        return now if self._start is None else self._due(self._next)

    def step(self, now: int, data: bytes) -> bytes:
        """Everything sent by ``now``: answers to ``data``, then the samples measured meanwhile."""
        if self._start is None:
            self._start = now
        self.faults.at(now)
        silent = self.faults.get("silent") is not None
        out = [] if silent or not data else [self.answer(data, self.clock_us(now))]
        if self._due(self._next) < now - BACKLOG_NS:
            self._next = self._first_after(now - BACKLOG_NS)
        while (due := self._due(self._next)) <= now:
            k, self._next = self._next, self._next + 1
            if silent:
                self._skipped += 1  # hung: the number is not used up
            else:
                out.append(self._send(k, due))
        return b"".join(out)

    def clock_us(self, now: int) -> int:
        """The board's µs clock, not wrapped."""
        return self._offset_us + int((now - (self._start or 0)) / self._ns_per_us)

    def _send(self, k: int, due: int) -> bytes:
        if self.faults.get("freeze") is None or self._frozen is None:
            self._frozen = self.measure(k)
        clock_us = self._offset_us + round(k * self._period_us)
        seq = k - self._skipped
        if self.journal is not None:
            self.journal(due, seq)
        if self._lose:
            self._lose -= 1
            return b""
        return self.damage(self.message(seq, clock_us, self._frozen))

    def damage(self, message: bytes) -> bytes:
        """Change one byte, where the fault ``corrupt`` says so."""
        how = self.faults.get("corrupt")
        if how is None or self._random.random() >= how.get("p", 1.0):
            return message
        at = self._random.randrange(len(message))
        return message[:at] + bytes([message[at] ^ self._random.randrange(1, 256)]) + message[at + 1 :]

    def _due(self, k: int) -> int:
        """When sample ``k`` is measured, ns of the session: from ``k`` itself, so that no rounding adds up."""
        return (self._start or 0) + round(k * self._period_us * self._ns_per_us)

    def _first_after(self, t: int) -> int:
        return max(self._next, int((t - (self._start or 0)) / (self._period_us * self._ns_per_us)) + 1)


class FramedEmulator(SensorEmulator):
    """A board that speaks telerig's binary frame.

    More faults: ``wrong_version`` (``version``, default 2) and ``wrong_device`` (says it is something else).
    """

    FAULTS = (*SensorEmulator.FAULTS, "wrong_version", "wrong_device")

    def __init__(
        self, kind: Message, identity: Identity, *, drift_ppm: float = 0.0, offset_us: int = 0, seed: int = 0
    ) -> None:
        super().__init__(identity.rate_hz, drift_ppm=drift_ppm, offset_us=offset_us, seed=seed)
        self.identity = identity
        self._kind = kind
        self._parser = FrameParser()

    @property
    def _version(self) -> int:
        how = self.faults.get("wrong_version")
        return VERSION if how is None else int(how.get("version", 2)) & 0xFF

    def message(self, k: int, clock_us: int, payload: bytes) -> bytes:
        """One frame."""
        return encode_frame(Frame(self._kind, k, clock_us, payload, self._version))

    def answer(self, data: bytes, clock_us: int) -> bytes:
        """Identity, to whoever asks."""
        identity = self.identity
        if self.faults.get("wrong_device") is not None:
            other = DeviceType.PEDAL_BOX if identity.device == DeviceType.GLOVE else DeviceType.GLOVE
            identity = Identity(other, (1, 0), identity.side, identity.channels, identity.rate_hz, identity.serial)
        asked = [f for f in self._parser.feed(data) if f.type == Message.IDENTIFY]
        frames = (Frame(Message.IDENTITY, f.seq, clock_us, identity.pack(), self._version) for f in asked)
        return b"".join(self.damage(encode_frame(f)) for f in frames)


def checked(values: Mapping[str, Sequence[float]], spec: StreamSpec) -> dict[str, NDArray[np.float64]]:
    """Control values as arrays.  :raises ValueError: an unknown field, or another number of elements."""
    found = {}
    for name, value in values.items():
        array = np.asarray(value, np.float64)
        want = {a.name: a.shape for a in spec.arrays}
        if want.get(name) != array.shape:
            raise ValueError(f"controls: '{name}' of shape {array.shape}; this device takes {want}")
        found[name] = array
    return found
