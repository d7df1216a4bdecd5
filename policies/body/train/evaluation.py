"""How well the policy does what it is asked, on the training model: a small table while training runs.

The judgement that counts is made in the full model, with self-collision; this one shows whether training gets anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment, load_embodiment
from telerig.policies.body.evaluation.track import Track
from telerig.policies.body.train import arms
from telerig.policies.body.train.actor import Networks
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.curriculum import FULL
from telerig.policies.body.train.env import BodyEnv
from telerig.policies.body.train.joints import JOINTS, UPPER_HOME
from telerig.policies.body.train.observe import Motion, motion
from telerig.policies.body.train.physics import Variant, compile_model
from telerig.policies.body.train.pose import HeightTable

SECONDS, ASKED_S, MEASURED_S, PUSH_S = 10.0, 1.0, 4.0, 5.0
STAND_M = 0.74


@dataclass(frozen=True, slots=True)
class Case:
    """``command``: vx, vy m/s, yaw rate rad/s, height m; ``arms``: amplitude of their 0.5 Hz waves, rad; ``push`` m/s."""

    name: str
    command: tuple[float, float, float, float]
    arms: float = 1.0
    push: float = 0.0

    @property
    def walking(self) -> bool:
        """Whether it moves about."""
        return any(self.command[:3])


CASES = (
    Case("stand", (0.0, 0.0, 0.0, STAND_M)),
    Case("height_0.60", (0.0, 0.0, 0.0, 0.60)),
    Case("height_0.45", (0.0, 0.0, 0.0, 0.45)),
    Case("height_0.34", (0.0, 0.0, 0.0, 0.34)),
    Case("forward_0.5_still", (0.5, 0.0, 0.0, STAND_M), arms=0.0),
    Case("forward_0.5", (0.5, 0.0, 0.0, STAND_M)),
    Case("forward_0.8", (0.8, 0.0, 0.0, STAND_M)),
    Case("backward_0.3", (-0.3, 0.0, 0.0, STAND_M)),
    Case("sideways_0.3", (0.0, 0.3, 0.0, STAND_M)),
    Case("yaw_0.5", (0.0, 0.0, 0.5, STAND_M)),
    Case("yaw_0.8", (0.0, 0.0, 0.8, STAND_M)),
    Case("forward_0.4_low_0.50", (0.4, 0.0, 0.0, 0.50)),
    Case("push_0.5", (0.0, 0.0, 0.0, STAND_M), push=0.5),
    Case("push_0.8_forward_0.5", (0.5, 0.0, 0.0, STAND_M), push=0.8),
)


class Tracker:
    """How the first robot of a case goes, period by period; joints that training leaves out stand at home."""

    def __init__(self, robot: Embodiment) -> None:
        names = [j for g in robot.groups for j in g.joints]
        self._home = np.array([h for g in robot.groups for h in g.home], np.float64)
        self._into = np.array([names.index(j) for j in JOINTS], np.intp)
        self._rows: list[tuple[NDArray[np.float64], ...]] = []

    def add(self, t: float, env: BodyEnv, now: Motion) -> None:
        """At ``t`` s."""
        joints = self._home.copy()
        joints[self._into] = now.position[0]
        done = np.array([now.velocity[0, 0], now.velocity[0, 1], now.yaw_rate[0], now.height[0]])
        self._rows.append((np.array(t), env.physics.qpos[0, :7].copy(), joints, env.state.command[0].copy(), done))

    def track(self) -> Track:
        """All of it."""
        return Track(*(np.array(column) for column in zip(*self._rows, strict=True)))


class CaseEnv:
    """``robots`` nominal robots that do a case; differing in arms, small disturbances and action delay."""

    def __init__(self, config: TrainConfig, table: HeightTable, robots: int) -> None:
        body = replace(config.body, push_share=0.0)
        model = compile_model(body, Variant())
        self._embodiment = load_embodiment(body.embodiment)
        self._env = BodyEnv(body, [model] * robots, np.random.default_rng(0), table)

    def prepare(self, case: Case, seed: int) -> BodyEnv:
        """The case's start."""
        env, ids = self._env, np.arange(self._env.n)
        env.rng, env.levels = np.random.default_rng([seed, 3]), FULL
        env.reset()
        state, rng = env.state, env.rng
        state.wanted[:] = state.command[:] = (0.0, 0.0, 0.0, STAND_M)
        state.walking[:] = state.stepping[:] = False
        state.phase[:], state.age[:], state.redraw[:] = 0.0, 0, 1 << 40
        state.arm_kind[:] = arms.WAVE
        state.arm_size[:] = case.arms * rng.uniform(0.5, 1.0, state.arm_size.shape)
        state.arm_size[:, 0] *= 0.3
        state.arm_rate[:] = 2 * np.pi * 0.5
        state.arm_target[:] = UPPER_HOME
        env.place(ids, shake=0.3)
        env.observe()
        return env

    def run(self, case: Case, networks: Networks, seed: int, keep: bool = False) -> dict[str, Any]:
        """Robots still up, mean velocity and height of those, and what they should have been.

        :param keep: also ``track``, how the first robot went (a :class:`Track`).
        """
        env = self.prepare(case, seed)
        tracker = Tracker(self._embodiment) if keep else None
        up = np.ones(env.n, np.bool_)
        sums, tilt = np.zeros((4, env.n)), np.zeros(env.n)
        for k in range(round(SECONDS / env.dt)):
            t = k * env.dt
            if abs(t - ASKED_S) < 0.5 * env.dt:
                env.state.wanted[:], env.state.walking[:] = case.command, case.walking
            if case.push and abs(t - PUSH_S) < 0.5 * env.dt:
                angle = env.rng.uniform(0, 2 * np.pi, env.n)
                env.physics.qvel[:, :2] += case.push * np.stack((np.cos(angle), np.sin(angle)), axis=1)
            mean = networks.act(env.state.observation)
            up &= ~env.step(mean.astype(np.float64), auto_reset=False).fell
            now = motion(env.physics.qpos, env.physics.qvel, env.physics.joints())
            if tracker is not None:
                tracker.add(t + env.dt, env, now)
            if t >= MEASURED_S:
                sums += np.stack((now.velocity[:, 0], now.velocity[:, 1], now.yaw_rate, now.height))
                tilt = np.maximum(tilt, np.degrees(np.arccos(np.clip(-now.gravity[:, 2], -1, 1))))
        row = {"n": env.n, "up": int(up.sum()), "asked": list(case.command), **_measured(sums, tilt, up, env.dt)}
        return row if tracker is None else row | {"track": tracker.track()}


def _measured(sums: NDArray[np.float64], tilt: NDArray[np.float64], up: NDArray[np.bool_], dt: float) -> dict[str, Any]:
    """Means over the robots that are still up; None where none is."""
    names = ("vx", "vy", "yaw_rate", "height")
    if not up.any():
        return {**dict.fromkeys(names), "tilt_deg_max": None}
    mean = sums[:, up].mean(axis=1) / round((SECONDS - MEASURED_S) / dt)
    return {**dict(zip(names, mean.round(4).tolist(), strict=True)), "tilt_deg_max": round(float(tilt[up].max()), 1)}
