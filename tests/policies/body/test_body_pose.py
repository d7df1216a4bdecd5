"""The reference pose: balanced at every height, stepping where the command says, the same in a mirror."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from telerig.policies.body.train.joints import ANKLE_PITCH, JOINTS, LEG_MIRROR, N_LEGS, UPPER_HOME
from telerig.policies.body.train.pose import ANKLE_LIMIT, HeightTable, stepping

Floats = NDArray[np.float64]


def posed(model: Any, legs: Floats, height: float, pitch: float = 0.0, upper: Floats = UPPER_HOME) -> Any:
    """The robot's data with its pelvis at ``height``."""
    data = mujoco.MjData(model)
    data.qpos[:7] = (0, 0, height, np.cos(pitch / 2), 0, np.sin(pitch / 2), 0)
    data.qpos[[model.jnt_qposadr[model.joint(j).id] for j in JOINTS]] = np.r_[legs, upper]
    mujoco.mj_forward(model, data)
    return data


@pytest.mark.parametrize("height", [0.33, 0.34, 0.40, 0.45, 0.5, 0.55, 0.6, 0.611, 0.65, 0.7, 0.74, 0.78])
def test_feet_stand_on_the_floor_under_the_mass(nominal: Any, table: HeightTable, height: float) -> None:
    legs, pitch = table.at(np.array([height]))
    data = posed(nominal, legs[0], height, float(pitch[0]))
    soles = [data.geom(f"{side}_foot_{i}") for side in ("left", "right") for i in range(4)]
    lowest = np.array([g.xpos[2] - 0.01 for g in soles])
    assert np.abs(lowest).max() < 1e-3  # m; flat, and on the floor
    x = [g.xpos[0] for g in soles]
    mass = data.subtree_com[1]
    assert min(x) + 0.03 < mass[0] < max(x) - 0.03
    assert abs(mass[1]) < 2e-3
    assert (legs[0, ANKLE_PITCH] >= ANKLE_LIMIT - 1e-9).all()
    low, high = nominal.jnt_range[[nominal.joint(j).id for j in JOINTS[:N_LEGS]]].T
    assert (legs[0] > low).all()
    assert (legs[0] < high).all()


def test_pelvis_is_upright_until_the_ankles_give_out(table: HeightTable) -> None:
    _, pitch = table.at(np.array([0.78, 0.74, 0.65, 0.45, 0.34]))
    assert np.abs(pitch[:3]).max() < 1e-9
    assert 0.4 < pitch[3] < pitch[4] < 0.8


def test_ends_are_held(table: HeightTable) -> None:
    below, above = table.at(np.array([0.0])), table.at(np.array([2.0]))
    np.testing.assert_array_equal(below[0][0], table.legs[0])
    np.testing.assert_allclose(above[0][0], table.legs[-1])


COMMANDS = st.tuples(
    st.floats(-0.5, 0.9), st.floats(-0.4, 0.4), st.floats(-0.8, 0.8), st.floats(0.5, 0.76), st.floats(0, 2 * np.pi)
)


@given(COMMANDS)
def test_stepping_in_a_mirror(drawn: tuple[float, float, float, float, float]) -> None:
    """Mirrored command and the other leg's phase give the mirrored pose."""
    vx, vy, yaw, height, phase = drawn
    source, sign = LEG_MIRROR
    legs, pitch = np.tile(np.array([-0.5, 0.0, 0.0, 0.9, -0.4, 0.0]), 2)[None], np.array([0.1])
    pose = stepping(legs, pitch, np.array([phase]), np.array([[vx, vy, yaw, height]]))
    mirrored = stepping(legs[:, source] * sign, pitch, np.array([phase + np.pi]), np.array([[vx, -vy, -yaw, height]]))
    np.testing.assert_allclose(mirrored, pose[:, source] * sign, atol=1e-12)


@pytest.mark.parametrize("height", [0.74, 0.6])
@pytest.mark.parametrize(("command", "axis"), [((0.5, 0.0, 0.0), 0), ((-0.3, 0.0, 0.0), 0), ((0.0, 0.3, 0.0), 1)])
def test_standing_foot_sweeps_against_the_command(
    nominal: Any, table: HeightTable, command: tuple[float, float, float], axis: int, height: float
) -> None:
    """While a foot stands, the pose moves it as fast as the ground passes under a robot that obeys."""
    legs, pitch = table.at(np.array([height]))
    asked = np.array([[*command, height]])
    places = []
    phases = np.pi + np.linspace(0.35 * np.pi, 0.65 * np.pi, 5)  # the middle of the left leg's stance
    for phase in phases:
        data = posed(nominal, stepping(legs, pitch, np.array([phase]), asked)[0], height, float(pitch[0]))
        places.append(data.site("left_foot").xpos.copy())
    seconds = (phases[-1] - phases[0]) / (2 * np.pi) * 0.8
    velocity = (places[-1] - places[0]) / seconds
    # fastest in the middle of the stance; its mean over the stance is a little more than the command
    assert -velocity[axis] == pytest.approx(command[axis] * 1.5, rel=0.25)
    turned = np.arctan2(*data.site("left_foot").xmat.reshape(3, 3)[[1, 0], 0])
    assert abs(turned) < 0.06  # the foot keeps pointing ahead


def test_swinging_foot_rises_and_the_standing_one_stays(nominal: Any, table: HeightTable) -> None:
    legs, pitch = table.at(np.array([0.74]))
    pose = stepping(legs, pitch, np.array([np.pi / 2]), np.array([[0.0, 0.0, 0.0, 0.74]]))
    data = posed(nominal, pose[0], 0.74)
    left, right = data.site("left_foot").xpos[2], data.site("right_foot").xpos[2]
    assert left > 0.04
    assert abs(right) < 0.006


def test_turning_swings_the_foot_into_the_turn(nominal: Any, table: HeightTable) -> None:
    legs, pitch = table.at(np.array([0.74]))
    asked = np.array([[0.0, 0.0, 0.6, 0.74]])
    ends = [posed(nominal, stepping(legs, pitch, np.array([p]), asked)[0], 0.74) for p in (0.0, np.pi)]
    yaw = [np.arctan2(*d.site("left_foot").xmat.reshape(3, 3)[[1, 0], 0]) for d in ends]
    assert yaw[1] - yaw[0] > 0.1
