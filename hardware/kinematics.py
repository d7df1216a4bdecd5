"""Forward and inverse kinematics of one serial chain, read from an MJCF file.  Numpy only, fast enough for 100 Hz.

Transforms are homogeneous ``(4, 4)``, base from tip.  Spatial vectors: linear, then angular, in the base's axes.
The inverse is damped least squares (Nakamura and Hanafusa 1986) with the posture in the null space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf import chain_elements
from telerig.hardware.rotations import Array, rotation_about, rotation_vector

ROTATION_LENGTH = 0.2  # m a radian: how much a rotation error weighs against a position error


@dataclass(frozen=True, slots=True)
class Solution:
    """What the inverse found: joints (n,), and what is left of the position (m) and weighted rotation (rad) errors."""

    q: Array
    position_error: float
    rotation_error: float


@dataclass(frozen=True, eq=False)
class Chain:
    """Hinges and slides in series between a base body's frame and a tip.

    :param joints: names of the ``n`` moving joints, base first.
    :param low, high: their ranges (n,), rad or m; infinite where unlimited.
    :param fixed: ``(n + 1, 4, 4)``: the transform before each joint, and from the last joint to the tip.
    :param axes: ``(n, 3)`` unit joint axes.  :param slides: ``(n,)`` True where the joint slides.
    """

    joints: tuple[str, ...]
    low: Array
    high: Array
    fixed: Array
    axes: Array
    slides: NDArray[np.bool_]

    def __post_init__(self) -> None:
        k = np.cross(np.eye(3)[None], self.axes[:, None, :])  # (n, 3, 3): k @ v = axis x v
        turns = ~self.slides[:, None, None]
        object.__setattr__(self, "_k", k * turns)
        object.__setattr__(self, "_kk", (k @ k) * turns)

    @staticmethod
    def from_mjcf(path: str | Path, base_body: str, tip: str, held: Mapping[str, float] | None = None) -> Chain:
        """Read the chain from ``base_body`` (or ``world``) to ``tip``, the name of a site or a body.

        :param held: joints on the way that do not take part, and where they stand.
        :raises ConfigError: the file has no such body or site, or the tip is not below the base.
        """
        held = dict(held or {})
        names, low, high, axes, slides = [], [], [], [], []
        fixed: list[Array] = []
        pending = np.eye(4)
        for element in chain_elements(path, base_body, tip):
            if element.joint is None:
                pending = pending @ element.transform
                continue
            pending = pending @ element.transform  # to the joint's anchor
            if element.joint in held:
                pending = pending @ _motion(element.axis, element.slide, held.pop(element.joint))
            else:
                fixed.append(pending)
                pending = np.eye(4)
                names.append(element.joint)
                low.append(element.range[0])
                high.append(element.range[1])
                axes.append(element.axis)
                slides.append(element.slide)
            pending = pending @ np.linalg.inv(element.transform)
        if held:
            raise ConfigError(f"{path}: no joint {', '.join(held)} between {base_body} and {tip}")
        if not names:
            raise ConfigError(f"{path}: no joint moves {tip} against {base_body}")
        return Chain(
            tuple(names), np.array(low), np.array(high), np.array([*fixed, pending]), np.array(axes), np.array(slides)
        )

    def _frames(self, q: Array) -> tuple[Array, Array]:
        """Joint frames ``(..., n, 4, 4)`` after moving, and the tip ``(..., 4, 4)``, base from each."""
        s, c = np.sin(q)[..., None, None], (1.0 - np.cos(q))[..., None, None]
        motion = np.zeros((*q.shape, 4, 4))
        motion[..., :3, :3] = np.eye(3) + s * self._k + c * self._kk  # type: ignore[attr-defined]
        motion[..., :3, 3] = np.where(self.slides[:, None], self.axes * q[..., None], 0.0)
        motion[..., 3, 3] = 1.0
        step = self.fixed[:-1] @ motion  # (..., n, 4, 4)
        frames = np.empty_like(step)
        here = frames[..., 0, :, :] = step[..., 0, :, :]
        for i in range(1, len(self.joints)):
            here = frames[..., i, :, :] = here @ step[..., i, :, :]
        return frames, here @ self.fixed[-1]

    def forward(self, q: ArrayLike) -> Array:
        """Tip pose in the base's frame: ``(..., n)`` joints to ``(..., 4, 4)``."""
        return self._frames(np.asarray(q, float))[1]

    def jacobian(self, q: ArrayLike) -> Array:
        """``(6, n)``: tip velocity (m/s, rad/s in the base's axes) for each joint's unit velocity."""
        frames, tip = self._frames(np.asarray(q, float))
        return self._jacobian(frames, tip)

    def _jacobian(self, frames: Array, tip: Array) -> Array:
        axes = (frames[:, :3, :3] @ self.axes[:, :, None])[:, :, 0]  # (n, 3)
        arm = tip[:3, 3] - frames[:, :3, 3]
        linear = np.where(self.slides[:, None], axes, _cross(axes, arm))
        angular = np.where(self.slides[:, None], 0.0, axes)
        return np.concatenate([linear, angular], axis=1).T

    def solve(
        self,
        q0: ArrayLike,
        target_pos: ArrayLike,
        target_rot: ArrayLike | None = None,
        iters: int = 30,
        *,
        rot_weight: Sequence[float] = (1.0, 1.0, 1.0),
        posture: ArrayLike | None = None,
        posture_gain: float = 0.1,
        damping: float = 0.02,
        margin: float = 0.0,
        tolerance: float = 1e-4,
    ) -> Solution:
        """Joints that bring the tip to ``target_pos`` (3,), and to ``target_rot`` (3, 3) where given.

        :param rot_weight: weight of the rotation error about each axis of the *tip*; 0 leaves that axis free.
        :param posture: joints (n,) to prefer where the task leaves a choice; default: none.
        :param margin: stay this far (rad, m) inside the joints' ranges.
        :param tolerance: stop when position (m) and weighted rotation (rad) errors are below it; with 0 all ``iters``
            run, and the posture goes on settling.
        """
        q = np.asarray(q0, float).copy()
        low, high = self.low + margin, self.high - margin
        goal = np.asarray(target_pos, float)
        rotation = None if target_rot is None else np.asarray(target_rot, float)
        weight = np.asarray(rot_weight, float)
        rest = None if posture is None else np.asarray(posture, float)
        for _ in range(iters):
            frames, tip = self._frames(q)
            error = self._error(tip, goal, rotation, weight)
            if np.sqrt(error[:3] @ error[:3]) < tolerance and np.sqrt(error[3:] @ error[3:]) < tolerance:
                break
            jac = self._task_jacobian(frames, tip, rotation is not None, weight)
            pull = np.zeros(q.size) if rest is None else posture_gain * (rest - q)
            q = _step(q, jac, _clip(error, ROTATION_LENGTH), pull, low, high, damping)
        error = self._error(self._frames(q)[1], goal, rotation, weight)
        return Solution(q, float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:])))

    def _error(self, tip: Array, goal: Array, rotation: Array | None, weight: Array) -> Array:
        """(6,) or (3,): position error in the base's axes, weighted rotation error in the tip's."""
        if rotation is None:
            return goal - tip[:3, 3]
        return np.concatenate([goal - tip[:3, 3], weight * rotation_vector(tip[:3, :3].T @ rotation)])

    def _task_jacobian(self, frames: Array, tip: Array, rotates: bool, weight: Array) -> Array:
        jac = self._jacobian(frames, tip)
        if not rotates:
            return jac[:3]
        jac[3:] = weight[:, None] * (tip[:3, :3].T @ jac[3:])
        return jac


def _clip(error: Array, length: float) -> Array:
    """Bound the error so that a far target does not make a wild step: 0.1 m, 0.5 rad."""
    out = error.copy()
    out[:3] *= min(1.0, 0.1 / max(1e-12, float(np.sqrt(error[:3] @ error[:3]))))
    if out.size > 3:
        out[3:] *= length * min(1.0, 0.5 / max(1e-12, float(np.sqrt(error[3:] @ error[3:]))))
    return out


def _step(q: Array, jac: Array, error: Array, pull: Array, low: Array, high: Array, damping: float) -> Array:
    """One damped step, at most 0.3 rad a joint.  Joints at the edge of their range stay there and the others take over."""
    jac = jac.copy()
    jac[3:] *= ROTATION_LENGTH
    dq = _damped(jac, error, pull, damping)
    blocked = ((q + dq < low) & (dq < 0)) | ((q + dq > high) & (dq > 0))
    if blocked.any():
        dq = _damped(jac * ~blocked, error, pull * ~blocked, damping)
    dq *= min(1.0, 0.3 / max(1e-12, float(np.abs(dq).max())))
    return np.minimum(np.maximum(q + dq, low), high)


def _damped(jac: Array, error: Array, pull: Array, damping: float) -> Array:
    """Damped least squares for ``error``, with ``pull`` as far as the damped null space lets it."""
    square = jac @ jac.T
    square.flat[:: square.shape[0] + 1] += damping * damping
    return pull + jac.T @ np.linalg.solve(square, error - jac @ pull)


def _cross(a: Array, b: Array) -> Array:
    """Row-wise cross product; ``np.cross`` costs five times as much on seven rows."""
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        axis=1,
    )


def _motion(axis: Array, slide: bool, value: float) -> Array:
    """A joint's transform (4, 4) at ``value``."""
    out = np.eye(4)
    if slide:
        out[:3, 3] = axis * value
    else:
        out[:3, :3] = rotation_about(axis, value)
    return out
