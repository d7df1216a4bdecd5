"""What robots are rewarded for, term by term: pure functions of arrays over robots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.policies.body.train.joints import HIP_ROLL, HIP_YAW, N_LEGS
from telerig.policies.body.train.observe import Motion
from telerig.policies.body.train.physics import Feet

Floats = NDArray[np.float64]
Terms = dict[str, Floats]

SCALE, FALL = 0.1, -2.0
SWING_M = 0.09  # how high a foot shall swing
SPACING = (0.18, 0.30)  # m between the feet, sideways
SOFT_LIMIT = 0.95  # of a joint's range
WORST = -10.0  # the sum's floor: one robot that the solver throws about must not shake the critic


@dataclass(slots=True)
class Outcome:
    """A step that was made.

    ``command`` (n, 4), ``drift`` (n, 3), ``phase``, ``stepping`` (n,): as in State.  ``reference`` (n, 12), ``pitch`` (n,)
    rad: the pose that was added to.  ``actions`` (n, 12): the last three, newest first.  ``torque`` (n, 12) N m.
    """

    motion: Motion
    feet: Feet
    command: Floats
    drift: Floats
    phase: Floats
    stepping: NDArray[np.bool_]
    reference: Floats
    pitch: Floats
    actions: tuple[Floats, Floats, Floats]
    torque: Floats


def kernel(error: Floats, width: float) -> Floats:
    """1 where there is no error, falling to 1/e at ``width``."""
    out: Floats = np.exp(-np.square(error / width))
    return out


def swing(phase: Floats) -> Floats:
    """``(n, 2)`` sine of each leg's phase: positive while the foot shall be in the air."""
    s = np.sin(phase)
    return np.stack((s, -s), axis=1)


def terms(o: Outcome, low: Floats, high: Floats) -> Terms:
    """Every term ``(n,)``, weighted; the reward is SCALE times their sum.  ``low``, ``high`` (12,): the legs' ranges, rad."""
    walking = _walking(o)
    standing = _standing(o)
    found = {f"walk_{k}": np.where(o.stepping, v, 0.0) for k, v in walking.items()}
    found |= {f"stand_{k}": np.where(o.stepping, 0.0, v) for k, v in standing.items()}
    return found | _always(o) | _effort(o, low, high)


def total(found: Terms) -> Floats:
    """The reward ``(n,)`` of a step without a fall."""
    out: Floats = SCALE * np.maximum(WORST, np.sum(list(found.values()), axis=0))
    return out


def _walking(o: Outcome) -> Terms:
    ex, ey, ew = np.abs(o.drift.T)
    now_x, now_y = (o.motion.velocity[:, :2] - o.command[:, :2]).T
    up = swing(o.phase)
    lifted = np.square(o.feet.position[:, :, 2] - SWING_M * np.maximum(0.0, up)).sum(axis=1)
    return {
        "alive": np.full(len(ex), 0.1),
        "vx": 1.5 * kernel(ex, 0.2) + 0.5 * kernel(ex, 0.08) - 1.5 * ex,
        "vy": 0.75 * kernel(ey, 0.15) + 0.4 * kernel(ey, 0.06) - 0.75 * ey,
        "velocity": 0.3 * np.exp(-(now_x**2 + now_y**2) / 0.1),
        "yaw": kernel(ew, 0.25) + 0.3 * kernel(ew, 0.1) - 0.5 * ew,
        "lift": 0.75 * np.exp(-lifted / 0.003),
        "touch": -1.0 * (o.feet.contact & (up > 0.3)).sum(axis=1),
        "bounce": -0.5 * o.motion.velocity[:, 2] ** 2,
    }


def _standing(o: Outcome) -> Terms:
    v = o.motion.velocity[:, :2]
    return {
        "alive": np.full(len(v), 1.0),
        "still": 1.5 * np.exp(-np.square(v).sum(axis=1) / 0.08),
        "turn": 0.75 * np.exp(-np.square(o.motion.yaw_rate) / 0.15),
        "stagger": -0.4 * np.abs(_apart(o)[:, 0]),
        "fidget": -0.01 * np.abs(o.motion.speed[:, :N_LEGS]).sum(axis=1),
    }


def _always(o: Outcome) -> Terms:
    eh = np.abs(o.motion.height - o.command[:, 3])
    wanted = np.stack((np.sin(o.pitch), np.zeros_like(o.pitch), -np.cos(o.pitch)), axis=1)
    tilt = np.square(o.motion.gravity - wanted).sum(axis=1)
    planned = np.where(o.stepping[:, None], swing(o.phase) <= 0.0, True)
    speed = np.linalg.norm(o.feet.velocity[:, :, :2], axis=2)
    apart = np.abs(_apart(o)[:, 1])
    widest = SPACING[1] + 0.5 * np.abs(o.command[:, 1])
    yaw = _heading(o.feet.x_axis, o.motion.yaw)[:, :, 1]
    return {
        "height": kernel(eh, 0.05) + 0.3 * np.exp(-eh / 0.1) + 0.3 * np.exp(-eh / 0.02),
        "tilt": 0.75 * np.exp(-tilt / 0.05),
        "schedule": 0.75 * (planned == o.feet.contact).mean(axis=1),
        "slip": -0.15 * (o.feet.contact * speed).sum(axis=1),
        "flat": -0.3 * np.square(o.feet.z_axis[:, :, :2]).sum(axis=(1, 2)),
        "spacing": -4.0 * (np.maximum(0.0, SPACING[0] - apart) + np.maximum(0.0, apart - widest)),
        "toes": -0.3 * np.square(yaw).sum(axis=1),
    }


def _effort(o: Outcome, low: Floats, high: Floats) -> Terms:
    newest, last, older = o.actions
    q, qd = o.motion.position[:, :N_LEGS], o.motion.speed[:, :N_LEGS]
    middle, half = 0.5 * (low + high), 0.5 * SOFT_LIMIT * (high - low)
    off = (q - o.reference)[:, np.r_[HIP_ROLL, HIP_YAW]]
    return {
        "change": -0.015 * np.square(newest - last).sum(axis=1),
        "jerk": -0.008 * np.square(newest - 2 * last + older).sum(axis=1),
        "action": -0.004 * np.square(newest).sum(axis=1),
        "torque": -1e-5 * np.square(o.torque).sum(axis=1),
        "speed": -5e-4 * np.square(qd).sum(axis=1),
        "wobble": -0.05 * np.square(o.motion.spin[:, :2]).sum(axis=1),
        "limits": -2.0 * np.maximum(0.0, np.abs(q - middle) - half).sum(axis=1),
        "hips": -0.3 * np.square(off).sum(axis=1),
    }


def _heading(vectors: Floats, yaw: Floats) -> Floats:
    """World vectors ``(n, 2, 3)`` turned into the heading frame, x and y ``(n, 2, 2)``."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack((c * x + s * y, c * y - s * x), axis=-1)


def _apart(o: Outcome) -> Floats:
    """From the right foot to the left, ahead and sideways, ``(n, 2)`` m."""
    feet = _heading(o.feet.position, o.motion.yaw)
    out: Floats = feet[:, 0] - feet[:, 1]
    return out
