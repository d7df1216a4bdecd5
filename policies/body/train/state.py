"""Everything about a group of robots that outlives a step, besides the physics' own state: arrays, so that it can be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DataError
from telerig.policies.body.train.joints import JOINTS, N_LEGS, N_UPPER

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class State:
    """Arrays over ``n`` robots.

    ``wanted``, ``command`` (n, 4): drawn and slewed vx, vy m/s, yaw rate rad/s, height m.  ``walking``: what was drawn;
    ``stepping``: whether the clock runs (also while a walk slows down).  ``phase``: of the left leg, rad.
    ``drift`` (n, 3): moving average of velocity minus command.  ``target`` (n, 21): the last one sent.  ``delay``:
    sub-steps until a target arrives.  ``down_s`` (n, 2): how long each foot has stood.  ``observation``: the critic's.
    """

    age: Ints
    redraw: Ints
    wanted: Floats
    command: Floats
    walking: Bools
    stepping: Bools
    phase: Floats
    action: Floats
    before: Floats
    drift: Floats
    target: Floats
    delay: Ints
    down_s: Floats
    contact: Bools
    sole: Floats
    arm_kind: Ints
    arm_size: Floats
    arm_rate: Floats
    arm_phase: Floats
    arm_goal: Floats
    arm_target: Floats
    observation: NDArray[np.float32]

    @staticmethod
    def empty(n: int, observations: int) -> State:
        """All zero."""
        return State(
            age=np.zeros(n, np.int64), redraw=np.zeros(n, np.int64), wanted=np.zeros((n, 4)), command=np.zeros((n, 4)),
            walking=np.zeros(n, np.bool_), stepping=np.zeros(n, np.bool_), phase=np.zeros(n),
            action=np.zeros((n, N_LEGS)), before=np.zeros((n, N_LEGS)), drift=np.zeros((n, 3)),
            target=np.zeros((n, len(JOINTS))), delay=np.zeros(n, np.int64), down_s=np.zeros((n, 2)),
            contact=np.zeros((n, 2), np.bool_), sole=np.zeros((n, 2)), arm_kind=np.zeros(n, np.int64),
            arm_size=np.zeros((n, N_UPPER)), arm_rate=np.zeros((n, N_UPPER)), arm_phase=np.zeros((n, N_UPPER)),
            arm_goal=np.zeros((n, N_UPPER)), arm_target=np.zeros((n, N_UPPER)),
            observation=np.zeros((n, observations), np.float32),
        )  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Name → array, live."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy saved arrays in.  :raises DataError: one is missing or has another shape."""
        for name, own in self.arrays().items():
            if name not in arrays or arrays[name].shape != own.shape:
                raise DataError(f"training state: array '{name}' is missing or not of shape {own.shape}")
            own[...] = arrays[name]
