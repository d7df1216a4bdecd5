"""A virtual operator who wears the emulated cockpit and does the pick-and-place task.

It moves the emulated exoskeletons, gloves and pedals, never the robot.  It sees object, target and hand as a person would:
150 ms late and 3 mm wrong.  It presses enable, waits to be engaged, presses *episode*, does the task, presses *episode*
again, goes back to its home pose and waits for the next scene.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.operator_habits import BLUR_M, ENGAGED, PRESS_NS, THINK_NS, Enable, Looks
from telerig.drivers.operator_motion import ArmMotion, Leg, wandering
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.protocols import StreamReader
from telerig.hardware.rotations import rotation_about
from telerig.hardware.samples import Sample
from telerig.hardware.wire.messages import GLOVE_JOINTS
from telerig.hardware.worlds import pick_place

Vector = NDArray[np.float64]
PALM_YAW = 0.15  # rad, the palm's heading at the table
PALM_ABOVE = 0.062  # m, palm over the table when it grasps
LIFT = 0.09  # m
# Flexion of the wearer's joints in a grasp; what is not named stays open (docs/operators.md)
GRASP = {
    "thumb_mcp": 0.46, "thumb_pip": 0.31, "thumb_dip": 0.31, "index_flexion": 0.87, "index_dip": 0.38,
    "middle_flexion": 0.87, "middle_dip": 0.38, "ring_flexion": 0.8, "ring_dip": 0.4,
    "pinky_flexion": 0.8, "pinky_dip": 0.4,
}  # fmt: skip
_CLOSED = np.array([GRASP.get(j, 0.0) for j in GLOVE_JOINTS])
_OPEN = np.array([0.5 if "abduction" in j else 0.0 for j in GLOVE_JOINTS])


class _Eyes:
    """What a person sees of the scene: late and blurred, steadied by looking for a while."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._looks = Looks()
        self.object, self.target = np.zeros(3), np.zeros(3)

    @property
    def episode(self) -> int:
        """The scene's."""
        return self._looks.episode

    def look(self, newest: Sample | None, now: int) -> None:
        """Take in what is new; see what was there 150 ms ago."""
        look = self._looks(newest, now)
        if look is None:
            return
        shown, number = look
        share = max(0.1, 1.0 / number)
        self.object += share * (shown.array("object") + self._rng.normal(0, BLUR_M, 3) - self.object)
        self.target += share * (shown.array("target") + self._rng.normal(0, BLUR_M, 3) - self.target)


class PickPlaceOperator:
    """See the module.  ``step`` once a tick, at about 100 Hz.

    :param world: the simulated world's device;  ``exo_right`` …: the devices it wears, "" for none.
    :param variation: 0 for a machine-like operator, 1 for a person's unevenness in speed, path and grasp.
    """

    sees = ("object", "target")

    def __init__(
        self,
        seed: int = 0,
        world: str = "world",
        embodiment: str = pick_place.EMBODIMENT,
        exo_left: str = "exo_left",
        exo_right: str = "exo_right",
        glove_left: str = "glove_left",
        glove_right: str = "glove_right",
        pedals: str = "pedals",
        variation: float = 1.0,
    ) -> None:
        self._world, self._variation = world, variation
        self._left, self._right, self._pedals = exo_left, exo_right, pedals
        self._gloves = (glove_left, glove_right)
        self._embodiment = load_embodiment(embodiment)
        self._rng = np.random.default_rng([seed, 1])
        self._eyes = _Eyes(np.random.default_rng([seed, 2]))
        self._rotation = rotation_about((0, 0, 1), PALM_YAW)
        held = dict.fromkeys(self._embodiment.group("waist").joints, 0.0)
        strays = wandering(self._rng, 0.004 * variation)
        self._arm = ArmMotion(
            self._embodiment, "right_arm", "right_palm", held, self._rotation, pick_place.ROBOT_BASE, strays
        )
        self._left_home = list(self._embodiment.group("left_arm").home)
        self._done_episode = 0
        self._phase = "home"
        self._enable = Enable()
        self._press_until = 0
        self._next = 0
        self._from: Vector = self._arm.q

    def step(self, now: int, readers: Mapping[str, StreamReader]) -> Mapping[str, Mapping[str, Sequence[float]]]:
        """What every emulated sensor shows now."""
        self._eyes.look(readers[f"{self._world}/truth"].latest(), now)
        shown = readers["session/state"].latest()
        state = 0 if shown is None else int(shown.array("state"))
        if state != ENGAGED:
            self._next = now
        elif now >= self._next:  # thinks fifty times a second; in between the arm moves on evenly
            self._next = max(self._next, now - THINK_NS) + THINK_NS
            self._from = self._arm.q
            self._act(now, THINK_NS / 1e9)
        share = min(1.0, max(0.0, 1.0 - (self._next - now) / THINK_NS))
        pose = self._from + share * (self._arm.q - self._from)
        return self._values(pose, self._enable(now, state), now < self._press_until)

    def _act(self, now: int, dt: float) -> None:
        """The task's phases; time stands still for the operator while the robot does not follow."""
        if self._phase == "home" and self._eyes.episode > self._done_episode:
            self._phase, self._press_until = "task", now + PRESS_NS
            self._arm.follow(self._path())
        elif self._phase == "task":
            self._arm.step(dt)
            if self._arm.done:
                self._phase, self._press_until = "return", now + PRESS_NS
                self._done_episode = self._eyes.episode
        elif self._phase == "return" and self._arm.go_home(dt):
            self._phase = "home"

    def _path(self) -> list[Leg]:
        """Look, reach beside the canister, grasp, lift, carry, set down, let go, draw back."""
        rng, v, eyes = self._rng, self._variation, self._eyes
        along, across = self._rotation[:, 0], self._rotation[:, 1]
        pace = 1.0 + v * rng.uniform(-0.12, 0.12)
        up = np.array([0.0, 0.0, pick_place.TABLE_TOP + PALM_ABOVE])
        slip = v * rng.uniform(-0.004, 0.004, 3)
        side = v * rng.uniform(-0.012, 0.012, 3) * (1.0, 1.0, 0.7)
        lift = np.array([0.0, 0.0, LIFT + v * rng.uniform(-0.01, 0.01)])

        def grasp() -> Vector:
            goal: Vector = np.array([*eyes.object[:2], 0.0]) + up + slip * (1.0, 0.5, 1.0)
            return goal

        def place() -> Vector:
            goal: Vector = np.array([*eyes.target[:2], 0.003]) + up + slip * (0.0, 0.0, 1.0)
            return goal

        return [
            Leg(None, 0.0, seconds=0.15 + v * rng.uniform(0.0, 0.15)),
            Leg(lambda: grasp() - 0.09 * along - 0.025 * across + side, 0.0, 0.45 * pace),
            Leg(grasp, 0.0, 0.27 * pace),
            Leg(None, 1.0, seconds=0.45),
            Leg(lambda: self._arm.at + lift, 1.0, 0.45 * pace),
            Leg(lambda: place() + lift, 1.0, 0.45 * pace),
            Leg(place, 1.0, 0.3 * pace),
            Leg(None, 0.0, seconds=0.5, grip_rate=2.5),
            Leg(lambda: place() - 0.01 * along - 0.05 * across, 0.0, 0.27 * pace),
            Leg(lambda: place() - 0.10 * along - 0.07 * across + np.array([0.0, 0.0, 0.03]), 0.0, 0.45 * pace),
            Leg(None, 0.0, seconds=0.3),
        ]

    def _values(self, pose: Vector, enable: bool, press: bool) -> dict[str, dict[str, Sequence[float]]]:
        right = _OPEN + self._arm.grip * (_CLOSED - _OPEN)
        values: dict[str, dict[str, Sequence[float]]] = {
            self._right: {"angle": pose.tolist()},
            self._left: {"angle": self._left_home},
            self._gloves[0]: {"flexion": _OPEN.tolist()},
            self._gloves[1]: {"flexion": right.tolist()},
            self._pedals: {"position": [0.0, 0.0, 0.0], "switches": [float(enable), float(press), 1.0]},
        }
        values.pop("", None)
        return values
