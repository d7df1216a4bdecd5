"""Leg odometry against physics: how far the place of a walking robot drifts."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="pip install telerig[sim]")
pytest.importorskip("onnxruntime", reason="pip install telerig[learn]")

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.legs import legs_of
from telerig.hardware.odometry import LegOdometry
from telerig.hardware.stance import Stance
from telerig.policies.body.evaluation import trial
from telerig.policies.body.evaluation.cases import choose

DRIFT, HEIGHT_M = 0.05, 0.015  # seen: 1.5 % of the way upright, 4 % squatting, where feet slip; 11 mm


@pytest.mark.parametrize(
    "name", ["forward_0.5", "backward_0.3", "yaw_0.5", "forward_0.4_height_0.50", "friction_0.4_forward_0.5"]
)
def test_the_place_of_a_walking_robot_drifts_by_some_hundredths_of_its_way(name: str) -> None:
    robot = load_embodiment("g1_like")
    (case,) = choose([name])
    track = trial.run(trial.Order("telerig_g1", case, 0, keep=True)).track
    assert track is not None
    names = [j for g in robot.groups for j in g.joints]
    legs = np.stack([track.joints[:, names.index(j)] for j in legs_of(robot).joints], axis=1)
    start = (float(track.base[0, 0]), float(track.base[0, 1]), 0.0)
    found = LegOdometry(Stance(robot), start).follow(legs, track.base[:, 3:7])[:, :3, 3]
    went = np.linalg.norm(np.diff(track.base[:, :2], axis=0), axis=1).sum()
    off = found - track.base[:, :3]
    assert went > 1.0
    assert np.linalg.norm(off[-1, :2]) < DRIFT * went
    assert np.abs(off[:, 2]).max() < HEIGHT_M
