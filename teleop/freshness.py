"""Which required stream is stale: only streams an agent requires can hold the robot.

A stream is stale after max(100 ms, 4 nominal periods) without an arrival, or as soon as its device's worker knows that
the device went away (a camera's four periods are 133 ms, and the arms would move all the while).  Where the rig file asks
for more patience than that with a stream, its limit alone decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from telerig.hardware.errors import ConfigError

MIN_NS = 100_000_000
PERIODS = 4


@dataclass(frozen=True, slots=True)
class Stale:
    """A stream that is stale.

    :param age_ns: since its newest arrival; None if it never delivered anything.
    :param away: its device went away, however young the newest sample is.
    """

    stream: str
    age_ns: int | None
    away: bool = False

    @property
    def text(self) -> str:
        """For the operator."""
        if self.age_ns is None:
            return f"{self.stream}, no sample yet"
        return f"{self.stream}, " + ("its device is gone" if self.away else f"{self.age_ns / 1e9:.2f} s old")


class Freshness:
    """Ages of the required streams.

    :param rates: nominal rate in Hz of every required stream, by name; the order is kept in :attr:`names`.
    :param limits_s: the rig's own limits in seconds, by stream.
    :param is_away: whether the device of a stream is known to have gone away.
    :raises ConfigError: a limit for a stream that is not required, or that is not positive.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        limits_s: Mapping[str, float] | None = None,
        is_away: Callable[[str], bool] = lambda stream: False,
    ) -> None:
        self._is_away, self._patient = is_away, set[str]()
        self.limits_ns = {name: max(MIN_NS, round(PERIODS * 1e9 / rate)) for name, rate in rates.items()}
        for name, limit in (limits_s or {}).items():
            if name not in self.limits_ns:
                raise ConfigError(f"stale limit for '{name}': not a required stream ({', '.join(self.limits_ns)})")
            if not limit > 0:
                raise ConfigError(f"stale limit for '{name}' is {limit} s; it must be above 0")
            if round(limit * 1e9) > self.limits_ns[name]:
                self._patient.add(name)
            self.limits_ns[name] = round(limit * 1e9)

    @property
    def names(self) -> tuple[str, ...]:
        """The required streams; ``SessionState.stale`` is an index into these."""
        return tuple(self.limits_ns)

    def check(self, now: int, arrivals: Mapping[str, int | None]) -> Stale | None:
        """The worst stale stream, if there is one: the first without a sample or whose device is gone, else the oldest in
        its own limit.  ``arrivals``: newest ``t_arrival`` by stream.
        """
        worst: Stale | None = None
        excess = 1.0
        for name, limit in self.limits_ns.items():
            arrival = arrivals.get(name)
            if arrival is None:
                return Stale(name, None)
            if name not in self._patient and self._is_away(name):
                return Stale(name, now - arrival, away=True)
            if (now - arrival) / limit > excess:
                worst, excess = Stale(name, now - arrival), (now - arrival) / limit
        return worst
