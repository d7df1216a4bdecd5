"""A small pick-and-place world with cameras, in numpy: enough to see whether a policy learns to look, reach and grasp.

28 joints like a humanoid's arms and hands; the right arm has four that matter, the right hand closes.  A scripted operator
sees object and target late and with noise, as a person does.  Not physics: a grasp is a rule about distances.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

DT = 1 / 30
N = 28
ARM = slice(7, 11)  # shoulder yaw, shoulder pitch, elbow, wrist
HAND = slice(21, 28)
LINKS = (0.30, 0.30)
SHOULDER = np.array([0.0, -0.15, 0.35])
LOW, HIGH = np.full(N, -2.6), np.full(N, 2.6)
SIZE = 96
OBJECT_R = 0.025


def inverse(hand):
    """Arm joints (4,) that put the hand at ``hand`` (3,) m, pointing down."""
    d = hand - SHOULDER
    reach, height = np.hypot(d[0], d[1]), d[2]
    yaw = np.arctan2(d[1], d[0])
    far = np.clip(np.hypot(reach, height), 0.05, sum(LINKS) - 1e-3)
    elbow = np.pi - np.arccos(np.clip((LINKS[0] ** 2 + LINKS[1] ** 2 - far**2) / (2 * LINKS[0] * LINKS[1]), -1, 1))
    inner = np.arccos(np.clip((LINKS[0] ** 2 + far**2 - LINKS[1] ** 2) / (2 * LINKS[0] * far), -1, 1))
    pitch = np.arctan2(height, reach) + inner
    return np.array([yaw, pitch, -elbow, -(pitch - elbow)])


def forward(q):
    """Elbow and hand (3,) m of arm joints (4,)."""

    def point(r, z):
        return SHOULDER + np.array([r * np.cos(q[0]), r * np.sin(q[0]), z])

    r, z = LINKS[0] * np.cos(q[1]), LINKS[0] * np.sin(q[1])
    return point(r, z), point(r + LINKS[1] * np.cos(q[1] + q[2]), z + LINKS[1] * np.sin(q[1] + q[2]))


class Camera:
    """A pinhole at ``eye`` looking at ``at``."""

    def __init__(self, eye, at, focal=110.0):
        self.eye = np.asarray(eye, float)
        z = np.asarray(at, float) - self.eye
        z /= np.linalg.norm(z)
        x = np.cross(z, [0, 0, 1.0])
        x /= np.linalg.norm(x)
        self.axes = np.stack((x, np.cross(z, x), z))
        self.focal = focal

    def project(self, p):
        c = self.axes @ (np.asarray(p) - self.eye)
        return SIZE / 2 + self.focal * c[0] / c[2], SIZE / 2 + self.focal * c[1] / c[2], self.focal / c[2]


CAMERAS = (Camera((0.02, 0.0, 0.55), (0.33, -0.1, 0.0)), Camera((0.75, -0.75, 0.35), (0.30, -0.1, 0.05), 130.0))
YS, XS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
BACKGROUND = np.stack((90 + 0.5 * XS, 80 + 0.4 * YS, 70 + 20 * np.sin(XS / 9) * np.cos(YS / 7)), -1).astype(np.float32)


NOISE = np.random.default_rng(0).normal(0, 3, (8, SIZE, SIZE, 3)).astype(np.float32)


def _window(us, vs, r):
    """The part of the image that a shape can touch."""
    x0, x1 = np.clip((min(us) - r - 1, max(us) + r + 2), 0, SIZE).astype(int)
    y0, y1 = np.clip((min(vs) - r - 1, max(vs) + r + 2), 0, SIZE).astype(int)
    return slice(y0, y1), slice(x0, x1)


def _disc(image, u, v, r, colour):
    _stick(image, (u, v), (u, v), r, colour)


def _stick(image, a, b, r, colour):
    (ax, ay), (bx, by) = a, b
    at = _window((ax, bx), (ay, by), r)
    xs, ys, part = XS[at], YS[at], image[at]
    dx, dy = bx - ax, by - ay
    t = np.clip(((xs - ax) * dx + (ys - ay) * dy) / (dx * dx + dy * dy + 1e-6), 0, 1)
    cover = np.clip(r + 0.5 - np.hypot(xs - ax - t * dx, ys - ay - t * dy), 0, 1)[..., None]
    part += cover.astype(np.float32) * (np.asarray(colour, np.float32) - part)


@dataclass
class World:
    """One episode's state.  Object and target lie uniformly in 20 × 20 cm, at least 8 cm apart."""

    seed: int
    object: np.ndarray = field(init=False)

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)
        while True:
            self.object = np.array([*self.rng.uniform((0.22, -0.20), (0.42, 0.0)), 0.0])
            self.target = np.array([*self.rng.uniform((0.22, -0.20), (0.42, 0.0)), 0.0])
            if np.linalg.norm(self.object - self.target) > 0.08:
                break
        self.q = np.zeros(N)
        self.q[ARM] = inverse(np.array([0.2, -0.3, 0.15]) + self.rng.normal(0, 0.01, 3))
        self.command = self.q.copy()
        self.held = None
        self.t = 0

    @property
    def hand(self):
        return forward(self.q[ARM])[1]

    def step(self, command):
        """One 30 Hz step: joints follow with a lag; fingers grasp what is between them."""
        self.command = np.clip(command, LOW, HIGH)
        self.q += 0.35 * np.clip(self.command - self.q, -0.25, 0.25)
        if self.held is not None:
            self.q[HAND] = np.minimum(self.q[HAND], 0.75)  # the object stops the fingers
        closed, hand = self.q[HAND].mean() > 0.6, self.hand
        grip = hand - np.array([0, 0, 0.02])
        if self.held is None and closed and np.linalg.norm(grip - self.object) < 0.022:
            self.held = self.object - hand
        if self.held is not None and self.q[HAND].mean() < 0.5:
            self.held = None
            self.object[2] = 0.0
        if self.held is not None:
            self.object = hand + self.held
        self.t += 1

    @property
    def success(self):
        return bool(self.held is None and np.linalg.norm(self.object - self.target) < 0.04)

    def measured(self):
        return self.q + self.rng.normal(0, 1e-3, N)

    def images(self):
        """``(2, 96, 96, 3)`` uint8."""
        out = []
        elbow, hand = forward(self.q[ARM])
        spread = 0.035 * (1 - self.q[HAND].mean())
        for camera in CAMERAS:
            image = BACKGROUND.copy()
            u, v, s = camera.project(self.target)
            _disc(image, u, v, 0.03 * s, (60, 160, 60))
            u, v, s = camera.project(self.object + np.array([0, 0, 0.02]))
            _disc(image, u, v, OBJECT_R * s, (200, 60, 50))
            points = [camera.project(p) for p in (SHOULDER, elbow, hand + np.array([0, 0, 0.04]))]
            for a, b in itertools.pairwise(points):
                _stick(image, a[:2], b[:2], 0.02 * b[2], (190, 190, 200))
            for side in (-1, 1):
                a = camera.project(hand + np.array([0, side * spread, 0.04]))
                b = camera.project(hand + np.array([0, side * spread, -0.01]))
                _stick(image, a[:2], b[:2], 0.008 * b[2], (40, 40, 50))
            image += NOISE[self.rng.integers(len(NOISE))]
            out.append(np.clip(image, 0, 255).astype(np.uint8))
        return np.stack(out)


class Operator:
    """Reaches, grasps, carries and releases like a person: late, noisy, with limited speed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed + 10_000)
        self.phase, self.since = 0, 0
        self.past = []
        self.goal = None
        self.grip = 0.0
        self.speed = self.rng.uniform(0.25, 0.4)
        self.drift = np.zeros(3)

    def act(self, world):
        self.past.append((world.object.copy(), world.target.copy(), world.hand.copy()))
        obj, target, hand = self.past[max(0, len(self.past) - 5)]
        self.drift = 0.9 * self.drift + self.rng.normal(0, 0.0013, 3)
        if self.goal is None:
            self.goal = world.hand.copy()
        above, low = np.array([0, 0, 0.10]), np.array([0, 0, 0.02])
        wanted = (obj + above, obj + low, obj + low, None, target + above, target + low, None, target + above)[
            self.phase
        ]
        if wanted is None:
            wanted = self.goal.copy() if self.phase == 6 else np.array([*self.goal[:2], 0.10])
        step = wanted + self.drift - self.goal
        limit = self.speed * DT * (0.5 if self.phase in (1, 5) else 1)
        self.goal = self.goal + step * min(1.0, 0.25, limit / (np.linalg.norm(step) + 1e-9))
        near = np.linalg.norm(hand - wanted) < 0.012
        grip = 1.0 if 2 <= self.phase <= 5 else 0.0
        self.grip += np.clip(grip - self.grip, -0.12, 0.12)
        self.since += 1
        wait = {2: 10, 6: 8}.get(self.phase)
        if (wait is not None and self.since > wait) or (wait is None and near and self.since > 3):
            self.phase, self.since = min(self.phase + 1, 7), 0
        command = np.zeros(N)
        command[ARM], command[HAND] = inverse(self.goal), self.grip
        return command + self.rng.normal(0, 1e-3, N)


def demonstrate(seed, steps=240):
    """One episode: images, state, action, success."""
    world, operator = World(seed), Operator(seed)
    images, state, action = [], [], []
    for _ in range(steps):
        images.append(world.images())
        state.append(world.measured())
        command = operator.act(world)
        action.append(command)
        world.step(command)
        if operator.phase == 7 and operator.since > 10:
            break
    return np.stack(images), np.stack(state), np.stack(action), world.success
