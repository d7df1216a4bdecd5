"""A virtual operator who wears the emulated cockpit, walks to the shelf, and carries the box to the table.

It moves the emulated exoskeletons, gloves and pedals, never the robot, and steers by what it sees: box, disc and pelvis,
150 ms late and 3 mm (0.01 rad) wrong.  It presses enable, waits to be engaged, taps *episode*, walks up to the box, squats,
presses its palms against its sides, stands up, backs away, turns, walks to the table, sets it down, lets go, taps again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.operator_feet import Feet, Seen, Steering, on_line
from telerig.drivers.operator_habits import BLUR_M, ENGAGED, PRESS_NS, THINK_NS, Enable, Late
from telerig.drivers.operator_hands import Hands
from telerig.drivers.operator_motion import wandering
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.protocols import StreamReader
from telerig.hardware.rotations import rotation_about
from telerig.hardware.samples import Sample
from telerig.hardware.wire.messages import GLOVE_JOINTS
from telerig.hardware.worlds import shelf_to_table as task

Vector = NDArray[np.float64]
DT = THINK_NS / 1e9
BLUR_RAD = 0.01
STEADY, LOST_M = 0.03, 0.2  # part of the sway taken for real at each look; m at which it has to look anew
AHEAD_S, TURN_AHEAD_S = 0.25, 0.4  # what is seen is old, and a robot does not stop at once: the operator allows for it
AT_SHELF, AT_TABLE = 0.38, 0.375  # m, pelvis to the box or the disc
CLEAR = 0.55  # m, pelvis to the shelf's box: far enough to turn
SQUAT = 0.53  # m
BACKWARD = 0.25  # m/s
TRIES, BESIDE, STILL_S = 3, 0.12, 0.8  # approaches; m beside the line that the arms make good for; standing, s
TILT = 0.15  # rad, fingers up while it carries
PALM_BEHIND = 0.064  # m: thumbs stay in front of the box, so palms hold its nearer half
OPEN, TOUCH, PRESS = 0.17, 0.083, 0.070  # m, half of what is between the palm frames: wide, at the sides, pressing
GRASP_UP = 0.005  # m, palms above the box's middle, well below its lid
CARRY = np.array([0.36, 0.0, 0.20])  # the box, in the walker's frame
CURL = {"index_flexion": 0.12, "middle_flexion": 0.12}  # fingers bent onto the sides; the thumb stays out of the way
_CLOSED = np.array([0.5 if "abduction" in j else CURL.get(j, 0.0) for j in GLOVE_JOINTS])
_OPEN = np.array([0.5 if "abduction" in j else 0.0 for j in GLOVE_JOINTS])


class Sight:
    """What a person sees of box, disc and robot: late, blurred, steadied by looking for a while."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._late = rng, Late()
        self.episode, self._looks = 0, 0
        self.box, self.disc, self.pelvis = np.zeros(3), np.zeros(3), np.zeros(3)
        self.steady = np.zeros(3)  # the pelvis without its swaying
        self.heading = 0.0
        self.lean: Vector = np.eye(3)  # the walker's frame in the pelvis' axes

    def look(self, newest: Sample | None, now: int) -> None:
        """Take in what is new; see what was there 150 ms ago."""
        shown = self._late(newest, now)
        if shown is None:
            return
        episode = int(shown.array("episode"))
        if episode != self.episode:
            self.episode, self._looks = episode, 0
        self._looks += 1
        share, quick = max(0.1, 1.0 / self._looks), max(0.3, 1.0 / self._looks)
        self.box += share * (self._blurred(shown, "object") - self.box)
        self.disc += share * (self._blurred(shown, "target") - self.disc)
        before = self.pelvis.copy()
        self.pelvis += quick * (self._blurred(shown, "pelvis") - self.pelvis)
        self._steady(self.pelvis - before)
        self._attitude(shown.array("pelvis")[3:], quick)

    def _blurred(self, shown: Sample, name: str) -> Vector:
        found: Vector = shown.array(name)[:3] + self._rng.normal(0, BLUR_M, 3)
        return found

    def _steady(self, moved: Vector) -> None:
        """Walking sways from side to side once in a stride: what counts is where it goes in the mean."""
        side = np.array([-np.sin(self.heading), np.cos(self.heading), 0.0])
        if np.linalg.norm(self.pelvis - self.steady) > LOST_M:
            self.steady = self.pelvis.copy()
            return
        self.steady += moved - side * float(side @ moved)
        self.steady += side * float(side @ (self.pelvis - self.steady)) * STEADY

    def _attitude(self, quat: Vector, share: float) -> None:
        w, x, y, z = quat
        heading = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) + self._rng.normal(0, BLUR_RAD)
        self.heading += share * ((heading - self.heading + np.pi) % (2 * np.pi) - np.pi)
        rows = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
                [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
                [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
            ]
        )  # world to pelvis
        lean = rows @ rotation_about((0, 0, 1), float(np.arctan2(rows[0, 1], rows[0, 0])))
        self.lean = self.lean + share * (lean - self.lean)  # small tilts: near enough to a rotation

    def place(self, world: Vector) -> Vector:
        """A place (3,) m of the world in the walker's frame."""
        found: Vector = rotation_about((0, 0, 1), -self.heading) @ (world - self.pelvis)
        return found


class ShelfToTableOperator:
    """See the module.  ``step`` once a tick, at about 100 Hz.

    :param world: the simulated world's device;  ``exo_right`` …: the devices it wears.
    :param variation: 0 for a machine-like operator, 1 for a person's unevenness in speed, path and grasp.
    :ivar phase: what it is at, in words.
    """

    def __init__(
        self,
        seed: int = 0,
        world: str = "world",
        embodiment: str = task.EMBODIMENT,
        exo_left: str = "exo_left",
        exo_right: str = "exo_right",
        glove_left: str = "glove_left",
        glove_right: str = "glove_right",
        pedals: str = "pedals",
        variation: float = 1.0,
    ) -> None:
        self._world, self._pedals = world, pedals
        self._exos, self._gloves = {"left": exo_left, "right": exo_right}, (glove_left, glove_right)
        robot = load_embodiment(embodiment)
        rng = np.random.default_rng([seed, 1])
        self._pace = 1.0 + variation * float(rng.uniform(-0.1, 0.1))
        self._sight = Sight(np.random.default_rng([seed, 2]))
        self._hands = Hands(robot, wandering(rng, 0.003 * variation))
        self._feet = Feet(robot)
        self._wish = [0.0, 0.0, self._feet.standing]
        self._steering = Steering()
        self._enable = Enable()
        self.phase = "home"
        self._script: Iterator[None] | None = None
        self._done_episode = 0
        self._engaged = False
        self._press_until = self._next = 0
        self._from = {s: q.copy() for s, q in self._hands.q.items()}
        self._feel: list[float] = [0.0, 0.0, 0.0]

    def step(self, now: int, readers: Mapping[str, StreamReader]) -> Mapping[str, Mapping[str, Sequence[float]]]:
        """What every emulated sensor shows now."""
        self._sight.look(readers[f"{self._world}/truth"].latest(), now)
        shown = readers["session/state"].latest()
        state = 0 if shown is None else int(shown.array("state"))
        if now >= self._next:  # thinks fifty times a second; in between the arms move on evenly
            self._next = max(self._next, now - THINK_NS) + THINK_NS
            self._from = {s: q.copy() for s, q in self._hands.q.items()}
            self._think(now, state == ENGAGED)
        share = min(1.0, max(0.0, 1.0 - (self._next - now) / THINK_NS))
        pose = {s: self._from[s] + share * (q - self._from[s]) for s, q in self._hands.q.items()}
        return self._values(pose, self._enable(now, state), now < self._press_until)

    def _think(self, now: int, engaged: bool) -> None:
        if engaged and not self._engaged:
            self._feet.reset()  # the cockpit begins anew
        self._engaged = engaged
        if self._sight.episode != self._done_episode and self._script is not None and self.phase != "home":
            pass
        if not engaged:
            self._feel = [0.0, 0.0, self._feet.step(DT, (0.0, 0.0, self._wish[2]))[2]]
            self._script = None
            self._wish = [0.0, 0.0, self._feet.standing]
            self._hands.go_home(DT)
            self.phase = "home"
            return
        if self._script is None and self._sight.episode > self._done_episode and self._hands.go_home(DT):
            self._script, self._press_until = self._task(), now + PRESS_NS
        if self._script is not None and next(self._script, True) is True:
            self._script, self._press_until = None, now + PRESS_NS
            self._done_episode, self.phase = self._sight.episode, "home"
        self._feel = self._feet.step(DT, self._wish)

    # --- the task -------------------------------------------------------------------------------------------------

    def _task(self) -> Iterator[None]:
        sight = self._sight
        self.phase = "walk to the shelf"
        yield from self._wait(0.5)
        yield from self._approach(lambda: sight.box, 0.0, AT_SHELF)
        self.phase = "squat"
        shelf = sight.box.copy()
        yield from self._pick()
        self.phase = "back away"
        yield from self._back_away(shelf, 0.0, CLEAR)
        self.phase = "walk to the table"
        yield from self._approach(lambda: sight.disc, np.pi / 2, AT_TABLE)
        self.phase = "set down"
        yield from self._set_down()
        self.phase = "let go"
        yield from self._let_go()

    def _wait(self, seconds: float) -> Iterator[None]:
        for _ in range(round(seconds / DT)):
            self._keep()
            yield

    def _keep(self) -> None:
        """Hands stay where they are in the walker's frame."""
        self._hands.lean = self._sight.lean
        self._hands.reach(DT)

    def _move(self, box: Callable[[], Vector], spread: float, grip: float, speed: float) -> Iterator[None]:
        """Hands to either side of where the box is, or is to be, in the walker's frame."""
        behind = np.array([-PALM_BEHIND, 0.0, GRASP_UP])
        for _ in self._hands.move(DT, lambda: box() + behind, spread, grip, speed * self._pace):
            self._hands.lean = self._sight.lean
            yield

    def _seen(self, place: Vector, direction: float, distance: float) -> Seen:
        """Where the robot will be on its line when it has done what the pedals have told it."""
        sight, feet = self._sight, self._feet
        found = on_line(sight.steady, sight.heading, place, direction, distance)
        return Seen(
            found.along - AHEAD_S * feet.speed.command, found.across, found.turned + TURN_AHEAD_S * feet.yaw.command
        )  # fmt: skip

    def _approach(self, place: Callable[[], Vector], direction: float, distance: float) -> Iterator[None]:
        """Walk along a line to a distance from a place, again from further off if it ends beside the line; stand."""
        for _ in range(TRIES):
            still = 0.0
            self._steering.begin()
            while still < STILL_S:
                seen = self._seen(place(), direction, distance)
                speed, rate = self._steering.wish(seen)
                self._wish[:2] = [self._pace * speed, rate]
                still = still + DT if (speed, rate) == (0.0, 0.0) else 0.0
                self._keep()
                yield
            if abs(seen.across) < BESIDE:
                return
            yield from self._back_away(place(), direction, distance + 0.5)

    def _back_away(self, place: Vector, direction: float, distance: float) -> Iterator[None]:
        """Backward until there is room, then stand."""
        while self._seen(place, direction, distance).along < 0.0:
            self._wish[:2] = [-BACKWARD, 0.0]
            self._keep()
            yield
        self._wish[:2] = [0.0, 0.0]
        yield from self._wait(STILL_S)

    def _pick(self) -> Iterator[None]:
        sight, hands = self._sight, self._hands
        above = np.array([0.0, 0.0, 0.16])
        yield from self._move(lambda: sight.place(sight.box) + above, OPEN, 0.0, 0.4)
        self._wish[2] = SQUAT
        yield from self._wait(1.2)
        self.phase = "grasp"
        yield from self._move(lambda: sight.place(sight.box), OPEN, 0.0, 0.3)
        yield from self._wait(0.3)
        yield from self._move(lambda: sight.place(sight.box), TOUCH, 0.0, 0.15)
        box = hands.centre.copy()
        hold = box + (PALM_BEHIND, 0.0, -GRASP_UP)
        yield from self._move(lambda: hold, PRESS, 1.0, 0.08)
        yield from self._wait(0.4)
        self.phase, hands.tilt = "lift", TILT
        yield from self._move(lambda: hold + (0.0, 0.0, 0.05), PRESS, 1.0, 0.15)
        self._wish[2] = self._feet.standing
        yield from self._move(lambda: CARRY, PRESS, 1.0, 0.12)
        yield from self._wait(0.5)

    def _set_down(self) -> Iterator[None]:
        sight = self._sight
        goal = np.array([0.0, 0.0, task.BOX[2]])
        high = np.array([0.0, 0.0, 0.06])
        self._hands.tilt = 0.0
        yield from self._move(lambda: sight.place(sight.disc) + goal + high, PRESS, 1.0, 0.15)
        yield from self._move(lambda: sight.place(sight.disc) + goal - (0.0, 0.0, 0.01), PRESS, 1.0, 0.08)
        yield from self._wait(0.4)

    def _let_go(self) -> Iterator[None]:
        here = self._hands.centre + (PALM_BEHIND, 0.0, -GRASP_UP)
        yield from self._move(lambda: here, TOUCH, 0.0, 0.1)
        yield from self._move(lambda: here, OPEN + 0.02, 0.0, 0.25)
        yield from self._wait(1.0)

    # --- what the sensors show --------------------------------------------------------------------------------------

    def _values(self, pose: Mapping[str, Vector], enable: bool, press: bool) -> dict[str, dict[str, Sequence[float]]]:
        flexion = (_OPEN + self._hands.grip * (_CLOSED - _OPEN)).tolist()
        values: dict[str, dict[str, Sequence[float]]] = {
            **{self._exos[s]: {"angle": q.tolist()} for s, q in pose.items()},
            **{glove: {"flexion": flexion} for glove in self._gloves},
            self._pedals: {"position": self._feel, "switches": [float(enable), float(press), 1.0]},
        }
        values.pop("", None)
        return values
