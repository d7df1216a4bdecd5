"""How a virtual operator moves: along smooth paths, by inverse kinematics of its own arm, never faster than it may.

A path is a list of :class:`Leg`; :class:`ArmMotion` follows it tick by tick and gives exoskeleton angles.  The wearer's arm
is isomorphic with the robot's, so the wearer's kinematics are those of the robot's model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.kinematics import Chain

Vector = NDArray[np.float64]
PEAK = 1.5  # a smooth-step's largest speed over its mean


@dataclass(frozen=True, slots=True)
class Leg:
    """One stretch of a path.

    :param goal: where the palm goes (3,), m, world frame, asked for when the leg begins; None: stay.
    :param grip: 0 (open) … 1 (closed), reached at ``grip_rate`` a second.
    :param speed: m/s at most; a leg without goal takes ``seconds``.
    """

    goal: Callable[[], Vector] | None
    grip: float
    speed: float = 0.45
    seconds: float = 0.0
    grip_rate: float = 4.0


class ArmMotion:
    """Follows legs with one arm.

    :param rotation: (3, 3) the palm's orientation, base frame.
    :param base: (3,) m, the robot's base in the world.
    :param wander: (3,) m, a function of seconds: how a hand strays from a straight line.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        group: str,
        tip: str,
        held: dict[str, float],
        rotation: Vector,
        base: Sequence[float],
        wander: Callable[[float], Vector],
    ) -> None:
        arm = embodiment.group(group)
        self._chain = Chain.from_mjcf(embodiment.model_path, "pelvis", tip, held)
        self._home, self._velocity = np.array(arm.home), np.array(arm.velocity)
        self._rotation, self._base, self._wander = rotation, np.array(base), wander
        self.q = self._home.copy()
        self.grip = 0.0
        self.home_at: Vector = self._chain.forward(self._home)[:3, 3] + self._base
        self._at = self.home_at.copy()
        self._legs: list[Leg] = []
        self._start, self._end, self._t, self._length = self._at, self._at, 0.0, 0.0
        self._clock = 0.0

    def follow(self, legs: Sequence[Leg]) -> None:
        """Take up a new path from where the hand is."""
        self._legs = list(legs)
        self._begin()

    @property
    def at(self) -> Vector:
        """Where the path has brought the palm (3,), m, world frame."""
        at: Vector = self._at.copy()
        return at

    @property
    def done(self) -> bool:
        """The path is at its end."""
        return not self._legs

    def _begin(self) -> None:
        if not self._legs:
            return
        leg = self._legs[0]
        self._start = self._at.copy()
        self._end = self._at if leg.goal is None else np.asarray(leg.goal(), float)
        far = float(np.linalg.norm(self._end - self._start))
        self._length = leg.seconds if leg.goal is None else max(0.1, PEAK * far / leg.speed)
        self._t = 0.0

    def step(self, dt: float) -> None:
        """Move on by ``dt`` s."""
        if not self._legs:
            return
        self._t += dt
        self._clock += dt
        u = min(1.0, self._t / self._length)
        self._at = self._start + (3 * u * u - 2 * u**3) * (self._end - self._start)
        change = self._legs[0].grip - self.grip
        self.grip += float(np.clip(change, -self._legs[0].grip_rate * dt, self._legs[0].grip_rate * dt))
        self._reach(self._at + self._wander(self._clock), dt)
        if u >= 1.0:
            self._legs.pop(0)
            self._begin()

    def _reach(self, goal: Vector, dt: float) -> None:
        found = self._chain.solve(
            self.q, goal - self._base, self._rotation, 2,
            rot_weight=(1, 1, 0.5), posture=self._home, posture_gain=0.02, margin=0.03,
        )  # fmt: skip
        step = self._velocity * dt
        self.q = self.q + np.clip(found.q - self.q, -step, step)

    def go_home(self, dt: float, speed: float = 1.2) -> bool:
        """Return to the home pose joint by joint; whether it is reached."""
        away = self._home - self.q
        self.q = self.q + np.clip(away, -speed * dt, speed * dt)
        self.grip = max(0.0, self.grip - 4.0 * dt)
        self._at = self._chain.forward(self.q)[:3, 3] + self._base
        return bool(np.abs(away).max() < 1e-3)


def wandering(rng: np.random.Generator, amplitude: float) -> Callable[[float], Vector]:
    """A hand's slow straying: per axis three sines of 0.2 to 1.2 Hz, ``amplitude`` m in all."""
    hz = rng.uniform(0.2, 1.2, (3, 3))
    phase = rng.uniform(0, 2 * np.pi, (3, 3))
    size = amplitude * rng.dirichlet(np.ones(3), 3)

    def at(t: float) -> Vector:
        value: Vector = (size * np.sin(2 * np.pi * hz * t + phase)).sum(axis=1)
        return value

    return at
