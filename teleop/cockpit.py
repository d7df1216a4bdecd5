"""The operator's agent: exoskeletons, gloves and pedals become one command a target.

Nothing is filtered; a sample that arrived before the tick is in the tick's command, so the added lag is at most one
tick. A joint that the device does not measure (NaN, or its valid bit off) keeps its last value for 50 ms; after that
there is no command at all for its target, the operator is told which joint, and the guard holds.  Robot joints that no
device drives (one arm worn of two) stay at the robot's home pose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import DEFAULT_TTL_NS, Command, Source, TargetSpec
from telerig.hardware.errors import CommandRefused, ConfigError
from telerig.hardware.protocols import Observation
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec

Vector = NDArray[np.float64]
KEEP_NS = 50_000_000


class Input:
    """One field of one stream, with what becomes of elements that are not measured.

    :param take: the elements that matter.
    """

    def __init__(self, spec: StreamSpec, field: str, take: Sequence[int] | NDArray[np.int_]) -> None:
        try:
            found = spec.array(field)
        except KeyError as error:
            raise ConfigError(f"cockpit: {error.args[0]}")
        self.stream, self._field, self._take = spec.name, field, np.array(take, int)
        self._names = found.axes or tuple(str(i) for i in range(found.size))
        before = [a.size for a in spec.arrays[: [a.name for a in spec.arrays].index(field)]]
        self._bits = slice(sum(before), sum(before) + found.size)
        self.reset()

    def reset(self) -> None:
        """Forget the last values."""
        self._last = np.full(len(self._names), np.nan)
        self._seen = np.full(len(self._names), -(2**62), np.int64)

    def read(self, sample: Sample, now: int) -> Vector:
        """The field's values (n,); elements that do not matter may be NaN.

        :raises CommandRefused: one that matters has not been measured for 50 ms.
        """
        value = np.asarray(sample.array(self._field), np.float64)
        good = np.isfinite(value)
        if sample.valid is not None:
            good &= sample.valid[self._bits]
        if np.logical_and.reduce(good):
            self._last = value
            self._seen.fill(sample.t_arrival)
            return value
        self._last = self._last.copy()  # it may be a sample's own array
        self._last[good], self._seen[good] = value[good], sample.t_arrival
        missing = ~good[self._take]
        if missing.any():
            lost = self._take[missing & (now - self._seen[self._take] > KEEP_NS)]
            if lost.size:
                raise CommandRefused(f"{self.stream}: {', '.join(self._names[i] for i in lost)} not measured")
        return self._last


@dataclass(frozen=True)
class Part:
    """Something the operator wears that drives some elements of a target.

    :param into: which elements of the target.
    :param convert: the field's values (n,) and the instant to those elements.
    :param reset: forgets what ``convert`` remembers.
    :param resume: looks, before the first ``convert`` after a reset, at where the robot is.
    """

    input: Input
    target: str
    into: tuple[int, ...]
    convert: Callable[[Vector, int], Vector]
    reset: Callable[[], None] = lambda: None
    resume: Callable[[Observation], None] = lambda observation: None


def elements(target: TargetSpec, names: Sequence[str]) -> tuple[int, ...]:
    """Where joints of these names are in a target.  :raises ConfigError: it has no such joint."""
    for name in names:
        if name not in target.names:
            raise ConfigError(f"{target.name} has no element '{name}' (it has {', '.join(target.names)})")
    return tuple(target.names.index(n) for n in names)


class Cockpit:
    """See :class:`telerig.hardware.protocols.Agent`.

    :param targets: all of the robot's; those that no part drives get no commands.
    :ivar requires: every stream that is used: when one is stale the robot holds.
    :raises ConfigError: no parts, an unknown target, or two parts that drive the same joint.
    """

    def __init__(self, parts: Sequence[Part], targets: Sequence[TargetSpec], ttl_ns: int = DEFAULT_TTL_NS) -> None:
        known = {t.name: t for t in targets}
        if not parts:
            raise ConfigError("cockpit: drives nothing; add [[cockpit.arms]], [[cockpit.hands]] or [cockpit.pedals]")
        for part in parts:
            if part.target not in known:
                raise ConfigError(f"cockpit: target '{part.target}' is unknown; this robot has {', '.join(known)}")
        self.drives = tuple(dict.fromkeys(p.target for p in parts))
        self._targets = [known[name] for name in self.drives]
        self._parts = {name: [p for p in parts if p.target == name] for name in self.drives}
        for name, mine in self._parts.items():
            driven = [i for p in mine for i in p.into]
            twice = sorted({known[name].names[i] for i in driven if driven.count(i) > 1})
            if twice:
                raise ConfigError(f"cockpit: {name}: {', '.join(twice)} driven twice")
        self._ttl = ttl_ns
        self.requires = tuple(dict.fromkeys(p.input.stream for mine in self._parts.values() for p in mine))
        self._into = {name: [np.array(p.into, int) for p in mine] for name, mine in self._parts.items()}
        self._seq = dict.fromkeys(self.drives, 0)
        self._resuming = False

    def reset(self) -> None:
        """Forget everything remembered from earlier samples; go on from where the robot is."""
        self._resuming = True
        for mine in self._parts.values():
            for part in mine:
                part.input.reset()
                part.reset()

    def act(self, observation: Observation, now: int) -> list[Command]:
        """One command a target; none for a target of which a stream has delivered nothing yet.

        :raises CommandRefused: a joint that is needed has not been measured for 50 ms.
        """
        if self._resuming:
            self._resuming = False
            for part in (p for mine in self._parts.values() for p in mine):
                part.resume(observation)
        samples: dict[str, Sample | None] = {}
        for stream in self.requires:
            samples[stream] = observation[stream].latest()
        commands = (self._command(target, samples, now) for target in self._targets)
        return [c for c in commands if c is not None]

    def _command(self, target: TargetSpec, samples: Mapping[str, Sample | None], now: int) -> Command | None:
        data = np.array(target.home)
        arrivals = []
        for part, into in zip(self._parts[target.name], self._into[target.name], strict=True):
            sample = samples[part.input.stream]
            if sample is None:
                return None
            data[into] = part.convert(part.input.read(sample, now), now)
            arrivals.append(sample.t_arrival)
        self._seq[target.name] += 1
        inputs = (min(arrivals), max(arrivals))
        return Command(self._seq[target.name], target.name, target.mode, data, Source.OPERATOR, now, inputs, self._ttl)
