"""A trial as a recording for the viewer: the robot on its feet, what it was asked and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf_tree import read_tree
from telerig.hardware.rotations import quaternion_to_matrix
from telerig.policies.body.evaluation.trial import Track, Trial
from telerig.teleop.view.sdk import APPLICATION, load_rerun
from telerig.teleop.view.shapes import by_kind, solid

Floats = NDArray[np.float64]

FLOOR_M, STEP_M = 6.0, 0.5
_CURVES = ("vx", "vy", "yaw_rate", "height")  # m/s, m/s, rad/s, m


def check_folder(folder: Path) -> None:
    """:raises ConfigError: there is something already.  :raises MissingExtra: no rerun."""
    load_rerun()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} holds something already: give an empty --rrd")


def save_pictures(trials: Mapping[str, Trial], embodiment: str, folder: Path) -> list[Path]:
    """A file ``CASE.rrd`` each.  :returns: the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, trial in trials.items():
        if trial.track is not None:
            files.append(folder / f"{name}.rrd")
            _save(trial.track, name, embodiment, files[-1])
    return files


def _save(track: Track, name: str, embodiment: str, file: Path) -> None:
    rr = load_rerun()
    rec = rr.RecordingStream(APPLICATION, recording_id=f"eval-body {name}")
    rec.save(file)
    times = [rr.TimeColumn("time", duration=track.times)]
    rec.log("robot", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    lines = np.arange(-FLOOR_M, FLOOR_M + STEP_M / 2, STEP_M)
    grid = [[[x, -FLOOR_M, 0], [x, FLOOR_M, 0]] for x in lines] + [[[-FLOOR_M, y, 0], [FLOOR_M, y, 0]] for y in lines]
    rec.log("robot/floor", rr.LineStrips3D(grid, colors=[[120, 120, 120]], radii=0.003), static=True)
    robot = load_embodiment(embodiment)
    tree = read_tree(robot.model_path)
    names = [j for g in robot.groups for j in g.joints]
    angles = {j: track.joints[:, i] for i, j in enumerate(names)}
    poses = tree.forward(angles, roots(track.base))
    for body, pose in zip(tree.bodies, poses, strict=True):
        entity = f"robot/{body.name}"
        for kind, shapes in by_kind(body.shapes).items():
            rec.log(f"{entity}/{kind}", solid(shapes), static=True)
        columns = rr.Transform3D.columns(translation=pose[:, :3, 3], mat3x3=pose[:, :3, :3])
        rec.send_columns(entity, indexes=times, columns=columns)
    for i, curve in enumerate(_CURVES):
        for what, values in (("asked", track.wish), ("done", track.done)):
            rec.send_columns(f"{curve}/{what}", indexes=times, columns=rr.Scalars.columns(scalars=values[:, i]))
    rec.flush()


def roots(base: Floats) -> Floats:
    """Poses ``(T, 4, 4)`` of a root at ``base`` ``(T, 7)`` m, quaternion wxyz."""
    out = np.zeros((len(base), 4, 4))
    out[:, :3, :3] = [quaternion_to_matrix(q) for q in base[:, 3:7]]
    out[:, :3, 3], out[:, 3, 3] = base[:, :3], 1.0
    return out
