"""The environment: repeatable, delayed, falling where it should, rewarding what it should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from telerig.policies.body.train import arms, rewards
from telerig.policies.body.train.config import BodyConfig
from telerig.policies.body.train.curriculum import FULL, Levels
from telerig.policies.body.train.env import BodyEnv, make_models
from telerig.policies.body.train.joints import JOINTS, N_LEGS, N_UPPER, UPPER_HOME
from telerig.policies.body.train.observe import N_CRITIC, Motion, motion
from telerig.policies.body.train.physics import Feet, Variant, compile_model
from telerig.policies.body.train.pose import HeightTable

N = 6


def make_env(model: Any, table: HeightTable, seed: int = 0, n: int = N, **config: Any) -> BodyEnv:
    env = BodyEnv(replace(BodyConfig(), **config), [model] * n, np.random.default_rng(seed), table)
    env.levels = FULL
    env.reset()
    return env


def settled(model: Any, table: HeightTable, height: float = 0.74, **config: Any) -> BodyEnv:
    """Standing undisturbed, told to go on doing so."""
    env = make_env(model, table, push_share=0.0, delay_s=0.0, **config)
    env.state.wanted[:] = env.state.command[:] = (0, 0, 0, height)
    env.state.walking[:] = env.state.stepping[:] = False
    env.state.redraw[:], env.state.age[:], env.state.arm_kind[:] = 10_000, 0, arms.STILL
    env.state.arm_target[:] = UPPER_HOME
    env.place(np.arange(env.n), shake=0.0)
    return env


def test_same_seed_same_robots(nominal: Any, table: HeightTable) -> None:
    actions = np.random.default_rng(9).normal(0, 0.5, (20, N, N_LEGS))
    seen: list[list[NDArray[Any]]] = []
    for seed in (0, 0, 1):
        env = make_env(nominal, table, seed)
        rewards = [env.step(a).reward for a in actions]
        seen.append([env.state.observation.copy(), np.array(rewards), env.physics.state.copy()])
    for a, b, c in zip(*seen, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_starts_on_its_feet(nominal: Any, table: HeightTable) -> None:
    env = settled(nominal, table)
    env.step(np.zeros((N, N_LEGS)))
    assert env.state.contact.all()
    assert np.abs(env.state.sole).max() < 0.005
    now = motion(env.physics.qpos, env.physics.qvel, env.physics.joints())
    assert np.abs(now.height - 0.74).max() < 0.01


@pytest.mark.parametrize("delay", [0, 1, 2, 3])
def test_an_action_arrives_after_its_delay(nominal: Any, table: HeightTable, delay: int) -> None:
    env = settled(nominal, table)
    env.state.delay[:] = delay
    old = env.state.target.copy()
    reference, _ = env.reference()
    sent = env._targets(reference, np.full((N, N_LEGS), 0.5))
    changed = np.abs(sent[:, :, :N_LEGS] - old[:, None, :N_LEGS]).max(axis=2) > 0.1
    np.testing.assert_array_equal(changed, np.tile(np.arange(3) >= delay, (N, 1)))
    np.testing.assert_allclose(env.state.target[:, :N_LEGS], reference + 0.15, atol=1e-12)


def test_delays_are_drawn_up_to_twenty_milliseconds(nominal: Any, table: HeightTable) -> None:
    env = make_env(nominal, table, n=64)
    assert set(env.state.delay) == {0, 1, 2, 3}


def test_a_toppled_robot_ends_its_episode_and_begins_anew(nominal: Any, table: HeightTable) -> None:
    env = settled(nominal, table)
    env.physics.qpos[0, 3:7] = (np.cos(0.5), np.sin(0.5), 0, 0)  # 57 degrees to the side
    env.physics.qpos[1, 2] = 0.5  # sunk
    batch = env.step(np.zeros((N, N_LEGS)))
    assert batch.fell.tolist() == [True, True, False, False, False, False]
    assert (batch.reward[:2] < batch.reward[2:].min() - 1.5).all()
    assert (env.state.age[:2] == 0).all()
    assert (env.state.age[2:] == 1).all()
    assert (env.physics.qpos[:2, 2] > 0.3).all()


def test_standing_still_while_told_to_walk_ends(nominal: Any, table: HeightTable) -> None:
    env = settled(nominal, table)
    env.state.walking[:] = env.state.stepping[:] = True
    env.state.down_s[0] = 1.4
    env.state.down_s[1] = 1.0
    fell = env._fallen(motion(env.physics.qpos, env.physics.qvel, env.physics.joints()), np.zeros(N))
    assert fell.tolist() == [True, False, False, False, False, False]


def test_timeouts_hand_out_the_last_observation(nominal: Any, table: HeightTable) -> None:
    env = settled(nominal, table)
    env.state.age[2] = 999
    batch = env.step(np.zeros((N, N_LEGS)))
    assert batch.timeout.tolist() == [False, False, True, False, False, False]
    assert batch.final.shape == (1, N_CRITIC)
    assert env.state.age[2] == 0


def test_a_pushed_robot_moves(nominal: Any, table: HeightTable) -> None:
    env = settled(nominal, table)
    env.config = replace(env.config, push_share=1.0)
    env.levels = Levels(push=0.8)
    before = env.physics.qvel[:, :2].copy()
    env._push()
    moved = np.abs(env.physics.qvel[:, :2] - before)
    assert 0.3 < moved.max() <= 0.8


def test_walking_robots_stop_stepping_once_they_are_slow(nominal: Any, table: HeightTable) -> None:
    env = settled(nominal, table)
    env.state.command[:, 0], env.state.walking[:] = 0.5, True
    env._command()
    assert env.state.stepping.all()
    env.state.wanted[:, 0], env.state.walking[:] = 0.0, False
    steps = 0
    while env.state.stepping.any():
        env._command()
        steps += 1
    assert 15 < steps < 30  # 0.5 m/s at 1 m/s2
    assert (env.state.phase == 0).all()


def test_commands_cover_what_is_wanted(nominal: Any, table: HeightTable) -> None:
    env = make_env(nominal, table, n=400)
    wanted, walking = env.state.wanted, env.state.walking
    assert 0.55 < walking.mean() < 0.75
    assert (wanted[~walking, :3] == 0).all()
    assert wanted[~walking, 3].min() < 0.37
    assert 0.5 <= wanted[walking, 3].min() < 0.55
    assert (np.abs(wanted[walking, 1]) > 0.2).sum() > 20
    assert wanted[walking, 0].max() > 0.8


def test_arms_stay_in_their_reach(nominal: Any, table: HeightTable) -> None:
    env = make_env(nominal, table, n=64)
    low, high = arms.limits(env.low[N_LEGS:], env.high[N_LEGS:])
    moved = np.zeros(N_UPPER)
    for _ in range(120):
        before = env.state.arm_target.copy()
        arms.step(env.state, env.rng, np.ones(64), low, high, env.dt)
        env.state.age += 1
        assert np.abs(env.state.arm_target - before).max() <= arms.SPEED * env.dt + 1e-9
        moved = np.maximum(moved, np.abs(env.state.arm_target - UPPER_HOME).max(axis=0))
    assert ((env.state.arm_target >= low) & (env.state.arm_target <= high)).all()
    assert (moved > 0.3).all()


def test_robots_differ_as_configured() -> None:
    """Mass in torso and hands, friction, gains: visible in the compiled models."""
    models = make_models(BodyConfig(), 0, 3)
    again = make_models(BodyConfig(), 0, 3)
    masses = [m.body_mass.sum() for m in models]
    assert len(set(masses)) == 3
    assert masses == [m.body_mass.sum() for m in again]
    plain, heavy = (
        compile_model(BodyConfig()),
        compile_model(BodyConfig(), Variant(hand_mass=1.0, friction=0.4, leg_gain=1.1)),
    )
    assert heavy.body_mass.sum() - plain.body_mass.sum() == pytest.approx(2.0, abs=1e-4)
    assert heavy.geom("left_foot_0").friction[0] == pytest.approx(0.4)
    ratio = heavy.actuator_gainprm[:, 0] / plain.actuator_gainprm[:, 0]
    servos = [plain.joint(j).name for j in plain.actuator_trnid[:, 0]]
    assert {round(float(r), 6) for r, j in zip(ratio, servos, strict=True) if j in JOINTS[:N_LEGS]} == {1.1}


def outcome(n: int = 4) -> rewards.Outcome:
    """Perfect standing at 0.74 m."""
    gravity = np.tile((0.0, 0.0, -1.0), (n, 1))
    still = Motion(
        np.zeros((n, 3)), gravity, np.zeros((n, 3)), np.zeros(n), np.zeros(n), np.full(n, 0.74),
        np.zeros((n, 21)), np.zeros((n, 21)),
    )  # fmt: skip
    position = np.tile(np.array([[0.0, 0.12, 0.0], [0.0, -0.12, 0.0]]), (n, 1, 1))
    x, z = np.tile((1.0, 0, 0), (n, 2, 1)), np.tile((0, 0, 1.0), (n, 2, 1))
    feet = Feet(np.ones((n, 2), np.bool_), position, np.zeros((n, 2, 3)), x, z)
    zero = np.zeros((n, N_LEGS))
    return rewards.Outcome(
        still, feet, np.tile((0, 0, 0, 0.74), (n, 1)), np.zeros((n, 3)), np.zeros(n), np.zeros(n, np.bool_), zero,
        np.zeros(n), (zero, zero, zero), zero,
    )  # fmt: skip


def spoil(o: rewards.Outcome, what: str) -> None:
    """Make robot 1 worse than the others."""
    if what == "height":
        o.motion.height[1] -= 0.02
    elif what == "tilt":
        o.motion.gravity[1] = (np.sin(0.2), 0, -np.cos(0.2))
    elif what == "still":
        o.motion.velocity[1, 1] = 0.1
    elif what == "slip":
        o.feet.velocity[1, 0, 0] = 0.2
    elif what == "schedule":
        o.feet.contact[1, 0] = False
    elif what == "spacing":
        o.feet.position[1, 0, 1] = 0.0
    elif what == "toes":
        o.feet.x_axis[1, 0] = (np.cos(0.3), np.sin(0.3), 0)
    elif what == "limits":
        o.motion.position[1, 3] = 9.0
    elif what == "change":
        o.actions[0][1] = 1.0


@pytest.mark.parametrize("what", ["height", "tilt", "still", "slip", "schedule", "spacing", "toes", "limits", "change"])
def test_what_is_worse_is_rewarded_less(what: str) -> None:
    o = outcome()
    o.actions = (o.actions[0].copy(), o.actions[1], o.actions[2])
    spoil(o, what)
    found = rewards.terms(o, np.full(N_LEGS, -1.0), np.full(N_LEGS, 1.0))
    total = np.sum(list(found.values()), axis=0)
    assert total[1] < total[0] - 0.005
    assert total[0] == pytest.approx(total[2])
    assert {k for k, v in found.items() if v[1] < v[0] - 1e-9} >= {what if what != "still" else "stand_still"}


def test_walking_is_rewarded_for_following_the_command() -> None:
    o = outcome()
    o.stepping[:] = True
    o.phase[:] = np.pi / 2
    o.command[:, 0] = 0.5
    o.feet.contact[:, 0] = False
    o.feet.position[:, 0, 2] = rewards.SWING_M
    o.drift[1, 0], o.drift[2, 1], o.drift[3, 2] = 0.2, 0.2, 0.3
    found = rewards.terms(o, np.full(N_LEGS, -1.0), np.full(N_LEGS, 1.0))
    assert found["schedule"][0] == pytest.approx(0.75)
    assert found["walk_lift"][0] == pytest.approx(0.75)
    assert [found[k][i + 1] < found[k][0] - 0.3 for i, k in enumerate(("walk_vx", "walk_vy", "walk_yaw"))] == [True] * 3
    assert all((v == 0).all() for k, v in found.items() if k.startswith("stand_"))
