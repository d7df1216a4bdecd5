"""Leg odometry: what bears the robot stays where it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.legs import legs_of
from telerig.hardware.odometry import LegOdometry
from telerig.hardware.stance import Stance

ROBOT = load_embodiment("g1_like")
LEGS, STANCE = legs_of(ROBOT), Stance(ROBOT)


def walk(seed: int, steps: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Legs that swing about home, each joint at its own pace, and a pelvis that nods and turns."""
    rng, t = np.random.default_rng(seed), np.arange(steps)[:, None] / 50
    n = len(LEGS.joints)
    legs = np.array(LEGS.home) + 0.3 * np.sin(2 * np.pi * rng.uniform(0.3, 2, n) * t + rng.uniform(0, 6, n))
    roll, pitch = (0.15 * np.sin(2 * np.pi * rng.uniform(0.2, 1) * t[:, 0] + rng.uniform(0, 6)) for _ in range(2))
    yaw = rng.uniform(-3, 3) + rng.uniform(-1, 1) * t[:, 0]
    ones, none = np.ones(steps), np.zeros(steps)
    turned = _product(
        np.stack([np.cos(yaw / 2), none, none, np.sin(yaw / 2)]), np.stack([ones, roll / 2, pitch / 2, none])
    )
    return legs, (turned / np.linalg.norm(turned, axis=0)).T


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quaternions (4, T) wxyz, one after the other."""
    v = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:], axis=0)
    return np.stack([a[0] * b[0] - (a[1:] * b[1:]).sum(axis=0), *v])


def soles(legs: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Where the soles are in the world (T, feet, 3), m."""
    return np.array([(pose @ STANCE.soles(q))[:, :3, 3] for q, pose in zip(legs, poses, strict=True)])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_one_sole_rests_on_the_floor_and_one_foot_does_not_slide(seed: int) -> None:
    legs, attitude = walk(seed)
    feet = soles(legs, LegOdometry(STANCE, (1.0, -2.0, 0.7)).follow(legs, attitude))
    np.testing.assert_allclose(feet[..., 2].min(axis=1), 0.0, atol=1e-12)
    slid = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=2)
    np.testing.assert_allclose(slid.min(axis=1), 0.0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 60), max_size=4))
def test_a_walk_told_in_pieces_is_the_same_walk(seed: int, cuts: list[int]) -> None:
    legs, attitude = walk(seed)
    whole = LegOdometry(STANCE).follow(legs, attitude)
    live = LegOdometry(STANCE)
    parts = [
        live.follow(a, b) for a, b in zip(np.split(legs, sorted(cuts)), np.split(attitude, sorted(cuts)), strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(live.pose, whole[-1])


def test_it_begins_at_its_place_and_faces_as_it_was_asked_to() -> None:
    legs, attitude = walk(7)
    measured, turned = LegOdometry(STANCE, (1.0, -2.0, 0.7)), LegOdometry(STANCE, heading=0.5)
    a, b = measured.follow(legs, attitude), turned.follow(legs, attitude)
    np.testing.assert_allclose(a[0, :2, 3], (1.0, -2.0))
    assert np.arctan2(b[0, 1, 0], b[0, 0, 0]) == pytest.approx(0.5)
    by = b[0, :3, :3] @ a[0, :3, :3].T
    np.testing.assert_allclose(by @ a[:, :3, :3], b[:, :3, :3], atol=1e-12)
    np.testing.assert_allclose((a[:, :3, 3] - a[0, :3, 3]) @ by.T, b[:, :3, 3] - b[0, :3, 3], atol=1e-12)


def test_while_nothing_is_measured_it_stays_where_it_was() -> None:
    legs, attitude = walk(3)
    legs[20:30, 4], attitude[40:45] = np.nan, 0.0
    poses = LegOdometry(STANCE).follow(legs, attitude)
    assert np.isfinite(poses).all()
    assert (poses[20:30] == poses[19]).all()
    assert (poses[40:45] == poses[39]).all()
    assert (poses[30] != poses[29]).any()


def test_before_anything_is_measured_it_is_at_its_place() -> None:
    legs, attitude = walk(3, 4)
    attitude[:2] = np.nan
    poses = LegOdometry(STANCE, (1.0, -2.0, 0.7), heading=0.0).follow(legs, attitude)
    np.testing.assert_array_equal(poses[:2, :3, 3], [[1.0, -2.0, 0.7]] * 2)
    np.testing.assert_allclose(poses[2, :2, 3], (1.0, -2.0))


def test_while_nobody_keeps_it_up_it_hangs_where_it_began() -> None:
    legs, attitude = walk(5)
    hangs = (np.arange(60) >= 30) & (np.arange(60) < 40)
    poses = LegOdometry(STANCE, (1.0, -2.0, 0.7)).follow(legs, attitude, hangs)
    assert np.linalg.norm(poses[29, :2, 3] - (1.0, -2.0)) > 0.01
    np.testing.assert_array_equal(poses[30:40, :2, 3], [(1.0, -2.0)] * 10)
    legs[35] = np.nan  # nor when they are not measured meanwhile
    unknown = LegOdometry(STANCE, (1.0, -2.0, 0.7)).follow(legs, attitude, hangs)
    np.testing.assert_array_equal(unknown[30:40, :2, 3], [(1.0, -2.0)] * 10)
    again = LegOdometry(STANCE, (1.0, -2.0, 0.7)).follow(legs[39:], attitude[39:])
    np.testing.assert_allclose(poses[40:, :2, 3], again[1:, :2, 3], atol=1e-12)


def test_a_robot_that_lies_on_its_face_is_not_in_the_floor() -> None:
    face_down = np.array([[np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0]])
    pose = LegOdometry(STANCE).follow(np.array([LEGS.home]), face_down)[0]
    assert 0.05 <= pose[2, 3] < 0.3
