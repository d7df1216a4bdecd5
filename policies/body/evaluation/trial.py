"""One robot does one case once: a policy by manifest, the full model, a seed; repeats bit for bit on the same machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.evaluation.cases import ASKED_S, MEASURED_S, PUSH_S, STAND_M, Case
from telerig.policies.body.evaluation.full_model import TIMESTEP_S, Body, World, compile_full
from telerig.policies.body.evaluation.motions import Commands, UpperBody
from telerig.policies.body.evaluation.track import Track
from telerig.policies.body.load import body_policy, load_manifest
from telerig.policies.body.manifest import Manifest
from telerig.policies.body.reference import Reference
from telerig.policies.body.runtime import BodyPolicy, BodyState, projected_gravity

Floats = NDArray[np.float64]

TILT_DEG, LOWEST_M, SAG_M = 60.0, 0.20, 0.25  # down: pelvis' tilt; its height; its height below what was asked
RISE_M_S = 0.3  # nobody stands up at once: what is asked rises so fast before it counts
SHAKE_RAD = 0.01


@dataclass(frozen=True, slots=True)
class Order:
    """Which policy does what; plain values, so that it can be handed to another process.

    :param model: the ONNX file, if not where the manifest says.
    :param command: instead of the case's own (dead-band search).
    :param keep: keep the track, for a picture.
    """

    policy: str
    case: Case
    seed: int
    model: str = ""
    command: tuple[float, ...] = ()
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """``down_s``: when it fell, None if it did not.  ``mean`` (4,): vx, vy, yaw rate, height from 4 s on; ``height_error``:
    the mean distance from the height asked for, m; ``tilt_deg``: the largest since the command."""

    up: bool
    down_s: float | None
    mean: tuple[float, float, float, float]
    height_error: float
    tilt_deg: float
    track: Track | None = None


def legs_of(manifest: Manifest) -> tuple[str, ...]:
    """Joints that a policy drives here: all its outputs but those of arms and waist, which others move."""
    return tuple(j for j in manifest.action_joints if any(part in j for part in ("hip", "knee", "ankle")))


@lru_cache(maxsize=2)
def _policy(name: str, model: str) -> BodyPolicy:
    manifest, _ = load_manifest(name)
    robot = load_embodiment(manifest.embodiment)
    joints = [j for g in robot.groups for j in g.joints]
    legs = legs_of(manifest)
    others = [j for j in manifest.action_joints if j not in legs]
    return body_policy(name, robot, Path(model) if model else None, joints, others)


@lru_cache(maxsize=4)
def _body(name: str, model: str, world: World) -> Body:
    manifest = _policy(name, model).manifest
    robot = load_embodiment(manifest.embodiment)
    legs = legs_of(manifest)
    columns = (manifest.column("kp", legs), manifest.column("kd", legs), manifest.column("torque", legs))
    return Body(robot, compile_full(robot, world, dict(zip(legs, zip(*columns, strict=True), strict=True))))


def run(order: Order) -> Trial:
    """Do it.  :raises ConfigError: the policy does not load (see ``load.py``)."""
    case, policy = order.case, _policy(order.policy, order.model)
    body, manifest = _body(order.policy, order.model, case.world), policy.manifest
    substeps = _substeps(manifest)
    rng = np.random.default_rng([order.seed, 5])
    dt = 1 / manifest.rate_hz
    upper = UpperBody(load_embodiment(manifest.embodiment), manifest, body.joints, case.random, dt, rng)
    commands = Commands(case, order.command or case.command, rng)
    policy.reset()
    driven = np.array([body.joints.index(j) for j in policy.driven])
    targets = upper.centre.copy()
    targets[driven] = _stance(policy)
    shake = SHAKE_RAD * rng.uniform(-1, 1, len(targets))
    body.stand(targets + shake, rng.uniform(-np.pi, np.pi))
    push = case.push * np.array([np.cos(a := rng.uniform(0, 2 * np.pi)), np.sin(a)])
    late = round(case.delay_s / TIMESTEP_S)
    ticks = round(case.seconds / dt)
    log, asked = _Log(body, ticks), STAND_M
    for tick in range(ticks):
        t = tick * dt
        wish = commands.at(t)
        asked = rising(asked, float(wish[3]), dt)
        if case.push and abs(t - PUSH_S) < dt / 2:
            body.data.qvel[:2] += push
        before, targets = targets, upper.step(tick).copy()
        q, dq = body.measure()
        state = BodyState(q, dq, body.data.qvel[3:6].copy(), projected_gravity(body.data.qpos[3:7]))
        targets[driven] = policy.step(state, wish, executed=before).position
        body.follow(before, min(late, substeps))
        body.follow(targets, substeps - late)
        log.add(tick, wish)
        if log.down(tick, asked if "height" in manifest.command.names else None):
            return log.trial(tick + 1, dt, t, order.keep)
    return log.trial(ticks, dt, None, order.keep)


def rising(asked: float, wish: float, dt: float) -> float:
    """The height that a robot can be held to, m, ``dt`` s after it was ``asked``: down at once, up at :data:`RISE_M_S`."""
    return min(wish, asked + RISE_M_S * dt)


def _substeps(manifest: Manifest) -> int:
    substeps = round(1 / (manifest.rate_hz * TIMESTEP_S))
    if abs(substeps * TIMESTEP_S * manifest.rate_hz - 1) > 1e-6:
        raise ConfigError(
            f"body policy {manifest.name}: {manifest.rate_hz} Hz is no multiple of {TIMESTEP_S * 1000} ms"
        )
    return substeps


def _stance(policy: BodyPolicy) -> Floats:
    """The pose of its legs at rest, at home."""
    manifest = policy.manifest
    home = np.array([manifest.command.item(name).home for name in manifest.command.names])
    phases = np.zeros(len(manifest.clock.offsets) if manifest.clock else 0)
    pose = dict(zip(manifest.action_joints, Reference(manifest).pose(home, phases, False), strict=True))
    return np.array([pose[j] for j in policy.driven])


class _Log:
    """Pelvis and joints after every control period."""

    def __init__(self, body: Body, ticks: int) -> None:
        self._body = body
        self._base, self._speed = np.zeros((ticks, 7)), np.zeros((ticks, 6))
        self._joints, self._wish = np.zeros((ticks, len(body.joints))), np.zeros((ticks, 4))

    def add(self, tick: int, wish: Floats) -> None:
        data = self._body.data
        self._base[tick], self._speed[tick] = data.qpos[:7], data.qvel[:6]
        self._joints[tick], self._wish[tick] = self._body.measure()[0], wish

    def down(self, tick: int, asked: float | None) -> bool:
        """Whether it has fallen."""
        height, (_, x, y, _) = self._base[tick, 2], self._base[tick, 3:7]
        tilted = 1 - 2 * (x * x + y * y) < np.cos(np.radians(TILT_DEG))
        return bool(tilted or height < LOWEST_M or (asked is not None and height < asked - SAG_M))

    def trial(self, count: int, dt: float, down_s: float | None, keep: bool) -> Trial:
        """What came out of ``count`` periods."""
        base, speed, wish = self._base[:count], self._speed[:count], self._wish[:count]
        times: Floats = dt * np.arange(1, count + 1, dtype=np.float64)
        done, tilt = _moved(base, speed)
        late = times > min(MEASURED_S, times[-1] / 2)  # one that fell early has means too
        mean = done[late].mean(axis=0)
        error = float(np.abs(done[late, 3] - wish[late, 3]).mean())
        track = Track(times, base.copy(), self._joints[:count].copy(), wish.copy(), done) if keep else None
        since = times > ASKED_S
        most = float(tilt[since].max()) if since.any() else float(tilt.max())
        vx, vy, yaw, height = map(float, mean)
        return Trial(down_s is None, down_s, (vx, vy, yaw, height), error, most, track)


def _moved(base: Floats, speed: Floats) -> tuple[Floats, Floats]:
    """Heading velocities, yaw rate and height ``(T, 4)``, and tilt ``(T,)`` degrees, of a floating pelvis."""
    w, x, y, z = base[:, 3:7].T
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    c, s = np.cos(yaw), np.sin(yaw)
    vx, vy = speed[:, 0], speed[:, 1]
    down = np.stack((2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1), axis=1)
    yaw_rate = -(speed[:, 3:6] * down).sum(axis=1)
    tilt = np.degrees(np.arccos(np.clip(-down[:, 2], -1, 1)))
    return np.stack((c * vx + s * vy, c * vy - s * vx, yaw_rate, base[:, 2]), axis=1), tilt
