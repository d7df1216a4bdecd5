"""The analytic pose that a policy's action is added to: a height table, and a gait made of waves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.manifest import Manifest, Wave

Array = NDArray[np.float64]


class Reference:
    """A manifest's reference for its driven joints; without one, the default pose.  Works on one robot or on many.

    :param manifest: a checked one (``checks.check``).
    """

    def __init__(self, manifest: Manifest) -> None:
        joints, table = manifest.action_joints, manifest.reference
        self._default = manifest.column("default", joints)
        self._names = manifest.command.names
        self._height_at = self._names.index("height") if "height" in self._names else -1
        heights = table.height_table if table else None
        self._heights = np.array(heights.height if heights else ())
        by_joint = heights.joints if heights else {}
        self._columns = np.array([joints.index(name) for name in by_joint], np.intp)
        self._poses = np.array(list(by_joint.values())).T  # (heights, columns)
        self._places = np.arange(len(self._heights), dtype=np.float64)
        self._kept: tuple[float, Array, list[Array]] = (math.nan, self._default, [])
        curves = table.factors if table else {}
        self._curves = [(np.array(c.height), np.array(c.value)) for c in curves.values()]
        self._gait = Gait(table.gait if table else (), joints, self._names, tuple(curves))

    def pose(self, command: Array, phase: Array, walking: Array | bool) -> Array:
        """Angles of the driven joints, rad.

        :param command: ``(..., k)`` as given to the policy, in the order of the manifest's ``command.names``.
        :param phase: ``(..., p)`` rad.
        :param walking: ``(...)``; without walking there is no gait.
        :returns: ``(..., m)``.
        """
        height = command[..., self._height_at] if self._height_at >= 0 else np.zeros(command.shape[:-1])
        standing, factors = self._of_height(height)
        pose = np.empty((*command.shape[:-1], len(self._default)))
        pose[...] = standing
        if self._gait and (walking is True or np.any(walking)):
            gait = self._gait.at(command, phase, factors)
            pose += gait if walking is True else np.asarray(walking, np.float64)[..., None] * gait
        return pose

    def _of_height(self, height: Array) -> tuple[Array, list[Array]]:
        """The standing pose ``(..., m)`` and the waves' factors ``(...)``; one robot mostly keeps its height."""
        alone = np.ndim(height) == 0
        if alone and height == self._kept[0]:
            return self._kept[1:]
        standing = np.empty((*np.shape(height), len(self._default)))
        standing[...] = self._default
        if len(self._columns):
            standing[..., self._columns] = self._at_height(height)
        factors = [np.interp(height, *curve) for curve in self._curves]
        if alone:
            self._kept = float(height), standing, factors
        return standing, factors

    def _at_height(self, height: Array) -> Array:
        """The table's columns ``(..., columns)`` at heights ``(...)``, linear in between, held at the ends."""
        place = np.interp(height, self._heights, self._places)
        low = np.minimum(place.astype(np.intp), len(self._heights) - 2)
        part = (place - low)[..., None]
        return np.asarray(self._poses[low] * (1 - part) + self._poses[low + 1] * part)


class Gait:
    """A sum of waves over joints: sines and their positive halves, constants, each times commands and factors."""

    def __init__(
        self, waves: Sequence[Wave], joints: tuple[str, ...], commands: tuple[str, ...], factors: tuple[str, ...]
    ) -> None:
        self._n = len(waves)
        self._phase = np.array([w.phase for w in waves], np.intp)
        # a cosine is a sine a quarter later; `one` is a sine that never moves
        self._shift = np.array([np.pi / 2 if w.shape in ("cos", "one") else 0.0 for w in waves])
        self._moves = np.array([w.shape != "one" for w in waves], np.float64)
        self._floor = np.array([0.0 if w.shape == "lift" else -np.inf for w in waves])
        # what each wave is multiplied by, as places in (1, commands, their sizes, factors)
        names = ["", *commands, *(f"|{c}|" for c in commands), *(f"factor {f}" for f in factors)]
        wanted = [[*_times(w), *(f"factor {f}" for f in w.factors)] for w in waves]
        width = max(1, *(len(w) for w in wanted)) if wanted else 1
        self._known = len(names)
        self._times = [
            np.array([names.index(w[k] if k < len(w) else "") for w in wanted], np.intp) for k in range(width)
        ]
        self._amplitude = np.zeros((len(waves), len(joints)))
        for row, wave in zip(self._amplitude, waves, strict=True):
            for name, amplitude in wave.joints.items():
                row[joints.index(name)] = amplitude

    def __len__(self) -> int:
        return self._n

    def at(self, command: Array, phase: Array, factors: Sequence[Array]) -> Array:
        """What the gait adds ``(..., m)``, rad; ``factors`` ``(...)`` in the manifest's order."""
        angle = phase[..., self._phase] * self._moves + self._shift  # (..., waves)
        waves = np.maximum(np.sin(angle), self._floor)
        known = np.empty((*command.shape[:-1], self._known))
        n = command.shape[-1]
        known[..., 0], known[..., 1 : n + 1], known[..., n + 1 : 2 * n + 1] = 1.0, command, np.abs(command)
        for k, factor in enumerate(factors, 2 * n + 1):
            known[..., k] = factor
        times = known[..., self._times[0]]
        for places in self._times[1:]:
            times *= known[..., places]
        waves *= times
        return np.asarray(waves @ self._amplitude)


def _times(wave: Wave) -> list[str]:
    if wave.times is None:
        return []
    return [f"|{wave.times}|" if wave.absolute else wave.times]
