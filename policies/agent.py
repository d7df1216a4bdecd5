"""A policy as an agent: it executes chunks by absolute time and issues the same commands an operator's cockpit does.

It runs in the loop's process and loads no torch: inference happens elsewhere and hands chunks over on ``policy/chunk``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.protocols import Observation
from telerig.policies.chunk import Chunk
from telerig.policies.spec import CHUNK_STREAM, PolicySpec

BLEND_NS = 100_000_000


class PolicyAgent:
    """Turns the newest chunk into one command a period.

    Steps whose time has passed are never executed.  When the chunk is used up and no newer one has come it returns
    nothing, so that the guard holds.  After :meth:`reset` chunks made from earlier observations are ignored.

    :param blend_ns: a new chunk takes over from the old one gradually over this time.
    """

    def __init__(self, spec: PolicySpec, blend_ns: int = BLEND_NS) -> None:
        self.spec, self._blend_ns = spec, blend_ns
        self._seq = 0
        self.reset()

    @property
    def requires(self) -> tuple[str, ...]:
        """What the policy looks at; not its chunks, whose absence ends its commands by itself."""
        return self.spec.streams

    @property
    def drives(self) -> tuple[str, ...]:
        """The one target it commands; the others hold."""
        return (self.spec.target,)

    def reset(self) -> None:
        """Forget the chunk being executed."""
        self._since: int | None = None
        self._chunk: Chunk | None = None
        self._previous: Chunk | None = None
        self._switched = 0

    def act(self, observation: Observation, now: int) -> Sequence[Command]:
        """One joint-position command for the policy's target, or none without a usable chunk."""
        if self._since is None:
            self._since = now
        self._take(observation, now)
        data = self._target(now)
        if data is None or self._chunk is None:
            return ()
        self._seq += 1
        command = Command(self._seq, self.spec.target, Mode.JOINT_POSITION, data, Source.POLICY, now, self._chunk.t_obs)
        return (command,)

    def _take(self, observation: Observation, now: int) -> None:
        """Adopt the newest chunk if it is new and was made from observations since the reset."""
        reader = observation.get(CHUNK_STREAM)
        sample = reader.latest() if reader is not None else None
        if sample is None or self._since is None:
            return
        chunk = Chunk.from_sample(sample)
        old = self._chunk
        if chunk.t_obs[0] < self._since or (old is not None and (chunk.seq, chunk.t0_ns) == (old.seq, old.t0_ns)):
            return
        self._previous, self._chunk, self._switched = old, chunk, now

    def _target(self, now: int) -> NDArray[np.float64] | None:
        """The joint target now, ``(n,)`` rad, blended while one chunk follows another."""
        target = self._chunk.at(now) if self._chunk is not None else None
        if target is None or self._previous is None or now - self._switched >= self._blend_ns:
            return target
        before = self._previous.at(now)
        if before is None:
            return target
        share = (now - self._switched) / self._blend_ns
        return (1.0 - share) * before + share * target
