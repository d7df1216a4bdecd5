"""A trial as a recording for the viewer: the robot on its feet, what it was asked and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.mjcf_tree import read_tree
from telerig.hardware.rotations import quaternion_to_matrix
from telerig.policies.body.evaluation.track import Track
from telerig.policies.body.evaluation.trial import Trial
from telerig.teleop.view.sdk import APPLICATION, load_rerun
from telerig.teleop.view.shapes import by_kind, solid

Floats = NDArray[np.float64]

START_M = 1.2
_CURVES = {"vx": "m/s", "vy": "m/s", "yaw_rate": "rad/s", "height": "m"}


def check_folder(folder: Path) -> None:
    """:raises ConfigError: there is something already.  :raises MissingExtra: no rerun."""
    load_rerun()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} holds something already: give an empty --rrd")


def save_pictures(trials: Mapping[str, Trial], embodiment: str, folder: Path) -> list[Path]:
    """A file ``CASE.rrd`` for each trial that kept its track.  :returns: the files."""
    return save_tracks({n: t.track for n, t in trials.items() if t.track is not None}, embodiment, folder)


def save_tracks(tracks: Mapping[str, Track], embodiment: str, folder: Path) -> list[Path]:
    """A file ``NAME.rrd`` each.  :returns: the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, track in tracks.items():
        files.append(folder / f"{name}.rrd")
        _save(track, name, embodiment, files[-1])
    return files


def _save(track: Track, name: str, embodiment: str, file: Path) -> None:
    rr = load_rerun()
    rec = rr.RecordingStream(APPLICATION)  # with an id of its own: runs that are looked at together stay apart
    rec.send_recording_name(f"{file.parent.name} {name}")
    robot = load_embodiment(embodiment)
    tree = read_tree(robot.model_path)
    rec.save(file, default_blueprint=_window(f"{name}: asked and done", tree.bodies[0].name))
    times = [rr.TimeColumn("time", duration=track.times)]
    rec.log("robot", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    corners = [(START_M * x, START_M * y, 0.0) for x, y in ((1, 1), (1, -1), (-1, -1), (-1, 1), (1, 1))]
    start = np.array([*track.base[0, :2], 0.0]) + corners  # where it began; the viewer's eye keeps it in sight at first
    rec.log("robot/start", rr.LineStrips3D([start], colors=[[120, 120, 120]], radii=0.005), static=True)
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


def _window(title: str, root: str) -> Any:
    """The robot, which the eye follows, beside what it was asked and did."""
    import rerun.blueprint as rrb

    curves = (rrb.TimeSeriesView(origin=c, name=f"{c.replace('_', ' ')} ({unit})") for c, unit in _CURVES.items())
    robot = rrb.Spatial3DView(
        origin="robot",
        name=title,
        eye_controls=rrb.EyeControls3D(tracking_entity=f"robot/{root}"),
        background=(32, 36, 42),
        line_grid=rrb.LineGrid3D(visible=True, spacing=0.5),
    )
    views = rrb.Horizontal(robot, rrb.Vertical(*curves), column_shares=[3, 2])
    hidden = (panel(state="collapsed") for panel in (rrb.BlueprintPanel, rrb.SelectionPanel))
    return rrb.Blueprint(views, *hidden, rrb.TimePanel(timeline="time", play_state="playing", state="collapsed"))


def roots(base: Floats) -> Floats:
    """Poses ``(T, 4, 4)`` of a root at ``base`` ``(T, 7)`` m, quaternion wxyz."""
    out = np.zeros((len(base), 4, 4))
    out[:, :3, :3] = [quaternion_to_matrix(q) for q in base[:, 3:7]]
    out[:, :3, 3], out[:, 3, 3] = base[:, :3], 1.0
    return out
