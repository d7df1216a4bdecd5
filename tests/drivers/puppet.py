"""A robot without physics: its pelvis goes where pedals say, its arms are where exoskeletons are, a box sticks to two palms."""

from __future__ import annotations

from typing import Any

import numpy as np

from telerig.hardware.calibration import PedalCalibration
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.kinematics import Chain
from telerig.hardware.rotations import rotation_about
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.worlds import shelf_to_table as task
from telerig.teleop.retarget.pedals import PedalMap, PedalShape
from telerig.teleop.states import State
from telerig.teleop.stream import LocalReader, LocalStream

TRUTH = StreamSpec(
    "world/truth",
    (ArraySpec("object", (3,)), ArraySpec("target", (3,)), ArraySpec("pelvis", (7,)), ArraySpec("episode", (), "<i8")),
    100.0,
)
STATE = StreamSpec("session/state", (ArraySpec("state", (), "<u1"),), 100.0)
STEP_NS = 10_000_000
GRASPED = 0.100  # m: half of what is between the palm frames when palms touch the box
SIDES = ("left", "right")


class Puppet:
    """``state``: what the session is in; the pelvis moves only while it is ENGAGED.

    :param starts_s: how long it must be told to walk before it does, as on real feet.
    """

    def __init__(self, seed: int, starts_s: float = 0.0) -> None:
        robot = load_embodiment(task.EMBODIMENT)
        held = dict.fromkeys(robot.group("waist").joints, 0.0)
        self._chains = {s: Chain.from_mjcf(robot.model_path, "pelvis", f"{s}_palm", held) for s in SIDES}
        released = PedalCalibration(("speed", "yaw", "height"), (0.0,) * 3, (1.0,) * 3)
        self.pedals = PedalMap(released, robot.target("robot", "base"), PedalShape())
        self._streams = {s.name: LocalStream(s) for s in (TRUTH, STATE)}
        self.readers: Any = {name: LocalReader(stream) for name, stream in self._streams.items()}
        start = task.sample(seed)
        self.box, self.disc = np.array(start.object), np.array(start.target)
        self.at, self.heading, self.height = np.zeros(2), 0.0, 0.74
        self.state, self.episode, self.now = State.IDLE, 1, 0
        self.palms = np.zeros((2, 3))
        self.held: np.ndarray | None = None  # the box from between the palms, in the walker's frame
        self.presses, self._pressed = 0, False
        self._starts_s, self._told_s = starts_s, 0.0

    @property
    def success(self) -> bool:
        return task.success(self.box, (1.0, 0.0, 0.0, 0.0), self.disc, self.palms)

    @property
    def done(self) -> tuple[bool, ...]:
        return task.phases(self.box, self.disc, np.array([*self.at, self.height]), self.success)

    def step(self, operator: Any) -> None:
        """10 ms: the operator sees, moves; the robot follows."""
        self.now += STEP_NS
        half = self.heading / 2
        pelvis = np.array([*self.at, self.height, np.cos(half), 0.0, 0.0, np.sin(half)])
        truth = {"object": self.box, "target": self.disc, "pelvis": pelvis, "episode": np.array(self.episode)}
        self._streams["world/truth"].write(Sample("world/truth", self.now, self.now, truth))
        state = {"state": np.array(self.state, np.uint8)}
        self._streams["session/state"].write(Sample("session/state", self.now, self.now, state))
        values = operator.step(self.now, self.readers)
        assert set(values) == {
            "exo_left",
            "exo_right",
            "glove_left",
            "glove_right",
            "pedals",
        }  # no other way of command
        enable, episode, stop = values["pedals"]["switches"]
        assert stop == 1.0
        self.state = State.ENGAGED if enable else State.IDLE
        self.presses += int(bool(episode) and not self._pressed)
        self._pressed = bool(episode)
        if self.state is State.ENGAGED:
            self._follow(values)

    def hold(self, operator: Any, seconds: float) -> list[float]:
        """For so long the robot does not follow, first held, then damped; where the pedals are then."""
        steps = round(seconds * 1e9 / STEP_NS)
        for k in range(steps):
            self.now += STEP_NS
            state = {"state": np.array(State.HOLD if 2 * k < steps else State.DAMPED, np.uint8)}
            self._streams["session/state"].write(Sample("session/state", self.now, self.now, state))
            at: list[float] = operator.step(self.now, self.readers)["pedals"]["position"]
        return at

    def _follow(self, values: Any) -> None:
        vx, _, rate, self.height = self.pedals(self.now, np.array(values["pedals"]["position"]))
        self.heading += rate * STEP_NS / 1e9
        self._told_s = self._told_s + STEP_NS / 1e9 if vx else 0.0
        if self._told_s < self._starts_s:
            vx = 0.0
        self.at += vx * STEP_NS / 1e9 * np.array([np.cos(self.heading), np.sin(self.heading)])
        turn = rotation_about((0, 0, 1), self.heading)
        self.palms = np.array([
            turn @ self._chains[s].forward(np.array(values[f"exo_{s}"]["angle"]))[:3, 3] + (*self.at, self.height)
            for s in SIDES
        ])  # fmt: skip
        spread = 0.5 * float(np.linalg.norm(self.palms[0] - self.palms[1]))
        middle = self.palms.mean(axis=0)
        near = self.held is not None or np.linalg.norm(middle - self.box) < 0.10
        if spread >= GRASPED or not near:
            self.held = None
        elif self.held is None:
            self.held = turn.T @ (self.box - middle)
        else:
            self.box = middle + turn @ self.held
        below = task.TABLE_TOP if np.linalg.norm(self.box[:2] - self.disc[:2]) < 0.3 else task.SHELF_TOP
        self.box[2] = max(self.box[2] if self.held is not None else -1.0, below + task.BOX[2])
