"""Observations, mirrors and normalisation."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from telerig.policies.body.train.joints import LEG_MIRROR, N_LEGS, UPPER_MIRROR
from telerig.policies.body.train.normalise import Normaliser
from telerig.policies.body.train.observe import ACTOR, MIRROR_SIGN, MIRROR_SOURCE, N_ACTOR, N_CRITIC, motion, observe
from telerig.policies.body.train.state import State

Floats = NDArray[np.float64]
N = 5


def mirror(x: Floats) -> Floats:
    return MIRROR_SIGN * x[..., MIRROR_SOURCE]


@given(arrays(np.float64, (3, N_CRITIC), elements=st.floats(-10, 10)))
def test_mirror_is_an_involution(x: Floats) -> None:
    np.testing.assert_array_equal(mirror(mirror(x)), x)


def test_the_policy_sees_nothing_of_the_critic_in_the_mirror() -> None:
    assert (MIRROR_SOURCE[:N_ACTOR] < N_ACTOR).all()
    assert sum(t.size for t in ACTOR) == N_ACTOR == 67


def joints_mirrored(q: Floats) -> Floats:
    legs, upper = q[:, :N_LEGS], q[:, N_LEGS:]
    return np.concatenate((legs[:, LEG_MIRROR[0]] * LEG_MIRROR[1], upper[:, UPPER_MIRROR[0]] * UPPER_MIRROR[1]), axis=1)


def random_robots(seed: int) -> tuple[State, Floats, Floats]:
    """A state, qpos (n, 28) and qvel (n, 27), everything random; joints in the policy's order."""
    rng = np.random.default_rng(seed)
    state = State.empty(N, N_CRITIC)
    state.command[:] = rng.normal(size=(N, 4))
    state.action[:], state.drift[:] = rng.normal(size=(N, N_LEGS)), rng.normal(size=(N, 3))
    state.phase[:], state.stepping[:] = rng.uniform(0, 6, N), rng.random(N) < 0.5
    state.contact[:], state.sole[:] = rng.random((N, 2)) < 0.5, rng.random((N, 2))
    qpos, qvel = rng.normal(size=(N, 28)), rng.normal(size=(N, 27))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return state, qpos, qvel


def reflected(state: State, qpos: Floats, qvel: Floats) -> tuple[State, Floats, Floats]:
    """The same robots in a mirror through their x-z plane."""
    out = State.empty(N, N_CRITIC)
    out.command[:] = state.command * (1, -1, -1, 1)
    out.action[:] = state.action[:, LEG_MIRROR[0]] * LEG_MIRROR[1]
    out.drift[:] = state.drift * (1, -1, -1)
    out.phase[:], out.stepping[:] = state.phase + np.pi, state.stepping
    out.contact[:], out.sole[:] = state.contact[:, ::-1], state.sole[:, ::-1]
    base = qpos[:, :7] * (1, -1, 1, 1, -1, 1, -1)
    speed = qvel[:, :6] * (1, -1, 1, -1, 1, -1)
    return (
        out,
        np.concatenate((base, joints_mirrored(qpos[:, 7:])), axis=1),
        np.concatenate((speed, joints_mirrored(qvel[:, 6:])), axis=1),
    )


@given(st.integers(0, 1000))
def test_observing_a_reflected_robot_mirrors_the_observation(seed: int) -> None:
    state, qpos, qvel = random_robots(seed)
    other, q, v = reflected(state, qpos, qvel)
    zero = np.tile(np.array([-0.4, 0.0, 0.0, 0.8, -0.4, 0.0]), 2)
    here = observe(state, motion(qpos, qvel, (qpos[:, 7:], qvel[:, 6:])), zero, None)
    there = observe(other, motion(q, v, (q[:, 7:], v[:, 6:])), zero, None)
    np.testing.assert_allclose(there, mirror(here.astype(np.float64)), atol=2e-5)


def test_motion_reads_a_tilted_and_turned_base() -> None:
    """Pitched 0.3 rad forward at heading 90°, moving along world y."""
    yaw, pitch = np.pi / 2, 0.3
    cy, sy, cp, sp = np.cos(yaw / 2), np.sin(yaw / 2), np.cos(pitch / 2), np.sin(pitch / 2)
    qpos = np.zeros((1, 28))
    qpos[0, :7] = (5, 6, 0.7, cy * cp, -sy * sp, cy * sp, sy * cp)
    qvel = np.zeros((1, 27))
    qvel[0, :3] = (0.0, 0.5, 0.1)
    qvel[0, 3:6] = (-2 * np.sin(pitch), 0.0, 2 * np.cos(pitch))  # 2 rad/s about the vertical
    now = motion(qpos, qvel, (qpos[:, 7:], qvel[:, 6:]))
    np.testing.assert_allclose(now.gravity[0], (np.sin(pitch), 0, -np.cos(pitch)), atol=1e-12)
    np.testing.assert_allclose(now.velocity[0], (0.5, 0, 0.1), atol=1e-12)
    np.testing.assert_allclose((now.yaw_rate[0], now.yaw[0], now.height[0]), (2.0, yaw, 0.7), atol=1e-12)


def test_statistics_are_those_of_samples_and_mirror_images() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(1.0, 2.0, (50, N_CRITIC)).astype(np.float32) for _ in range(3)]
    own = Normaliser()
    for batch in batches:
        own.update(batch)
    seen = np.concatenate([x for b in batches for x in (b.astype(np.float64), mirror(b.astype(np.float64)))])
    free = own.variance != 0.5
    assert free.sum() == N_CRITIC - 3  # clock and flag are fixed
    np.testing.assert_allclose(own.mean[free], seen.mean(axis=0)[free], atol=1e-6)
    np.testing.assert_allclose(own.variance[free], seen.var(axis=0)[free], rtol=1e-5)
    assert (own.mean[~free] == 0).all()
