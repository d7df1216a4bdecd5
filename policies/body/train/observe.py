"""What the policy and its critic see, term by term, and how a mirror changes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.joints import LEG_MIRROR, N_LEGS, UPPER_HOME, UPPER_MIRROR
from telerig.policies.body.train.state import State

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """``size`` values; ``noise``: standard deviation before scaling; ``fixed``: not normalised by statistics."""

    name: str
    size: int
    scale: float = 1.0
    noise: float = 0.0
    fixed: bool = False


# the policy's terms, in order
ACTOR = (
    Term("velocity_command", 3),  # vx, vy, yaw rate
    Term("height_command", 1),  # 3 h - 2
    Term("angular_velocity", 3, 0.25, 0.1),
    Term("gravity", 3, 1.0, 0.02),
    Term("leg_position", N_LEGS, 1.0, 0.01),  # minus the reference pose at 0.74 m
    Term("upper_position", 9, 1.0, 0.01),  # minus home
    Term("leg_velocity", N_LEGS, 0.05, 0.3),
    Term("upper_velocity", 9, 0.05, 0.3),
    Term("last_action", N_LEGS),
    Term("clock", 2, fixed=True),  # sin, cos; zero when standing
    Term("stepping", 1, fixed=True),
)
# what only the critic sees, after them
CRITIC = (
    Term("heading_velocity", 3),
    Term("height", 1),  # 5 h - 3.5
    Term("contact", 2),
    Term("sole_height", 2, 10.0),
    Term("drift", 3, 2.0),
)
LARGEST = 30.0  # a robot that the solver throws about must not shake the statistics
N_ACTOR = sum(t.size for t in ACTOR)
N_CRITIC = N_ACTOR + sum(t.size for t in CRITIC)

_SWAP = (np.r_[1, 0], np.r_[1.0, 1.0])
_MIRRORS: dict[str, tuple[NDArray[np.intp], Floats]] = {
    "velocity_command": (np.r_[0:3], np.r_[1.0, -1.0, -1.0]),
    "angular_velocity": (np.r_[0:3], np.r_[-1.0, 1.0, -1.0]),
    "gravity": (np.r_[0:3], np.r_[1.0, -1.0, 1.0]),
    "leg_position": LEG_MIRROR,
    "leg_velocity": LEG_MIRROR,
    "last_action": LEG_MIRROR,
    "upper_position": UPPER_MIRROR,
    "upper_velocity": UPPER_MIRROR,
    "clock": (np.r_[0:2], np.r_[-1.0, -1.0]),  # half a period later
    "heading_velocity": (np.r_[0:3], np.r_[1.0, -1.0, 1.0]),
    "contact": _SWAP,
    "sole_height": _SWAP,
    "drift": (np.r_[0:3], np.r_[1.0, -1.0, -1.0]),
}


def _mirror(terms: tuple[Term, ...]) -> tuple[NDArray[np.intp], Floats]:
    source, sign, start = [], [], 0
    for term in terms:
        own = _MIRRORS.get(term.name, (np.arange(term.size), np.ones(term.size)))
        source.append(own[0] + start)
        sign.append(own[1])
        start += term.size
    return np.concatenate(source), np.concatenate(sign)


# mirrored[..., i] = sign[i] * observation[..., source[i]]; the first N_ACTOR entries are the policy's own
MIRROR_SOURCE, MIRROR_SIGN = _mirror(ACTOR + CRITIC)
FIXED = np.repeat([t.fixed for t in ACTOR + CRITIC], [t.size for t in ACTOR + CRITIC])
_NOISE = np.repeat([t.noise * t.scale for t in ACTOR], [t.size for t in ACTOR])


@dataclass(slots=True)
class Motion:
    """How robots move.

    ``spin`` (n, 3) rad/s and ``gravity`` (n, 3), a unit vector: in the pelvis' frame.  ``velocity`` (n, 3) m/s: in the heading
    frame.  ``yaw_rate``, ``yaw`` (n,): about the vertical.  ``height`` (n,) m.  ``position``, ``speed`` (n, 21) rad, rad/s.
    """

    spin: Floats
    gravity: Floats
    velocity: Floats
    yaw_rate: Floats
    yaw: Floats
    height: Floats
    position: Floats
    speed: Floats


def motion(qpos: Floats, qvel: Floats, joints: tuple[Floats, Floats]) -> Motion:
    """Read a floating base's state: ``qpos`` (n, 7 …), ``qvel`` (n, 6 …)."""
    w, x, y, z = qpos[:, 3:7].T
    gravity = np.stack((2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1), axis=1)
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    c, s = np.cos(yaw), np.sin(yaw)
    vx, vy, vz = qvel[:, :3].T
    velocity = np.stack((c * vx + s * vy, c * vy - s * vx, vz), axis=1)
    spin = qvel[:, 3:6].copy()
    yaw_rate = -(spin * gravity).sum(axis=1)
    return Motion(spin, gravity, velocity, yaw_rate, yaw, qpos[:, 2].copy(), *joints)


def observe(state: State, now: Motion, zero: Floats, noise: np.random.Generator | None) -> NDArray[np.float32]:
    """Observations ``(n, N_CRITIC)``; ``zero`` (12,) is the pose that leg positions are counted from."""
    clock = np.stack((np.sin(state.phase), np.cos(state.phase)), axis=1) * state.stepping[:, None]
    parts = (
        state.command[:, :3], 3 * state.command[:, 3:4] - 2, 0.25 * now.spin, now.gravity,
        now.position[:, :N_LEGS] - zero, now.position[:, N_LEGS:] - UPPER_HOME,
        0.05 * now.speed[:, :N_LEGS], 0.05 * now.speed[:, N_LEGS:], state.action, clock, state.stepping[:, None],
        now.velocity, 5 * now.height[:, None] - 3.5, state.contact, 10 * state.sole, 2 * state.drift,
    )  # fmt: skip
    out = np.clip(np.concatenate(parts, axis=1, dtype=np.float32), -LARGEST, LARGEST)
    if noise is not None:
        out[:, :N_ACTOR] += _NOISE.astype(np.float32) * noise.standard_normal((len(out), N_ACTOR), np.float32)
    return out
