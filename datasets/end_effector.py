"""End-effector poses from measured joints, by the embodiment's own model: `end_effector` is always a pose, never a hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.kinematics import Chain

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EndEffectorTrack:
    """One end effector over time.

    :param poses: ``(T, 7)`` x, y, z (m) and quaternion w, x, y, z, in ``frame``.
    :param assumed: joints on the way that nobody measured; taken as 0.
    """

    name: str
    frame: str
    poses: Floats
    assumed: tuple[str, ...]


def end_effectors(embodiment: Embodiment, names: Sequence[str], positions: Floats) -> list[EndEffectorTrack]:
    """Forward kinematics of all end effectors; none where the embodiment has no readable model.

    :param names: the joints that ``positions`` ``(T, n)`` (rad) belong to.
    """
    path = embodiment.model_path
    if not embodiment.end_effectors or not path.exists():
        return []
    column = {name: positions[:, i] for i, name in enumerate(names)}
    out = []
    for effector in embodiment.end_effectors:
        frame = _base_of(path, effector.body)
        chain = Chain.from_mjcf(path, frame, effector.body)
        joints = [column.get(j, np.zeros(len(positions))) for j in chain.joints]
        pose = chain.forward(np.column_stack(joints))  # (T, 4, 4)
        offset = np.asarray(effector.offset)
        xyz = pose[:, :3, 3] + pose[:, :3, :3] @ offset
        assumed = tuple(j for j in chain.joints if j not in column)
        out.append(EndEffectorTrack(effector.name, frame, np.hstack([xyz, quaternions(pose[:, :3, :3])]), assumed))
    return out


def _base_of(path: Path, body: str) -> str:
    """The frame that poses are given in: ``world`` for a robot that stands, its floating body for one that moves."""
    world = ET.parse(path).getroot().find("worldbody")
    for top in [] if world is None else world.findall("body"):
        if top.get("name") == body or any(b.get("name") == body for b in top.iter("body")):
            floats = top.find("freejoint") is not None or any(j.get("type") == "free" for j in top.findall("joint"))
            return str(top.get("name")) if floats else "world"
    raise ConfigError(f"{path}: no body '{body}', which the embodiment names as an end effector")


def quaternions(rotation: Floats) -> Floats:
    """``(T, 3, 3)`` rotation matrices as ``(T, 4)`` quaternions wxyz with w ≥ 0.

    The largest of four candidates is divided by (Shepperd 1978), so that nothing is divided by a small number.
    """
    m = rotation
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    squares = np.stack([trace, *(2 * m[:, i, i] - trace for i in range(3))], axis=1) + 1.0  # 4 q_i²
    k = np.argmax(squares, axis=1)
    q = np.empty((len(m), 4))
    d = 2.0 * np.sqrt(squares[np.arange(len(m)), k])  # 4 |q_k|
    skew = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], axis=1)
    q[:, 0] = np.where(k == 0, d / 4, skew[np.arange(len(m)), np.maximum(k - 1, 0)] / d)
    for i in range(3):
        both = np.stack([skew[:, i], *(m[:, i, j] + m[:, j, i] for j in range(3))], axis=1)
        q[:, 1 + i] = np.where(k == 1 + i, d / 4, both[np.arange(len(m)), k] / d)
    return np.where(q[:, :1] < 0, -q, q)
