"""One tick of a motion that never leaves its limits of position, velocity and acceleration, nor overshoots.

Discrete time throughout, so that the limits hold for what is really sent and not just for a continuous ideal: with a
velocity v that falls by at most u = a·dt each tick, the way to a stop (this tick's included) is
D(v) = dt·((n+1)·v − u·n(n+1)/2), n = ⌊v/u⌋.  :func:`stopping` is its inverse, which is the discrete form of v ≤
√(2·a·d). A velocity at or below it, slowed by u, is at or below it again in the next tick: that is why limits hold for
ever.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
RESERVE = 0.5  # of the acceleration closes in on the goal; the rest follows the goal's own, else fast swings build up


def stopping(distance: Vector, u: Vector, dt: float) -> Vector:
    """The highest velocity that still stops within ``distance`` ≥ 0, (…, n); ``u``: change of velocity a tick, (…, n)."""
    steps = np.floor((np.sqrt(1.0 + 8.0 * distance / (u * dt)) - 1.0) * 0.5)
    result: Vector = (distance / dt + u * steps * (steps + 1.0) * 0.5) / (steps + 1.0)
    return result


def goal_velocity(goals: tuple[Vector, Vector, Vector], dt: float) -> Vector:
    """How fast the goal moves, (n,): the smaller of its last two steps, 0 where they disagree in sign.

    ``goals``: newest first.  A single jump, or an encoder's last bit flickering, is thus no velocity.
    """
    new, old = goals[0] - goals[1], goals[1] - goals[2]
    agree = new * old > 0.0
    result: Vector = np.where(agree, np.where(np.abs(new) < np.abs(old), new, old), 0.0) / dt
    return result


def advance(
    p: Vector, v: Vector, goal: Vector, drift: Vector, limits: tuple[Vector, Vector, Vector, Vector], dt: float
) -> tuple[Vector, Vector]:
    """Position and velocity one tick on, all (n,).

    :param goal: an element whose goal is its own position comes to rest, as fast as its acceleration allows.
    :param drift: the goal's own velocity, see :func:`goal_velocity`; a goal that moves within the limits is followed
        without lag, one that stands still is reached without overshoot.
    :param limits: low, high, velocity, acceleration.
    """
    low, high, v_max, a_max = limits
    u = a_max * dt
    way = goal - p
    room = np.array((np.abs(way), np.maximum(high - p, 0.0), np.maximum(p - low, 0.0)))  # (3, n): one call is quicker
    to_goal, up, down = stopping(room, np.array((RESERVE * u, u, u)), dt)
    want = drift + np.copysign(to_goal, way)
    reach = way / dt  # with more than this the goal would be passed within this tick
    want = np.where(way >= 0.0, np.minimum(want, reach), want)
    want = np.where(way <= 0.0, np.maximum(want, reach), want)
    want = np.minimum(want, np.minimum(v_max, up))  # np.clip would cost five times as much
    want = np.maximum(want, -np.minimum(v_max, down))
    v = np.minimum(np.maximum(want, v - u), v + u)
    return np.minimum(np.maximum(p + v * dt, low), high), v
