"""Many robots that are asked to stand, squat, walk and turn while their arms move: one group, stepped in one thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train import arms, commands, rewards
from telerig.policies.body.train.config import BodyConfig
from telerig.policies.body.train.curriculum import Levels
from telerig.policies.body.train.joints import HIP_ROLL, N_LEGS
from telerig.policies.body.train.observe import N_CRITIC, motion, observe
from telerig.policies.body.train.physics import Feet, Physics, compile_model, draw_variant, split_sensors
from telerig.policies.body.train.pose import HeightTable, height_table, stepping
from telerig.policies.body.train.state import Bools, Floats, State

DRIFT_RATE = 0.05
DOWN_S = 1.3
TILT_COS, LOWEST, SAG = 0.7, 0.22, 0.15  # falls: tilt against the reference; m of height; m below the command
ZERO_HEIGHT = 0.74


@dataclass(slots=True)
class Batch:
    """What one step gave.  ``final`` (k, N_CRITIC): observations of the ``timeout`` robots before they began anew."""

    reward: Floats
    fell: Bools
    timeout: Bools
    was_stepping: Bools
    final: NDArray[np.float32]
    terms: rewards.Terms = field(default_factory=dict)


def make_models(config: BodyConfig, seed: int, n: int) -> list[Any]:
    """``n`` robots that differ as the configuration says, the same for the same seed."""
    rng = np.random.default_rng([seed, 1])
    return [compile_model(config, draw_variant(rng, config)) for _ in range(n)]


class BodyEnv:
    """A group of robots.  All randomness comes from ``rng``; all memory is in ``state``, ``physics.state`` and ``rng``."""

    def __init__(self, config: BodyConfig, models: list[Any], rng: np.random.Generator, table: HeightTable) -> None:
        self.config, self.rng, self.table, self.n = config, rng, table, len(models)
        self.physics = Physics(config, models)
        self.levels = Levels()
        self.dt = config.timestep * config.substeps
        self.state = State.empty(self.n, N_CRITIC)
        self.zero = table.at(np.array([ZERO_HEIGHT]))[0][0]  # (12,) rad
        self.low, self.high = self.physics.low, self.physics.high
        self._arm_low, self._arm_high = arms.limits(self.low[N_LEGS:], self.high[N_LEGS:])
        self._max_age = round(config.episode_s / self.dt)
        self.noise = True

    def reset(self) -> None:
        """Begin everywhere, at random ages so that episodes do not end together."""
        self._begin(np.arange(self.n))
        self.state.age[:] = self.rng.integers(0, self._max_age, self.n)
        self.observe()

    def step(self, action: Floats, auto_reset: bool = True) -> Batch:
        """One control period.  :param action: ``(n, 12)``, clipped here."""
        state, config = self.state, self.config
        action = np.clip(action, -config.action_clip, config.action_clip)
        reference, pitch = self.reference()
        self._push()
        arms.step(state, self.rng, self._reach(), self._arm_low, self._arm_high, self.dt)
        feet, torque = split_sensors(self.physics.step(self._targets(reference, action)))
        older, state.before, state.action = state.before, state.action, action
        was_stepping = state.stepping.copy()
        state.phase = np.where(was_stepping, (state.phase + 2 * np.pi * self.dt / config.period) % (2 * np.pi), 0.0)
        now = motion(self.physics.qpos, self.physics.qvel, self.physics.joints())
        self._track(now, feet)
        outcome = rewards.Outcome(
            now, feet, state.command, state.drift, state.phase, was_stepping, reference, pitch,
            (action, state.before, older), torque,
        )  # fmt: skip
        found = rewards.terms(outcome, self.low[:N_LEGS], self.high[:N_LEGS])
        fell = self._fallen(now, pitch)
        reward = rewards.total(found) + rewards.FALL * fell
        state.age += 1
        timeout = (state.age >= self._max_age) & ~fell & auto_reset
        self._command()
        self.observe()
        batch = Batch(reward, fell, timeout, was_stepping, state.observation[timeout].copy(), found)
        over = np.flatnonzero(fell | timeout)
        if auto_reset and len(over):
            self._begin(over)
            self.observe(over)
        return batch

    def reference(self) -> tuple[Floats, Floats]:
        """Leg pose ``(n, 12)`` that actions are added to, and pelvis pitch ``(n,)``."""
        legs, pitch = self.table.at(self.state.command[:, 3])
        walk = np.flatnonzero(self.state.stepping)
        legs[walk] = stepping(legs[walk], pitch[walk], self.state.phase[walk], self.state.command[walk])
        return legs, pitch

    def _targets(self, reference: Floats, action: Floats) -> Floats:
        """Joint targets of each sub-step ``(n, substeps, 21)``: the last ones until the new ones arrive."""
        state, last = self.state, self.state.target
        legs = reference + self.config.action_scale * action
        target = np.clip(np.concatenate((legs, state.arm_target), axis=1), self.low, self.high)
        arrived = np.arange(self.config.substeps) >= state.delay[:, None]  # (n, substeps)
        state.target = target
        return np.where(arrived[:, :, None], target[:, None], last[:, None])

    def _push(self) -> None:
        pushed = self.rng.random(self.n) < self.config.push_share
        kick = self.rng.uniform(-self.levels.push, self.levels.push, (self.n, 2))
        self.physics.qvel[:, :2] += kick * pushed[:, None]

    def _track(self, now: Any, feet: Feet) -> None:
        state = self.state
        error = np.stack((now.velocity[:, 0], now.velocity[:, 1], now.yaw_rate), axis=1) - state.command[:, :3]
        state.drift += DRIFT_RATE * (error - state.drift)
        state.contact, state.sole = feet.contact, feet.position[:, :, 2].copy()
        state.down_s = np.where(feet.contact & state.stepping[:, None], state.down_s + self.dt, 0.0)

    def _fallen(self, now: Any, pitch: Floats) -> Bools:
        upright = now.gravity[:, 0] * np.sin(pitch) - now.gravity[:, 2] * np.cos(pitch)
        low = (now.height < LOWEST) | (now.height < self.state.command[:, 3] - SAG)
        found: Bools = (upright < TILT_COS) | low | (self.state.down_s > DOWN_S).any(axis=1)
        return found

    def _command(self) -> None:
        state = self.state
        state.redraw -= 1
        due = np.flatnonzero(state.redraw <= 0)
        if len(due):
            commands.draw(state, due, self.rng, self.config, self.levels)
        commands.slew(state, self.config, self.dt)
        commands.set_stepping(state, self.rng)

    def _reach(self) -> Floats:
        return np.where(self.state.walking, self.levels.walk, self.levels.stand)

    def _begin(self, ids: NDArray[np.intp]) -> None:
        """New episodes: a command, and the robot in its pose, feet on the floor, a little shaken."""
        state, rng, n = self.state, self.rng, len(ids)
        commands.draw(state, ids, rng, self.config, self.levels)
        commands.begin(state, ids, rng)
        arms.begin(state, ids, rng, self._reach()[ids], self._arm_low, self._arm_high)
        state.age[ids], state.down_s[ids], state.drift[ids] = 0, 0.0, 0.0
        state.action[ids], state.before[ids] = 0.0, 0.0
        state.contact[ids], state.sole[ids] = True, 0.0
        steps = round(self.config.delay_s / self.config.timestep)
        state.delay[ids] = rng.integers(0, steps + 1, n)
        self.place(ids, shake=1.0)

    def place(self, ids: NDArray[np.intp], shake: float) -> None:
        """Put robots into the pose of their commanded height, ``shake`` 0 … 1 disturbed."""
        state, rng, n, physics = self.state, self.rng, len(ids), self.physics
        legs, pitch = self.table.at(state.command[ids, 3])
        yaw = rng.uniform(-np.pi, np.pi, n) * shake
        joints = np.concatenate((legs, state.arm_target[ids]), axis=1)
        joints += shake * rng.uniform(-0.04, 0.04, joints.shape)
        joints[:, HIP_ROLL] += shake * np.array([1.0, -1.0]) * rng.uniform(-0.02, 0.06, (n, 1))
        qpos = np.zeros((n, physics.qpos.shape[1]))
        qpos[:, 2] = state.command[ids, 3] + shake * rng.uniform(0.0, 0.02, n)
        cy, sy, cp, sp = np.cos(yaw / 2), np.sin(yaw / 2), np.cos(pitch / 2), np.sin(pitch / 2)
        qpos[:, 3:7] = np.stack((cy * cp, -sy * sp, cy * sp, sy * cp), axis=1)
        qpos[:, 7 + physics.joint_order] = np.clip(joints, self.low, self.high)
        qvel = shake * rng.uniform(-0.1, 0.1, (n, physics.qvel.shape[1]))
        physics.clear(ids)
        physics.qpos[ids], physics.qvel[ids] = qpos, qvel
        state.target[ids] = np.clip(np.concatenate((legs, state.arm_target[ids]), axis=1), self.low, self.high)

    def observe(self, ids: NDArray[np.intp] | None = None) -> None:
        """Renew ``state.observation``, of all robots or of ``ids``."""
        now = motion(self.physics.qpos, self.physics.qvel, self.physics.joints())
        seen = observe(self.state, now, self.zero, self.rng if self.noise else None)
        if ids is None:
            self.state.observation[:] = seen
        else:
            self.state.observation[ids] = seen[ids]


def make_table(config: BodyConfig) -> HeightTable:
    """The height table of the nominal robot."""
    return height_table(compile_model(config))
