"""The operator that walks and carries: every phase, by pedals, exoskeletons and gloves alone, on a robot without physics."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.drivers import operator_shelf_to_table as module
from telerig.drivers.operator_habits import DELAY_NS
from telerig.drivers.operator_hands import INWARD, Hands
from telerig.drivers.operator_shelf_to_table import SQUAT, TILT, ShelfToTableOperator
from telerig.drivers.operator_sight import Sight
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.kinematics import Chain
from telerig.hardware.rotations import rotation_about
from telerig.hardware.samples import Sample

from .puppet import Puppet

G1 = load_embodiment("g1_like")
PHASES = [
    "home", "walk to the shelf", "squat", "grasp", "lift", "back away", "walk to the table", "set down", "let go", "home",
]  # fmt: skip


def until(puppet: Puppet, operator: ShelfToTableOperator, phase: str, presses: int = -1) -> list[str]:
    """The phases it went through until that one, or so many presses of *episode*."""
    phases = [operator.phase]
    for _ in range(4500):
        if operator.phase == phase or puppet.presses == presses:
            return phases
        puppet.step(operator)
        if operator.phase != phases[-1]:
            phases.append(operator.phase)
    raise AssertionError(f"after 45 s at {operator.phase}, {puppet.presses} presses")


def test_it_goes_through_every_phase_and_the_box_stands_on_the_disc() -> None:
    puppet, operator = Puppet(0), ShelfToTableOperator(0)
    phases = until(puppet, operator, "lift")
    assert puppet.height == pytest.approx(SQUAT, abs=0.01)
    assert puppet.done == (True, False, False, False)
    phases += until(puppet, operator, "walk to the table")[1:]
    held = dict.fromkeys(G1.group("waist").joints, 0.0)
    for side, q in operator._hands.q.items():  # fingers up while it carries
        palm = Chain.from_mjcf(G1.model_path, "pelvis", f"{side}_palm", held).forward(q)
        assert np.arcsin(palm[2, 0]) == pytest.approx(TILT, abs=0.05)
    phases += until(puppet, operator, "set down")[1:]
    assert puppet.done == (True, True, True, False)
    assert puppet.presses == 1
    phases += until(puppet, operator, "", 2)[1:]
    assert phases == PHASES
    assert puppet.success
    assert 20 < puppet.now / 1e9 < 45


def test_while_the_robot_does_not_follow_time_stands_still_and_pedals_are_released() -> None:
    puppet, operator = Puppet(1), ShelfToTableOperator(1)
    until(puppet, operator, "walk to the shelf")
    for _ in range(200):
        puppet.step(operator)
    before = {s: q.copy() for s, q in operator._hands.q.items()}
    assert puppet.hold(operator, 0.6) == [0.0, 0.0, 0.0]
    assert operator.phase == "walk to the shelf"
    assert all(np.abs(operator._hands.q[s] - q).max() < 0.05 for s, q in before.items())
    puppet.pedals.reset()  # as the cockpit is when the robot follows again
    until(puppet, operator, "squat")
    assert puppet.done[0]


def test_after_a_stop_while_it_backs_away_its_feet_begin_anew_with_the_cockpit() -> None:
    puppet, operator = Puppet(1), ShelfToTableOperator(1)
    until(puppet, operator, "back away")
    for _ in range(150):
        puppet.step(operator)
    assert operator._feet.speed.direction == -1.0
    puppet.hold(operator, 0.6)
    puppet.pedals.reset()
    puppet.step(operator)
    for _ in range(10):
        puppet.step(operator)
    assert operator._feet.speed.direction == 1.0


def test_a_new_scene_ends_what_was_begun_in_the_last_one() -> None:
    puppet, operator = Puppet(2), ShelfToTableOperator(2)
    until(puppet, operator, "squat")
    puppet.episode, puppet.at, puppet.heading = 2, np.zeros(2), 0.0
    until(puppet, operator, "home")
    assert until(puppet, operator, "squat") == ["home", "walk to the shelf", "squat"]
    assert puppet.presses == 2


def test_hands_follow_a_lean_and_not_the_sway_of_a_stride() -> None:
    """What is seen of the sway is 150 ms old: arms that made good for it would move when the pelvis does not."""
    puppet, operator = Puppet(0), ShelfToTableOperator(0)
    until(puppet, operator, "walk to the table")
    lean = rotation_about((0, 1, 0), 0.1)

    def leans() -> float:
        return float(operator._hands.lean[2, 0])

    moving = operator._move(lambda: operator._held(), operator._hands.spread, 1.0, 0.1)
    cases = (
        (0.3, 0.0, 0.4, 0.01, 0.02),
        (0.0, 0.3, 0.4, 0.01, 0.02),
        (0.3, 0.0, 6.0, 0.09, 0.1),
        (0.0, 0.0, 0.4, 0.09, 0.1),
    )
    for speed, yaw, seconds, least, most in cases:
        operator._hands.lean, operator._sight.lean = np.eye(3), lean
        operator._feet.speed.command, operator._feet.yaw.command = speed, yaw
        for _ in range(round(seconds / module.DT)):
            operator._keep()
        assert least <= abs(leans()) <= most
    operator._hands.lean = np.eye(3)
    next(iter(moving))
    assert abs(leans()) > 0.0


def test_it_looks_at_a_new_scene_before_it_begins() -> None:
    puppet, operator = Puppet(2), ShelfToTableOperator(2)
    until(puppet, operator, "", 1)
    assert puppet.now / 1e9 > module.LOOK_S
    until(puppet, operator, "", 2)  # done: arms go home
    for _ in range(300):
        puppet.step(operator)
    shown, puppet.episode = puppet.now, 2
    until(puppet, operator, "", 3)
    assert module.LOOK_S < (puppet.now - shown) / 1e9 < module.LOOK_S + 1.0


def test_past_the_place_it_goes_back_also_on_feet_that_take_a_while_to_start() -> None:
    puppet, operator = Puppet(1, starts_s=0.5), ShelfToTableOperator(1)
    until(puppet, operator, "walk to the table")
    while operator._wish != [0.0, 0.0, operator._feet.standing] or abs(puppet.heading - np.pi / 2) > 0.2:
        puppet.step(operator)
    for _ in range(20):
        puppet.step(operator)
    puppet.at[1] = puppet.disc[1] - module.AT_TABLE + 0.075
    until(puppet, operator, "set down")
    assert puppet.disc[1] - puppet.at[1] == pytest.approx(module.AT_TABLE, abs=0.05)


def farthest(puppet: Puppet, operator: ShelfToTableOperator, phase: str, presses: int = -1) -> tuple[float, int]:
    """How far from the box the robot was, and how often it came within half a metre, until that phase."""
    far, near, was = 0.0, 0, False
    for _ in range(9000):
        if operator.phase == phase or puppet.presses == presses:
            return far, near
        puppet.step(operator)
        away = float(np.linalg.norm(puppet.box[:2] - puppet.at))
        near, was = near + int(away < 0.5 and not was), away < 0.5 or (was and away < 0.8)
        far = max(far, away) if near else far
    raise AssertionError(f"after 90 s at {operator.phase}")


def test_beside_the_box_it_tries_again_from_further_off_and_in_the_end_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BESIDE_SHELF", -1.0)  # wherever it stands: too far beside
    puppet, operator = Puppet(0), ShelfToTableOperator(0)
    box = puppet.box.copy()
    until(puppet, operator, "walk to the shelf")
    far, near = farthest(puppet, operator, "", 2)
    assert near == module.TRIES
    assert 0.9 < far < 1.2  # it does back off in between
    assert operator.phase == "home"
    assert np.linalg.norm(puppet.box[:2] - puppet.at) < 0.5  # no backing away from the last
    assert puppet.height > 0.7  # nor a squat
    np.testing.assert_array_equal(puppet.box, box)


def test_beside_the_disc_it_sets_the_box_down_from_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BESIDE_TABLE", -1.0)
    monkeypatch.setattr(module, "TRIES", 1)
    puppet, operator = Puppet(0), ShelfToTableOperator(0)
    until(puppet, operator, "set down")
    assert np.linalg.norm(puppet.disc[:2] - puppet.at) < 0.5
    until(puppet, operator, "", 2)
    assert puppet.success


def test_palms_go_to_either_side_level_however_the_pelvis_leans_and_no_joint_is_too_fast() -> None:
    hands = Hands(G1, lambda t: np.zeros(3))
    hands.lean = rotation_about((0, 1, 0), -0.2)
    last = {s: q.copy() for s, q in hands.q.items()}
    fastest = np.array(G1.group("left_arm").velocity) * 0.02 + 1e-9
    for _ in hands.move(0.02, lambda: np.array([0.33, 0.04, 0.05]), 0.12, 1.0, 0.5):
        for side, q in hands.q.items():
            assert (np.abs(q - last[side]) <= fastest).all()
            last[side] = q.copy()
    for _ in range(20):
        hands.reach(0.02)
    held = dict.fromkeys(G1.group("waist").joints, 0.0)
    for side, y in (("left", 0.16), ("right", -0.08)):
        pose = Chain.from_mjcf(G1.model_path, "pelvis", f"{side}_palm", held).forward(hands.q[side])
        np.testing.assert_allclose(hands.lean.T @ pose[:3, 3], (0.33, y, 0.05), atol=2e-3)
        inward = rotation_about((0, 0, 1), -INWARD if side == "left" else INWARD)
        np.testing.assert_allclose(hands.lean.T @ pose[:3, :3], inward, atol=0.02)
    assert hands.grip == 1.0


def test_it_sees_late_and_through_the_sway_of_a_stride() -> None:
    sight = Sight(np.random.default_rng(0))
    for k in range(500):
        now = k * 10_000_000
        y = 0.04 * np.sin(2 * np.pi * k / 80)
        pelvis = np.array([0.004 * k, y, 0.74, np.cos(0.1), 0.0, 0.0, np.sin(0.1)])
        truth = {"object": np.ones(3), "target": np.zeros(3), "pelvis": pelvis, "episode": np.array(1)}
        sight.look(Sample("world/truth", now, now, truth, seq=k), now)
    shown = 0.004 * (499 - DELAY_NS / 1e7)
    assert sight.pelvis[0] == pytest.approx(shown, abs=0.02)
    assert abs(sight.steady[1]) < 0.025
    assert sight.heading == pytest.approx(0.2, abs=0.02)
    np.testing.assert_allclose(sight.box, 1.0, atol=5e-3)
    np.testing.assert_allclose(sight.place(sight.pelvis), 0.0, atol=1e-9)
