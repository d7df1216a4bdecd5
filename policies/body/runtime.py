"""One runtime for every body policy: state and command in, joint targets out.

It reads no clock and opens nothing: whoever steps it, in real or in virtual time, does so once a control period and says
how many periods went by.  Same manifest, same model, same arrays: same targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.body.command import CommandShaper, GaitClock, Given
from telerig.policies.body.manifest import Manifest
from telerig.policies.body.observation import Assembler
from telerig.policies.body.reference import Reference
from telerig.policies.body.terms import spread

Array = NDArray[np.float64]
Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class BodyState:
    """What was measured.

    :param position, velocity: ``(n,)`` rad, rad/s, of the joints the runtime was told of, in that order.
    :param angular_velocity: ``(3,)`` of the pelvis in its own axes, rad/s.
    :param gravity: ``(3,)`` unit vector of gravity in the pelvis' axes; see :func:`projected_gravity`.
    """

    position: Array
    velocity: Array
    angular_velocity: Array
    gravity: Array


@dataclass(frozen=True, slots=True)
class BodyTarget:
    """One step's result.

    :param position: ``(m,)`` rad, of the runtime's ``driven`` joints, within their ranges.
    :param wish: ``(k,)`` what the robot is now asked for: the command within range and slew.
    :param sent: ``(k,)`` what the policy was given: dead bands compensated.
    :param walking: False at rest.
    :param action: the policy's outputs, clipped, of all its joints.
    """

    position: Array
    wish: Array
    sent: Array
    walking: bool
    action: Array


def projected_gravity(quaternion: ArrayLike) -> Array:
    """Unit vector of gravity in a body's axes ``(3,)`` from its attitude, a quaternion wxyz."""
    w, x, y, z = map(float, np.asarray(quaternion, np.float64))
    size = math.sqrt(w * w + x * x + y * y + z * z) or math.nan  # no attitude: the step refuses it
    w, x, y, z = w / size, x / size, y / size, z / size
    return np.array([2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1])


def _clipped(values: Array, low: ArrayLike, high: ArrayLike) -> Array:
    """``np.clip``, whose checks take longer than its work on a dozen numbers."""
    return np.asarray(np.minimum(np.maximum(values, low), high))


class BodyPolicy:
    """A manifest and a model, ready to be stepped at ``manifest.rate_hz``.

    :param manifest: a checked one (``load.py`` does so).
    :param infer: the model: ``(1, inputs)`` float32 → ``(1, outputs)``.
    :param joints: names of the joints in the caller's arrays, in their order; more than the policy sees is fine.
    :param low, high: ``(n,)`` ranges of those joints, rad; targets are clipped to them.
    :param overridden: joints that somebody else drives, though the policy has outputs for them.
    :ivar driven: joints it drives, in the order of its targets.
    :ivar infer: the model, called once a step.
    :raises ConfigError: a joint is missing, or overridden without being the policy's.
    """

    def __init__(
        self,
        manifest: Manifest,
        infer: Infer,
        joints: Sequence[str],
        low: ArrayLike,
        high: ArrayLike,
        overridden: Collection[str] = (),
    ) -> None:
        self.manifest, self.infer = manifest, infer
        outputs = manifest.action_joints
        if missing := [j for j in manifest.joint_names if j not in joints]:
            raise ConfigError(f"body policy {manifest.name}: nobody measures {', '.join(missing)}")
        if strange := sorted(set(overridden) - set(outputs)):
            raise ConfigError(f"body policy {manifest.name} does not drive {', '.join(strange)}")
        self.driven = tuple(j for j in outputs if j not in overridden)
        self._n = len(joints)
        self._seen = np.array([list(joints).index(j) for j in manifest.joint_names], np.intp)
        self._acted = np.array([list(joints).index(j) for j in outputs], np.intp)
        self._keep = np.array([j not in overridden for j in outputs], bool)
        self._low = np.asarray(low, np.float64)[self._acted]
        self._high = np.asarray(high, np.float64)[self._acted]
        self._default = manifest.column("default", manifest.joint_names)
        self._scale = spread(manifest.action.scale, len(outputs), "[action] scale")
        self._clip = manifest.action.clip
        self._assembler, self._reference = Assembler(manifest), Reference(manifest)
        self._shaper = CommandShaper(manifest.command, manifest.rate_hz)
        self._clock = GaitClock(manifest)
        self._source = np.zeros(self._assembler.sections.size)
        self.reset()

    def reset(self) -> None:
        """Begin anew: no history, no last action, at rest, at the commands' home."""
        self._assembler.reset()
        self._shaper.reset()
        self._clock.reset()
        self._action = np.zeros(len(self._acted))
        self._base: Array | None = None

    def stance(self, height: float) -> Array:
        """``(m,)`` rad, of :attr:`driven`: the pose that its actions are added to, standing at this height (m)."""
        table = self.manifest.command
        sent = np.array([height if name == "height" else 0.0 for name in table.names])
        pose = self._reference.pose(sent, self._clock.phase, False)
        return np.asarray(np.clip(pose, self._low, self._high)[self._keep])

    def step(
        self,
        state: BodyState,
        command: ArrayLike,
        executed: ArrayLike | None = None,
        periods: int = 1,
        urgent: bool = False,
    ) -> BodyTarget:
        """One control step.

        :param command: ``(4,)`` vx, vy m/s, yaw rate rad/s, height m; those the policy does not take are ignored.
        :param executed: ``(n,)`` targets last sent to the caller's joints, rad; needed for overridden joints whose
            last-action slots hold what was executed.
        :param periods: control periods since the last step (more than 1 after late ones).
        :param urgent: come to rest faster than the manifest's slew: nobody steers any more.
        :raises CommandRefused: the command is not finite.
        :raises DataError: the state, or what the policy made of it, is not finite.
        """
        given = self._shaper.step(np.asarray(command, np.float64), periods, urgent)
        phase = self._clock.step(given.walking, periods)
        self._fill(state, given, phase, self._last_action(executed))
        self._base = self._reference.pose(given.sent, phase, given.walking)
        action = np.asarray(self.infer(self._assembler.push(self._source))[0], np.float64)
        if not np.isfinite(action).all():
            joint = self.manifest.action_joints[int(np.argmin(np.isfinite(action)))]
            raise DataError(f"body policy {self.manifest.name}: its output for {joint} is not finite")
        self._action = action if self._clip is None else _clipped(action, -self._clip, self._clip)
        target = _clipped(self._base + self._scale * self._action, self._low, self._high)
        return BodyTarget(target[self._keep], given.wish, given.sent, given.walking, self._action.copy())

    def _last_action(self, executed: ArrayLike | None) -> Array:
        """The previous outputs, with what the manifest says in the slots of overridden joints."""
        how = self.manifest.action.overridden
        if how == "own" or self._keep.all():
            return self._action
        if how == "zero":
            return np.where(self._keep, self._action, 0.0)
        if executed is None:
            raise ValueError("this policy's last action needs the executed targets of overridden joints")
        targets = np.asarray(executed, np.float64)[self._acted]
        if self._base is None:  # the first step: nothing was asked of anyone
            return self._action
        return np.where(self._keep, self._action, (targets - self._base) / self._scale)

    def _fill(self, state: BodyState, given: Given, phase: Array, last_action: Array) -> None:
        """Write everything that terms choose from."""
        if state.position.shape != (self._n,) or state.velocity.shape != (self._n,):
            raise ValueError(f"{self._n} joint positions and velocities are right")
        source, shown = self._source, self._clock.shown
        parts = (  # in the order of the sections
            given.sent, state.angular_velocity, state.gravity, state.position[self._seen] - self._default,
            state.velocity[self._seen], last_action, np.sin(phase) * shown, np.cos(phase) * shown, (given.walking,),
        )  # fmt: skip
        np.concatenate(parts, out=source)
        finite = np.isfinite(source)
        if not finite.all():
            where = self._assembler.sections.name(int(np.argmin(finite)))
            raise DataError(f"body policy {self.manifest.name}: {where} is not finite")
