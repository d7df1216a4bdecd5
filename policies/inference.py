"""Running a policy: from what the streams hold now to an action chunk, the same in real and in virtual time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import Observation, StreamReader
from telerig.hardware.samples import Sample
from telerig.policies.checkpoint import Checkpoint, load
from telerig.policies.chunk import Chunk
from telerig.policies.images import small_image
from telerig.policies.measured import measured

LOOK_BACK_NS = 500_000_000  # an input older than this against the others is as good as absent
ABLATIONS = ("images",)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a policy saw at one instant.

    :param t_ns: the instant it describes.
    :param images: ``(cameras, h, w, 3)`` uint8; ``state`` ``(n,)`` rad.
    :param t_obs: arrival of the oldest and of the newest sample in it, ns.
    """

    t_ns: int
    images: NDArray[np.uint8]
    state: NDArray[np.float32]
    t_obs: tuple[int, int]


def check_ablations(names: Collection[str]) -> None:
    """:raises ConfigError: an unknown ablation."""
    if unknown := sorted(set(names) - set(ABLATIONS)):
        raise ConfigError(f"cannot ablate {', '.join(unknown)}; known: {', '.join(ABLATIONS)}")


class PolicyRunner:
    """A checkpoint, ready to be asked for chunks.  Deterministic: same checkpoint, seed and inputs, same chunks.

    :param threads: torch threads of this process.
    :param ablate: ``images`` replaces every image by the camera's mean training image.
    :raises DataError: the checkpoint is broken.
    :raises ConfigError: an unknown ablation.
    """

    def __init__(self, checkpoint: Path | Checkpoint, threads: int = 1, ablate: Collection[str] = ()) -> None:
        check_ablations(ablate)
        torch.set_num_threads(threads)
        loaded = checkpoint if isinstance(checkpoint, Checkpoint) else load(checkpoint)
        self.spec, self.stats = loaded.spec, loaded.stats
        self.policy = loaded.build()
        self._blind = "images" in ablate
        self.reset(0)

    @property
    def requires(self) -> tuple[str, ...]:
        """Streams it reads: no others."""
        return self.spec.streams

    def reset(self, seed: int) -> None:
        """Begin an episode.  One noise is drawn for all of its chunks, so that they keep to one way of doing the task."""
        generator = torch.Generator().manual_seed(seed)
        self._noise = torch.randn((1, *self.policy.noise_shape), generator=generator)
        self._seq = 0

    def observe(self, observation: Observation, now: int) -> Inputs | None:
        """Collect the inputs at the newest instant that every camera has reached; None while a stream is empty or old.

        As in the dataset, each stream contributes its newest sample at or before that instant, by sample time; the
        instant lies after the newest image by as much as images were typically old in the dataset's rows.

        :raises ConfigError: a stream that the policy reads is not there.
        :raises DataError: a sample holds another number of joints, or a broken JPEG.
        """
        readers = [self._reader(observation, name) for name in self.spec.streams]
        newest = [r.latest() for r in readers]
        if any(s is None for s in newest):
            return None
        ends = [s.t_sample for s in newest if s is not None]
        t = min([now, ends[0], *(end + self.spec.image_age_ns for end in ends[1:])])
        samples = [_before(r, s, t) for r, s in zip(readers, newest, strict=True) if s is not None]
        found = [s for s in samples if s is not None]
        if len(found) != len(readers):
            return None
        state = measured(self.spec, readers[0], found[0]).astype(np.float32)
        if not np.isfinite(state).all():
            return None
        images = self._images(found[1:])
        arrivals = [s.t_arrival for s in found]
        return Inputs(t, images, state, (min(arrivals), max(arrivals)))

    def infer(self, inputs: Inputs) -> Chunk:
        """The chunk for these inputs: absolute joint targets within the joint limits."""
        images = torch.from_numpy(inputs.images)[None]
        actions = self.policy.predict(images, torch.from_numpy(inputs.state)[None], self._noise)[0]
        self._seq += 1
        return Chunk(inputs.t_ns, self.spec.dt_ns, actions.double().numpy(), inputs.t_obs, self._seq)

    def chunk(self, observation: Observation, now: int) -> Chunk | None:
        """:meth:`observe`, then :meth:`infer`."""
        inputs = self.observe(observation, now)
        return None if inputs is None else self.infer(inputs)

    def _images(self, samples: list[Sample]) -> NDArray[np.uint8]:
        if self._blind:
            return self.stats.image_mean
        pictures = [
            small_image(s.blob(c.field), self.spec.image_size) for s, c in zip(samples, self.spec.cameras, strict=True)
        ]
        return np.stack(pictures) if pictures else np.zeros((0, *self.spec.image_size, 3), np.uint8)

    def _reader(self, observation: Observation, name: str) -> StreamReader:
        reader = observation.get(name)
        if reader is None:
            raise ConfigError(f"the policy reads '{name}', which is not among {', '.join(sorted(observation))}")
        return reader


def _before(reader: StreamReader, newest: Sample, t: int) -> Sample | None:
    """The reader's newest sample at or before ``t``; None if it has none within :data:`LOOK_BACK_NS`."""
    if newest.t_sample <= t:
        return newest if t - newest.t_sample <= LOOK_BACK_NS else None
    found = reader.window(t - LOOK_BACK_NS, t)
    return found[-1] if found else None
