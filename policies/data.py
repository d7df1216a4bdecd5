"""A dataset in memory, decoded and reduced once, and the batches drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from telerig.hardware.errors import DataError
from telerig.policies.flow.policy import Batch
from telerig.policies.images import small_image
from telerig.policies.normalise import Normaliser, Vector, fit
from telerig.policies.options import Options
from telerig.policies.spec import PolicySpec
from telerig.policies.stats import Stats

FAILURE = "failure"  # outcome of episodes that are not imitated
STATISTICS_ROWS = 4000  # chunk statistics are taken over at most so many rows, evenly spaced


class Episode(Protocol):
    """What is used of an episode; see :mod:`telerig.datasets.dataset`."""

    name: str

    @property
    def rows(self) -> int: ...
    @property
    def state(self) -> NDArray[Any]: ...
    @property
    def action(self) -> NDArray[Any]: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def engaged(self) -> NDArray[np.bool_]: ...
    def jpeg(self, camera: str, row: int) -> bytes: ...


@dataclass(frozen=True)
class TrainingData:
    """``N`` rows of all episodes, one after the other.

    :param images: ``(N, C, h, w, 3)`` uint8.
    :param state, action: ``(N, n)`` float32, rad; ``last``: ``(N,)`` row of the end of each row's episode.
    :param engaged: ``(N,)`` rows in which somebody moved the robot; the guard's own commands are not imitated.
    :param train, validation: rows from which samples start; no episode is in both.
    :param episodes: names of the episodes used, ``held_out`` those of the validation.
    """

    spec: PolicySpec
    images: Tensor
    state: Tensor
    action: Tensor
    last: Tensor
    engaged: Tensor
    train: Tensor
    validation: Tensor
    episodes: tuple[str, ...]
    held_out: tuple[str, ...]

    def batch(self, rows: Tensor, future_s: Sequence[float]) -> Batch:
        """The samples that start at these rows.

        Steps after an episode's end repeat its last row, which means: stay there (as in Chi et al. 2023, arXiv:2303.04137).
        """
        steps = rows[:, None] + torch.arange(self.spec.horizon) * self.spec.stride  # (B, H)
        later = rows[:, None] + torch.tensor([round(s * self.spec.rate_hz) for s in future_s], dtype=torch.long)
        last = self.last[rows][:, None]
        at = steps.clamp(max=last)
        return Batch(
            self.images[rows], self.state[rows], self.action[at], self.engaged[at],
            self.state[later.clamp(max=last)],
        )  # fmt: skip


def load(
    episodes: Sequence[Episode], spec: PolicySpec, seed: int, validation: float,
    progress: Callable[[int, int], None] = lambda done, total: None, workers: int = 2,
) -> TrainingData:  # fmt: skip
    """Read, decode and reduce every kept episode.

    :param validation: share of episodes held out (at least one if there are ten or more and the share is not 0).
    :raises DataError: no episode is left, or one does not have the spec's joints.
    """
    kept = [e for e in episodes if e.outcome != FAILURE]
    if not kept:
        raise DataError(f"no episode to learn from: {len(episodes)} in the dataset, all of them failures")
    for e in kept:
        if e.state.shape[1:] != (spec.size,) or e.action.shape != e.state.shape:
            raise DataError(
                f"episode {e.name}: state {e.state.shape} and action {e.action.shape}, expected {spec.size} joints"
            )
    rows = [len(e.state) for e in kept]
    starts = np.concatenate(([0], np.cumsum(rows)))
    images = torch.empty((int(starts[-1]), len(spec.cameras), *spec.image_size, 3), dtype=torch.uint8)
    known = np.ones(int(starts[-1]), bool)
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(_decode, e, spec, images, known, int(s)) for e, s in zip(kept, starts[:-1], strict=True)]
        for done, job in enumerate(jobs):
            job.result()
            progress(done + 1, len(jobs))
    state = np.concatenate([e.state for e in kept]).astype(np.float32)
    action = np.concatenate([e.action for e in kept]).astype(np.float32)
    last = np.repeat(starts[1:] - 1, rows)
    engaged = np.concatenate([e.engaged for e in kept]) & np.isfinite(action).all(axis=1)
    known &= np.isfinite(state).all(axis=1) & engaged
    if not known.any():
        raise DataError("no row to learn from: nobody moved the robot while all its streams were there")
    state, action = _carried(state), _carried(action)
    held = _held_out(len(kept), seed, validation)
    outside = np.repeat([i in held for i in range(len(kept))], rows)
    return TrainingData(
        spec, images, torch.from_numpy(state), torch.from_numpy(action), torch.from_numpy(last), torch.from_numpy(engaged),
        torch.from_numpy(np.flatnonzero(known & ~outside)), torch.from_numpy(np.flatnonzero(known & outside)),
        tuple(e.name for e in kept), tuple(kept[i].name for i in sorted(held)),
    )  # fmt: skip


def _decode(episode: Episode, spec: PolicySpec, images: Tensor, known: NDArray[np.bool_], start: int) -> None:
    """Fill the rows of one episode; a row that lacks a picture is marked as not known."""
    for row in range(len(episode.state)):
        for i, camera in enumerate(spec.cameras):
            jpeg = episode.jpeg(camera.name, row)
            if not jpeg:
                known[start + row] = False
                images[start + row, i] = 0
                continue
            images[start + row, i] = torch.from_numpy(small_image(jpeg, spec.image_size))


def _carried(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unknown values (NaN) replaced by the last known one of the same element, else by the first that follows."""
    if not np.isnan(values).any():
        return values
    out = values.copy()
    for column in out.T:
        known = np.flatnonzero(~np.isnan(column))
        if len(known):
            column[:] = column[known[np.clip(np.searchsorted(known, np.arange(len(column)), "right") - 1, 0, None)]]
        else:
            column[:] = 0.0
    return out


def _held_out(episodes: int, seed: int, share: float) -> set[int]:
    """Indices of the validation episodes."""
    n = round(episodes * share)
    if share and episodes >= 10:
        n = max(1, n)
    return {int(i) for i in np.random.default_rng(seed).permutation(episodes)[:n]}


def statistics(data: TrainingData, options: Options, low: Vector, high: Vector) -> Stats:
    """Statistics of the training rows.

    :param low, high: ``(n,)`` joint limits, rad.
    """
    rows = data.train
    state, action = data.state[rows].double().numpy(), data.action[rows].double().numpy()
    span = high - low
    of_state, of_action = fit(state, span), fit(action, span)
    chunk = of_action
    if options.relative:
        some = rows[torch.linspace(0, len(rows) - 1, min(len(rows), STATISTICS_ROWS)).long()]
        batch = data.batch(some, ())
        delta = (batch.actions - batch.state[:, None])[batch.valid].double().numpy()
        relative = fit(delta, span)
        chunk = Normaliser(relative.centre, relative.half, of_action.active)
    mean, std = _image_statistics(data.images, rows)
    rest = np.median(action, axis=0)
    return Stats(of_state, chunk, rest, low, high, mean, std)


def _image_statistics(images: Tensor, rows: Tensor) -> tuple[NDArray[np.uint8], Vector]:
    """Mean image of each camera, and the standard deviation about it."""
    shape = images.shape[1:]
    total = torch.zeros(shape, dtype=torch.float64)
    for part in torch.split(rows, 256):
        total += images[part].double().sum(0)
    mean = (total / len(rows)).round()
    square = torch.zeros(shape[0], dtype=torch.float64)
    for part in torch.split(rows, 256):
        square += (images[part].double() - mean).square().mean(dim=(2, 3, 4)).sum(0)
    std = (square / len(rows)).sqrt().clamp_min(1.0)
    return mean.to(torch.uint8).numpy(), std.numpy()
