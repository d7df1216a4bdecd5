"""What the walking operator sees is late and blurred, in place and in every angle."""

from __future__ import annotations

import numpy as np

from telerig.drivers.operator_habits import BLUR_M, DELAY_NS
from telerig.drivers.operator_sight import BLUR_RAD, Sight
from telerig.hardware.rotations import quaternion_to_matrix, rotation_about, rotation_vector
from telerig.hardware.samples import Sample

LATE = DELAY_NS // 10_000_000 + 1  # looks of 10 ms


def leaning(pitch: float, yaw: float = 0.0) -> np.ndarray:
    """(4,) wxyz: turned by yaw, then pitched."""
    (c, s), (d, t) = ((np.cos(a / 2), np.sin(a / 2)) for a in (yaw, pitch))
    return np.array([c * d, -s * t, c * t, s * d])


def looks(attitude: np.ndarray, seed: int) -> Sight:
    """Who has looked once at a robot that stands still."""
    sight = Sight(np.random.default_rng(seed))
    pelvis = np.array([0.0, 0.0, 0.74, *attitude])
    truth = {"object": np.ones(3), "target": np.zeros(3), "pelvis": pelvis, "episode": np.array(1)}
    for k in range(LATE):
        sight.look(Sample("world/truth", k * 10_000_000, k * 10_000_000, truth, seq=k), k * 10_000_000)
    return sight


def test_one_look_is_wrong_by_three_millimetres_and_a_hundredth_of_a_radian_in_every_angle() -> None:
    attitude, lean = leaning(0.2, 0.7), rotation_about((0, 1, 0), 0.2)
    np.testing.assert_allclose(quaternion_to_matrix(attitude), rotation_about((0, 0, 1), 0.7) @ lean, atol=1e-9)
    seen = [looks(attitude, seed) for seed in range(400)]
    for places, truth in (([s.box for s in seen], 1.0), ([s.disc for s in seen], 0.0)):
        np.testing.assert_allclose(np.std(np.array(places) - truth, axis=0), BLUR_M, rtol=0.2)
    np.testing.assert_allclose(np.std([s.pelvis for s in seen], axis=0), BLUR_M, rtol=0.2)
    np.testing.assert_allclose(np.std([s.heading for s in seen]), BLUR_RAD, rtol=0.2)
    tilts = np.array([rotation_vector(s.lean.T @ lean.T) for s in seen])
    np.testing.assert_allclose(np.std(tilts[:, :2], axis=0), BLUR_RAD, rtol=0.2)
    np.testing.assert_allclose(np.mean(tilts, axis=0), 0.0, atol=0.003)


def test_a_robot_that_leans_is_seen_to_lean_with_time() -> None:
    sight = Sight(np.random.default_rng(0))
    for k in range(400):
        pelvis = np.array([0.0, 0.0, 0.74, *leaning(0.001 * k)])
        truth = {"object": np.ones(3), "target": np.zeros(3), "pelvis": pelvis, "episode": np.array(1)}
        sight.look(Sample("world/truth", k * 10_000_000, k * 10_000_000, truth, seq=k), k * 10_000_000)
    _, pitch, _ = rotation_vector(sight.lean.T)
    np.testing.assert_allclose(pitch, 0.001 * (399 - LATE), atol=0.015)
