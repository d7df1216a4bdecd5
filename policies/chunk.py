"""Action chunks and how they travel from the inference process to the loop: as samples of the stream ``policy/chunk``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.policies.spec import CHUNK_STREAM


@dataclass(frozen=True, slots=True)
class Chunk:
    """Joint targets at absolute instants: row ``k`` of ``actions`` is due at ``t0_ns + k · dt_ns``.

    :param actions: ``(H, n)`` rad, in the order of the target's names.
    :param t0_ns: the instant the inputs describe, session clock, ns.
    :param t_obs: arrival of the oldest and of the newest input sample used, ns.
    """

    t0_ns: int
    dt_ns: int
    actions: NDArray[np.float64]
    t_obs: tuple[int, int]
    seq: int

    def at(self, t: int) -> NDArray[np.float64] | None:
        """The target at an instant, ``(n,)`` rad: linear between steps, the first step before it is due.

        None once the last step has passed.
        """
        place = max(0.0, (t - self.t0_ns) / self.dt_ns)
        if place > len(self.actions) - 1:
            return None
        k = min(int(place), len(self.actions) - 2)
        share = place - k
        target: NDArray[np.float64] = (1.0 - share) * self.actions[k] + share * self.actions[k + 1]
        return target

    def to_sample(self, t: int) -> Sample:
        """As a sample of ``policy/chunk`` that becomes available at ``t``."""
        data = {
            "actions": self.actions,
            "t0": np.asarray(self.t0_ns, np.int64),
            "dt": np.asarray(self.dt_ns, np.int64),
            "t_obs": np.array(self.t_obs, np.int64),
            "chunk_seq": np.asarray(self.seq, np.int64),
        }
        return Sample(CHUNK_STREAM, t, self.t0_ns, data)

    @staticmethod
    def from_sample(sample: Sample) -> Chunk:
        """The inverse of :meth:`to_sample`."""
        oldest, newest = (int(v) for v in sample.array("t_obs"))
        return Chunk(
            int(sample.array("t0")), int(sample.array("dt")), sample.array("actions"), (oldest, newest),
            int(sample.array("chunk_seq")),
        )  # fmt: skip


def chunk_stream(n: int, horizon: int, rate_hz: float = 15.0) -> StreamSpec:
    """The stream ``policy/chunk`` for ``n`` joints and ``horizon`` steps."""
    fields = (
        ArraySpec("actions", (horizon, n), "<f8", "rad"),
        ArraySpec("t0", (), "<i8", "ns"),
        ArraySpec("dt", (), "<i8", "ns"),
        ArraySpec("t_obs", (2,), "<i8", "ns", ("oldest", "newest")),
        ArraySpec("chunk_seq", (), "<i8"),
    )
    return StreamSpec(CHUNK_STREAM, fields, rate_hz)
