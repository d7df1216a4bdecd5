"""What the upper body does while the legs balance: waves, sudden new targets, or nothing; up to a curriculum's reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.joints import N_UPPER, UPPER_HOME, WAIST_REACH
from telerig.policies.body.train.state import State

Floats = NDArray[np.float64]
Ids = NDArray[np.intp]

STILL, WAVE, TARGETS = 0, 1, 2
SHARES = (0.1, 0.45, 0.45)
WAVE_SIZE, WAVE_HZ = (0.2, 1.1), (0.2, 0.8)
WAIST_WAVE = 0.4  # of an arm joint's amplitude
EVERY_STEPS = 50
SPEED = 3.5  # rad/s, as the embodiment's guard allows


def begin(state: State, ids: Ids, rng: np.random.Generator, reach: Floats, low: Floats, high: Floats) -> None:
    """A new episode of the robots ``ids``; ``reach`` (their number,) 0 … 1 is how far arms go."""
    n = len(ids)
    state.arm_kind[ids] = rng.choice(3, n, p=SHARES)
    size = rng.uniform(*WAVE_SIZE, (n, N_UPPER)) * reach[:, None]
    size[:, 0] *= WAIST_WAVE
    state.arm_size[ids] = size
    state.arm_rate[ids] = 2 * np.pi * rng.uniform(*WAVE_HZ, (n, N_UPPER))
    state.arm_phase[ids] = rng.uniform(0, 2 * np.pi, (n, N_UPPER))
    state.arm_goal[ids] = goals(rng, reach, low, high)
    state.arm_target[ids] = _wanted(state, low, high)[ids]


def goals(rng: np.random.Generator, reach: Floats, low: Floats, high: Floats) -> Floats:
    """Random targets ``(n, 9)``, a share ``reach`` of the way from home to anywhere in the range."""
    anywhere = rng.uniform(low, high, (len(reach), N_UPPER))
    out: Floats = UPPER_HOME + reach[:, None] * (anywhere - UPPER_HOME)
    return out


def step(state: State, rng: np.random.Generator, reach: Floats, low: Floats, high: Floats, dt: float) -> None:
    """Advance ``state.arm_target`` ``(n, 9)`` rad by one control period."""
    state.arm_phase += state.arm_rate * dt
    due = np.flatnonzero((state.arm_kind == TARGETS) & (state.age % EVERY_STEPS == 0))
    if len(due):
        # random scale: most targets are nearer than the reach
        state.arm_goal[due] = goals(rng, reach[due] * rng.random(len(due)) ** 0.5, low, high)
    most = SPEED * dt
    state.arm_target += np.clip(_wanted(state, low, high) - state.arm_target, -most, most)


def _wanted(state: State, low: Floats, high: Floats) -> Floats:
    wave = UPPER_HOME + state.arm_size * np.sin(state.arm_phase)
    kind = state.arm_kind[:, None]
    return np.clip(np.where(kind == WAVE, wave, np.where(kind == TARGETS, state.arm_goal, UPPER_HOME)), low, high)


def limits(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The range that arm motions use, from the joints' ``(9,)``: all of it, but less of the waist."""
    low, high = low.copy(), high.copy()
    low[0], high[0] = max(low[0], -WAIST_REACH), min(high[0], WAIST_REACH)
    return low, high
