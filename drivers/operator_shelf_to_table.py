"""A virtual operator who wears the emulated cockpit, walks to the shelf, and carries the box to the table.

It moves the emulated exoskeletons, gloves and pedals, never the robot, and steers by what it sees: box, disc and pelvis,
150 ms late and 3 mm (0.01 rad) wrong.  It presses enable, waits to be engaged, taps *episode*, walks up to the box, squats,
presses its palms against its sides, stands up, backs away, turns, walks to the table, sets it down, lets go, taps again.
Where it cannot get to stand in front of the box it leaves it alone, and ends the episode.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.operator_feet import Feet, Seen, Steering, on_line
from telerig.drivers.operator_habits import ENGAGED, PRESS_NS, THINK_NS, Enable
from telerig.drivers.operator_hands import Hands
from telerig.drivers.operator_motion import wandering
from telerig.drivers.operator_sight import Sight
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.protocols import StreamReader
from telerig.hardware.wire.messages import GLOVE_JOINTS
from telerig.hardware.worlds import shelf_to_table as task

Vector = NDArray[np.float64]
DT = THINK_NS / 1e9
DONE = object()
AHEAD_S, TURN_AHEAD_S = 0.25, 0.4  # what is seen is old, and a robot does not stop at once: the operator allows for it
SPEED_S = 0.3  # over which a speed is seen
LEAN_S, SWAY_S = 0.1, 2.0  # over which a lean is followed, standing and walking
AT_SHELF, AT_TABLE = 0.38, 0.375  # m, pelvis to the box or the disc
CLEAR = 0.55  # m, pelvis to the shelf's box: far enough to turn
SQUAT = 0.53  # m
BESIDE_SHELF, BESIDE_TABLE = 0.12, 0.17  # m beside the line to the box or the disc that arms make good for
BACKWARD = 0.25  # m/s
LOOK_S = 1.5  # at a new scene, before it begins: the robot may not be put back yet
TRIES, STILL_S = 3, 0.8  # approaches; standing, before it is one
FURTHER = 0.6  # m, back before the next
REACH_OUT, FURTHEST = 0.13, 0.41  # m to the side, and ahead, that arms go with the box
TILT = 0.25  # rad, fingers up while it carries
PALM_BEHIND = 0.064  # m: thumbs stay in front of the box, so palms hold its nearer half
OPEN, TOUCH, PRESS = 0.17, 0.083, 0.066  # m, half of what is between the palm frames: wide, at the sides, pressing
GRASP_UP = 0.005  # m, palms above the box's middle, well below its lid
CARRY = np.array([0.36, 0.0, 0.20])  # the box, in the walker's frame
CURL = {"index_flexion": 0.12, "middle_flexion": 0.12}  # fingers bent onto the sides; the thumb stays out of the way
_GRIP = np.array([-PALM_BEHIND, 0.0, GRASP_UP])  # the palms' middle, from the box's
_CLOSED = np.array([0.5 if "abduction" in j else CURL.get(j, 0.0) for j in GLOVE_JOINTS])
_OPEN = np.array([0.5 if "abduction" in j else 0.0 for j in GLOVE_JOINTS])


class ShelfToTableOperator:
    """See the module.  ``step`` once a tick, at about 100 Hz.

    :param world: the simulated world's device;  ``exo_right`` …: the devices it wears.
    :param variation: 0 for a machine-like operator, 1 for a person's unevenness in speed, path and grasp.
    :ivar phase: what it is at, in words.
    :raises ConfigError: an embodiment that does not walk.
    """

    limit_s = task.TIME_LIMIT_S
    sees = ("object", "target", "pelvis")

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
        self._script: Iterator[object] | None = None
        self._episode = self._done_episode = self._shown = self._shown_since = 0
        self._engaged = False
        self._press_until = self._next = 0
        self._from = {s: q.copy() for s, q in self._hands.q.items()}
        self._was: tuple[Vector, float] = (np.zeros(3), 0.0)
        self._going = 0.0  # m/s ahead, as it is seen
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
        """While the robot does not follow, time stands still; a new scene ends what was begun in the last one."""
        if engaged and not self._engaged:
            self._feet.reset()  # the cockpit begins anew
        self._engaged = engaged
        if self._sight.episode != self._shown:
            self._shown, self._shown_since = self._sight.episode, now
        if self._script is None or self._sight.episode != self._episode:
            ready = self._rest() and now - self._shown_since > LOOK_S * 1e9
            if engaged and ready and self._sight.episode > self._done_episode:
                self._script, self._press_until = self._task(), now + PRESS_NS
                self._episode = self._sight.episode
        elif engaged and next(self._script, DONE) is DONE:
            self._rest()
            self._press_until, self._done_episode = now + PRESS_NS, self._episode
        ahead, turned = self._went()
        self._feet.see(DT, ahead, turned)
        self._going += (ahead / DT - self._going) * DT / SPEED_S
        self._feel = self._feet.step(DT, self._wish if engaged else (0.0, 0.0, self._wish[2]))

    def _rest(self) -> bool:
        """Stand, arms home; whether they are."""
        self._script, self.phase = None, "home"
        self._wish = [0.0, 0.0, self._feet.standing]
        return self._hands.go_home(DT)

    def _went(self) -> tuple[float, float]:
        """How far the robot came since the last thought: m ahead, rad to the left."""
        sight, (place, heading) = self._sight, self._was
        self._was = (sight.pelvis.copy(), sight.heading)
        ahead = (sight.pelvis - place) @ (np.cos(heading), np.sin(heading), 0.0)
        return float(ahead), float((sight.heading - heading + np.pi) % (2 * np.pi) - np.pi)

    # --- the task -------------------------------------------------------------------------------------------------

    def _task(self) -> Iterator[None]:
        sight = self._sight
        self.phase = "walk to the shelf"
        yield from self._wait(0.5)
        if not (yield from self._approach(lambda: sight.box, 0.0, AT_SHELF, 0.16, BESIDE_SHELF)):
            return  # from here it would reach past the box, and push it off the shelf
        shelf = sight.box.copy()
        yield from self._pick()
        self.phase = "back away"
        yield from self._back_away(shelf, 0.0, CLEAR)
        self.phase = "walk to the table"
        # beside the disc or not: it has the box in its hands, and the table in front of it
        yield from self._approach(lambda: sight.disc, np.pi / 2, AT_TABLE, 0.35, BESIDE_TABLE)
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
        self._lean()
        self._hands.reach(DT)

    def _lean(self) -> None:
        """Hands go with the walker's lean; its sway in a stride is seen too late to be made good for: arms would rub the box."""
        walks = self._feet.speed.command != 0.0 or self._feet.yaw.command != 0.0
        share = DT / (SWAY_S if walks else LEAN_S)
        self._hands.lean = self._hands.lean + share * (self._sight.lean - self._hands.lean)

    def _move(self, box: Callable[[], Vector], spread: float, grip: float, speed: float) -> Iterator[None]:
        """Hands to either side of where the box is, or is to be, in the walker's frame."""
        for _ in self._hands.move(DT, lambda: box() + _GRIP, spread, grip, speed * self._pace):
            self._lean()
            yield

    def _seen(self, place: Vector, direction: float, distance: float) -> Seen:
        """Where the robot will be on its line when it has come to rest, if the feet let go now."""
        sight, feet = self._sight, self._feet
        found = on_line(sight.steady, sight.heading, place, direction, distance)
        return Seen(
            found.along - AHEAD_S * self._going, found.across, found.turned + TURN_AHEAD_S * feet.yaw.command
        )  # fmt: skip

    def _approach(
        self, place: Callable[[], Vector], direction: float, distance: float, align: float, beside: float
    ) -> Generator[None, None, bool]:
        """Walk along a line to a distance from a place, and stand there; whether near enough to the line.

        :param align: rad from the line's direction that is good enough;  ``beside``: m from the line that the arms make
            good for; with more it tries again from further off, and after the last time stays where it is.
        """
        for again in reversed(range(TRIES)):
            still = 0.0
            self._steering.begin(align)
            while still < STILL_S:
                seen = self._seen(place(), direction, distance)
                speed, rate = self._steering.wish(seen)
                self._wish[:2] = [self._pace * speed, rate]
                still = still + DT if (speed, rate) == (0.0, 0.0) else 0.0
                self._keep()
                yield
            if abs(seen.across) < beside:
                return True
            if again:
                yield from self._back_away(place(), direction, distance + FURTHER)
        return False

    def _back_away(self, place: Vector, direction: float, distance: float) -> Iterator[None]:
        """Backward until there is room, then stand."""
        while self._seen(place, direction, distance).along < 0.0:
            self._wish[:2] = [-BACKWARD, 0.0]
            self._keep()
            yield
        self._wish[:2] = [0.0, 0.0]
        yield from self._wait(STILL_S)

    def _box(self) -> Vector:
        """The box, in the walker's frame, as it is seen."""
        return self._sight.place(self._sight.box)

    def _held(self) -> Vector:
        """The box, where it is between the palms."""
        held: Vector = self._hands.centre - _GRIP
        return held

    def _pick(self) -> Iterator[None]:
        self.phase = "squat"
        yield from self._move(lambda: self._box() + _up(0.16), OPEN, 0.0, 0.4)
        self._wish[2] = SQUAT
        yield from self._wait(1.2)
        self.phase = "grasp"
        yield from self._move(self._box, OPEN, 0.0, 0.3)
        yield from self._wait(0.3)
        yield from self._move(self._box, TOUCH, 0.0, 0.15)
        held = self._held()
        yield from self._move(lambda: held, PRESS, 1.0, 0.08)
        yield from self._wait(0.4)
        self.phase, self._hands.tilt = "lift", TILT
        yield from self._move(lambda: held + _up(0.05), PRESS, 1.0, 0.15)
        self._wish[2] = self._feet.standing
        yield from self._move(lambda: CARRY, PRESS, 1.0, 0.12)
        yield from self._wait(0.5)

    def _set_down(self) -> Iterator[None]:
        self._hands.tilt = 0.0
        yield from self._move(lambda: self._disc(0.06), PRESS, 1.0, 0.15)
        yield from self._move(lambda: self._disc(-0.01), PRESS, 1.0, 0.08)
        yield from self._wait(0.4)

    def _disc(self, above: float) -> Vector:
        """Where the box is to go, in the walker's frame, as near to the disc as arms reach."""
        at = self._sight.place(self._sight.disc) + _up(task.BOX[2] + above)
        return np.array([min(at[0], FURTHEST), np.clip(at[1], -REACH_OUT, REACH_OUT), at[2]])

    def _let_go(self) -> Iterator[None]:
        held = self._held()
        yield from self._move(lambda: held, TOUCH, 0.0, 0.1)
        yield from self._move(lambda: held, OPEN + 0.02, 0.0, 0.25)
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


def _up(z: float) -> Vector:
    return np.array([0.0, 0.0, z])
