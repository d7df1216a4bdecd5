"""End-effector poses in a dataset are the model's forward kinematics."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.datasets.end_effector import end_effectors, quaternions
from telerig.hardware.embodiment import Embodiment, EndEffector, JointGroup, load_embodiment
from telerig.hardware.rotations import quaternion_to_matrix

ARM = """<mujoco><compiler angle="radian"/><worldbody>{top}
  <body name="upper" pos="0 0 0.5"><joint name="a" axis="0 0 1" range="-3 3"/>
    <body name="fore" pos="0.3 0 0"><joint name="b" axis="0 0 1" range="-3 3"/></body></body>
{end}</worldbody></mujoco>"""


def arm(tmp_path, floating: bool) -> Embodiment:
    top, end = ('<body name="torso" pos="0 0 9"><freejoint/>', "</body>") if floating else ("", "")
    path = tmp_path / "arm.xml"
    path.write_text(ARM.format(top=top, end=end))
    two = (1.0, 1.0)
    group = JointGroup("arm", ("a", "b"), (-3.0, -3.0), (3.0, 3.0), two, two, two, (0.0, 0.0), (0, 1))
    effector = EndEffector("hand", "fore", (0.2, 0.0, 0.0), "arm")
    return Embodiment("planar", 1, str(path), (group,), (effector,), {"arm": ("arm",)})


def test_a_planar_arm_is_where_trigonometry_says(tmp_path):
    q = np.array([[0.0, 0.0], [np.pi / 2, 0.0], [np.pi / 2, -np.pi / 2], [0.3, 0.4]])
    for floating, frame in ((False, "world"), (True, "torso")):
        (track,) = end_effectors(arm(tmp_path, floating), ("b", "a"), q[:, ::-1])
        assert (track.name, track.frame, track.assumed) == ("hand", frame, ())
        a, ab = q[:, 0], q.sum(axis=1)
        want = np.stack(
            [0.3 * np.cos(a) + 0.2 * np.cos(ab), 0.3 * np.sin(a) + 0.2 * np.sin(ab), np.full(4, 0.5)], axis=1
        )
        assert np.allclose(track.poses[:, :3], want)
        assert np.allclose(track.poses[:, 3:], np.stack([np.cos(ab / 2), 0 * a, 0 * a, np.sin(ab / 2)], axis=1))


def test_joints_that_nobody_measured_are_named(tmp_path):
    (track,) = end_effectors(arm(tmp_path, False), ("b",), np.zeros((1, 1)))
    assert track.assumed == ("a",)


def test_a_real_embodiment_gives_a_pose_for_each_hand():
    embodiment = load_embodiment("g1_like")
    names = embodiment.joints(embodiment.targets["upper"])
    home = np.array([embodiment.target("r", "upper").home])
    tracks = end_effectors(embodiment, names, home)
    assert [t.name for t in tracks] == ["left_hand", "right_hand"]
    left, right = (t.poses[0] for t in tracks)
    assert np.allclose(np.linalg.norm(left[3:]), 1.0)
    assert left[1] > 0 > right[1], "y points left"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternions_invert_matrices(q):
    unit = np.array(q) / np.linalg.norm(q)
    back = quaternions(quaternion_to_matrix(unit)[None])[0]
    assert back[0] >= 0
    assert np.allclose(back, unit, atol=1e-7) or np.allclose(back, -unit, atol=1e-7)
