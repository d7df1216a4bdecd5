"""What robots are asked to do: drawn every few seconds, approached at limited rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.config import BodyConfig
from telerig.policies.body.train.curriculum import Levels
from telerig.policies.body.train.state import State

Ids = NDArray[np.intp]

ROLL_OUT = np.array([0.08, 0.08, 0.15])  # m/s, m/s, rad/s: below these a robot told to stand stops stepping
YAW_ZERO, VX_ZERO, VY_ZERO, USUAL_HEIGHT = 0.35, 0.2, 0.55, 0.6
IN_PLACE = (0.31, 0.10)  # share of walks that go nowhere, at the lowest and at full speed level


def draw(state: State, ids: Ids, rng: np.random.Generator, config: BodyConfig, levels: Levels) -> None:
    """New wanted commands for the robots ``ids``, and when the next ones come."""
    n, s = len(ids), levels.speed
    walk = rng.random(n) < config.walk_share
    wanted = np.zeros((n, 4))
    for column, (bounds, zero) in enumerate(((config.vx, VX_ZERO), (config.vy, VY_ZERO), (config.yaw, YAW_ZERO))):
        wanted[:, column] = rng.uniform(*bounds, n) * s * (rng.random(n) >= zero)
    in_place = IN_PLACE[0] + (IN_PLACE[1] - IN_PLACE[0]) * levels.speed_share
    wanted[rng.random(n) < in_place, :3] = 0.0
    usual = rng.random(n) < USUAL_HEIGHT
    walk_height = np.where(usual, rng.uniform(*config.height_walk_usual, n), rng.uniform(*config.height_walk, n))
    stand_height = rng.uniform(*config.height_stand, n)
    wanted[:, 3] = np.where(walk, walk_height, stand_height)
    wanted[~walk, :3] = 0.0
    state.wanted[ids], state.walking[ids] = wanted, walk
    state.redraw[ids] = round(config.command_s / (config.timestep * config.substeps))


def begin(state: State, ids: Ids, rng: np.random.Generator) -> None:
    """A new episode: the height is where it shall be, velocities start at zero."""
    state.command[ids] = 0.0
    state.command[ids, 3] = state.wanted[ids, 3]
    state.stepping[ids] = False
    set_stepping(state, rng)


def slew(state: State, config: BodyConfig, dt: float) -> None:
    """Move the commands towards what is wanted."""
    most = np.array(config.slew) * dt
    state.command += np.clip(state.wanted - state.command, -most, most)


def set_stepping(state: State, rng: np.random.Generator) -> None:
    """The clock runs while walking and until a walk that ended has slowed down; it starts with either leg's swing."""
    moving = (np.abs(state.command[:, :3]) > ROLL_OUT).any(axis=1)
    now = state.walking | (state.stepping & moving)
    started = now & ~state.stepping
    if started.any():
        state.phase[started] = np.pi * rng.integers(0, 2, int(started.sum()))
        state.down_s[started] = 0.0
    state.phase[~now] = 0.0
    state.stepping[:] = now
