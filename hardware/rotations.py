"""Rotations as matrices, quaternions (wxyz) and rotation vectors (rad).  A matrix takes child axes to parent axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def rotation_about(axis: ArrayLike, angle: float) -> Array:
    """Rotation matrix (3, 3) about a unit axis (Rodrigues)."""
    x, y, z = np.asarray(axis, float)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k))


def rotation_vector(rotation: Array) -> Array:
    """Axis times angle (3,), rad, of a rotation matrix; angles up to pi."""
    v = 0.5 * np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine = float(np.sqrt(v @ v))
    cosine = 0.5 * float(np.trace(rotation) - 1.0)
    if sine > 1e-6:
        return np.asarray(v * (np.arctan2(sine, cosine) / sine))
    if cosine > 0:
        return v
    # near pi: the axis is the column of R + I with the largest diagonal
    columns = rotation + np.eye(3)
    column = columns[:, int(np.argmax(np.diag(columns)))]
    return np.asarray(np.pi * column / np.linalg.norm(column))


def quaternion_to_matrix(q: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of a quaternion wxyz (normalised here)."""
    w, x, y, z = np.asarray(q, float) / np.linalg.norm(np.asarray(q, float))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
