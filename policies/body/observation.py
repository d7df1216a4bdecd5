"""From the source vector to the model's input: choice, scale, clip, history."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import ConfigError
from telerig.policies.body.manifest import Manifest, ObservationTerm
from telerig.policies.body.terms import Sections, spread


def _history(manifest: Manifest, spec: ObservationTerm) -> int:
    return spec.history or manifest.observation.history


def term_sizes(manifest: Manifest) -> list[tuple[str, int]]:
    """Each term and how many of the model's inputs it fills.  :raises ConfigError: an unknown term or element."""
    sections = Sections(manifest)
    return [(t.term, len(sections.indices(t)) * _history(manifest, t)) for t in manifest.observation.terms]


class Assembler:
    """Builds a policy's input, step by step.

    :param manifest: a checked one (``checks.check``).
    """

    def __init__(self, manifest: Manifest) -> None:
        observation = manifest.observation
        self.sections = Sections(manifest)
        chosen = [self.sections.indices(t) for t in observation.terms]
        sizes = [len(c) for c in chosen]
        self._chosen = np.concatenate(chosen)
        pairs = list(zip(observation.terms, sizes, strict=True))
        self._scale = np.concatenate([spread(t.scale, n, f"{t.term}: scale") for t, n in pairs])
        self._bias = np.concatenate([spread(t.bias, n, f"{t.term}: bias") for t, n in pairs])
        self._clip = observation.clip
        self._repeat = observation.fill == "repeat"
        steps = max(_history(manifest, t) for t in observation.terms)
        self._steps = np.zeros((steps, len(self._chosen)), np.float32)  # oldest first
        self._gather = _layout(manifest, sizes, steps)
        self._input = np.zeros((1, len(self._gather)), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget every step."""
        self._steps[:] = 0.0
        self._empty = True

    def push(self, source: NDArray[np.float64]) -> NDArray[np.float32]:
        """Add a step from the source vector ``(sections.size,)``; the input ``(1, inputs)``, valid until the next call."""
        step = source[self._chosen] * self._scale + self._bias
        if self._clip is not None:
            step = np.clip(step, -self._clip, self._clip)
        if len(self._steps) > 1:
            self._steps[:-1] = self._steps[1:]
        self._steps[-1] = step
        if self._empty and self._repeat:
            self._steps[:] = step
        self._empty = False
        self._steps.take(self._gather, out=self._input[0], mode="clip")
        return self._input


def _layout(manifest: Manifest, sizes: list[int], steps: int) -> NDArray[np.intp]:
    """For every input, its place in the steps ``(steps, width)``, flattened, oldest first."""
    observation, width = manifest.observation, sum(sizes)
    ages = {t: _history(manifest, t) for t in observation.terms}
    blocks, start = [], 0
    for term, size in zip(observation.terms, sizes, strict=True):
        rows = np.arange(steps - ages[term], steps)
        if observation.order == "newest_first":
            rows = rows[::-1]
        blocks.append(rows[:, None] * width + np.arange(start, start + size))  # (history, size)
        start += size
    if observation.layout == "term":
        return np.concatenate([b.ravel() for b in blocks])
    if len({len(b) for b in blocks}) != 1:
        raise ConfigError("observation: with layout 'step' every term has the same history")
    return np.concatenate(blocks, axis=1).ravel()
