"""The analytic pose that a policy's action is added to: a height table, and a gait made of waves."""

from __future__ import annotations

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
        self._heights = np.array(heights.height if heights else (0.0,))
        self._poses = [(joints.index(n), np.array(a)) for n, a in heights.joints.items()] if heights else []
        self._stride = table.stride if table else None
        self._gait = Gait(table.gait if table else (), joints, self._names)

    def pose(self, command: Array, phase: Array, walking: Array | bool) -> Array:
        """Angles of the driven joints, rad.

        :param command: ``(..., k)`` as given to the policy, in the order of the manifest's ``command.names``.
        :param phase: ``(..., p)`` rad.
        :param walking: ``(...)``; without walking there is no gait.
        :returns: ``(..., m)``.
        """
        pose = np.array(np.broadcast_to(self._default, (*command.shape[:-1], len(self._default))))
        for column, angles in self._poses:
            pose[..., column] = np.interp(command[..., self._height_at], self._heights, angles)
        if self._gait and np.any(walking):
            stride = None
            if self._stride is not None:
                hip = np.maximum(command[..., self._height_at] - self._stride.drop, self._stride.least)
                stride = self._stride.leg / hip
            pose += np.asarray(walking, np.float64)[..., None] * self._gait.at(command, phase, stride)
        return pose


class Gait:
    """A sum of waves over joints: sines and their positive halves, constants, each times a command."""

    def __init__(self, waves: tuple[Wave, ...], joints: tuple[str, ...], commands: tuple[str, ...]) -> None:
        self._n = len(waves)
        self._phase = np.array([w.phase for w in waves], np.intp)
        # a cosine is a sine a quarter later; `one` is a sine that never moves
        self._shift = np.array([np.pi / 2 if w.shape in ("cos", "one") else 0.0 for w in waves])
        self._moves = np.array([w.shape != "one" for w in waves], np.float64)
        self._floor = np.array([0.0 if w.shape == "lift" else -np.inf for w in waves])
        self._timed = [(k, commands.index(w.times), w.absolute) for k, w in enumerate(waves) if w.times]
        self._strided = np.array([w.stride for w in waves], bool)
        self._amplitude = np.zeros((len(waves), len(joints)))
        for row, wave in zip(self._amplitude, waves, strict=True):
            for name, amplitude in wave.joints.items():
                row[joints.index(name)] = amplitude

    def __len__(self) -> int:
        return self._n

    def at(self, command: Array, phase: Array, stride: Array | None) -> Array:
        """What the gait adds ``(..., m)``, rad; ``stride`` ``(...)`` is the factor of waves that ask for it."""
        angle = phase[..., self._phase] * self._moves + self._shift  # (..., waves)
        waves = np.maximum(np.sin(angle), self._floor)
        for wave, item, absolute in self._timed:
            value = command[..., item]
            waves[..., wave] *= np.abs(value) if absolute else value
        if stride is not None:
            waves[..., self._strided] *= stride[..., None]
        return np.asarray(waves @ self._amplitude)
