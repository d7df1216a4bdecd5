"""When a policy is asked for its next chunk: the same in the inference process and in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from telerig.hardware.protocols import Observation
from telerig.hardware.samples import Sample
from telerig.policies.inference import PolicyRunner


class Schedule:
    """Asks a runner for a chunk whenever ``execute`` steps of the last one have passed."""

    def __init__(self, runner: PolicyRunner) -> None:
        self._runner = runner
        self._every = runner.spec.execute * runner.spec.dt_ns
        self._next = 0

    def step(self, now: int, observation: Observation) -> Sample | None:
        """A new chunk as a sample of ``policy/chunk``, if one is due and the inputs are there."""
        if now < self._next:
            return None
        chunk = self._runner.chunk(observation, now)
        if chunk is None:
            return None
        self._next = now + self._every
        return chunk.to_sample(now)


class VirtualInference:
    """Inference in virtual time: called inline, its result becomes available after its measured delay.

    A hook of :class:`telerig.teleop.virtual.VirtualSession`.
    """

    def __init__(self, checkpoint: Path, seed: int, ablate: tuple[str, ...] = ()) -> None:
        self.runner = PolicyRunner(checkpoint, threads=1, ablate=ablate)
        self.runner.reset(seed)
        self._schedule = Schedule(self.runner)
        self._pending: list[Sample] = []

    def __call__(self, now: int, readers: Observation, write: Callable[[Sample], object]) -> None:
        """One control period."""
        if (sample := self._schedule.step(now, readers)) is not None:
            self._pending.append(sample._replace(t_arrival=now + self.runner.spec.latency_ns))
        while self._pending and self._pending[0].t_arrival <= now:
            write(self._pending.pop(0))
