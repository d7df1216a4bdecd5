"""The virtual operator's feet on the real pedal map, and its steering of a robot that turns, sways and is seen late."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from telerig.drivers.operator_feet import Feet, Seen, Steering, on_line
from telerig.hardware.calibration import PedalCalibration
from telerig.hardware.embodiment import load_embodiment
from telerig.teleop.retarget.pedals import PedalMap, PedalShape

G1 = load_embodiment("g1_like")
DT = 0.02
PEDALS = PedalCalibration(("speed", "yaw", "height"), (0.0,) * 3, (1.0,) * 3)


class Driven:
    """Feet on pedals whose box is read at 100 Hz; what the base is told comes out."""

    def __init__(self) -> None:
        self.feet, self.now = Feet(G1), 0
        self.map = PedalMap(PEDALS, G1.target("robot", "base"), PedalShape())
        self.base = np.zeros(4)

    def run(self, seconds: float, *wish: float) -> np.ndarray:
        for _ in range(round(seconds / DT)):
            feel = np.array(self.feet.step(DT, wish))
            for _ in range(2):
                self.now += 10_000_000
                self.base = self.map(self.now, feel)
        return self.base


def test_what_the_feet_want_is_what_the_base_is_told() -> None:
    driven = Driven()
    for speed, yaw, height in (
        (0.3, 0.0, 0.74),
        (-0.25, 0.4, 0.74),
        (0.2, -0.5, 0.60),
        (0.0, 0.0, 0.53),
        (-0.3, 0.3, 0.74),
    ):
        vx, vy, rate, tall = driven.run(3.0, speed, yaw, height)
        np.testing.assert_allclose((vx, vy, rate, tall), (speed, 0.0, yaw, height), atol=0.01)
        np.testing.assert_allclose((driven.feet.speed.command, driven.feet.yaw.command), (vx, rate), atol=0.01)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2, 0.3])
def test_a_wish_that_lasts_shorter_than_a_tap_reverses_nothing(seconds: float) -> None:
    driven = Driven()
    driven.run(1.0, 0.0, 0.0, 0.74)
    driven.run(seconds, 0.3, 0.4, 0.74)
    driven.run(1.5, 0.0, 0.0, 0.74)
    assert driven.map.directions == (1.0, 1.0)
    assert driven.run(2.0, 0.3, 0.4, 0.74)[0] > 0.29


def test_a_press_that_may_yet_be_a_tap_commands_nothing_and_the_foot_knows() -> None:
    driven = Driven()
    driven.run(0.2, 0.0, 0.0, 0.74)
    driven.run(0.2, 0.3, 0.4, 0.74)
    assert (driven.feet.speed.command, driven.feet.yaw.command) == (0.0, 0.0)
    assert not driven.base[:3].any()


def test_near_the_end_it_walks_straight_instead_of_turning_to_the_line() -> None:
    near, far = (Steering().wish(Seen(along, 0.2, 0.0)) for along in (0.1, 1.0))
    assert near[0] > 0.0
    assert far[0] == 0.0
    assert far[1] < 0.0


def test_wishes_that_change_with_every_thought_confuse_nobody() -> None:
    driven, rng = Driven(), np.random.default_rng(1)
    for _ in range(300):
        driven.run(float(rng.choice([0.02, 0.06, 0.3, 0.7])), *rng.choice([-0.3, 0.0, 0.3], 2), 0.74)
        feet = driven.feet
        if feet.speed.command and driven.base[0]:
            assert np.sign(feet.speed.command) == np.sign(driven.base[0])
    np.testing.assert_allclose(driven.run(3.0, -0.3, 0.3, 0.74)[[0, 2]], (-0.3, 0.3), atol=0.01)


def test_a_direction_believed_wrongly_is_noticed_by_what_the_robot_does() -> None:
    driven = Driven()
    driven.run(2.0, -0.3, 0.0, 0.74)
    driven.map.reset()  # forward again, and nobody told the feet
    back = 0.0
    for _ in range(200):
        driven.run(DT, -0.3, 0.0, 0.74)
        back = min(back, driven.base[0])
        driven.feet.see(DT, DT * float(driven.base[0]), 0.0)
    assert driven.base[0] == pytest.approx(-0.3, abs=0.01)


def test_on_line() -> None:
    seen = on_line(np.array([1.0, 0.2, 0.7]), np.pi, np.array([1.1, 1.5, 0.0]), np.pi / 2, 0.4)
    np.testing.assert_allclose((seen.along, seen.across, seen.turned), (0.9, 0.1, np.pi / 2), atol=1e-9)


@pytest.mark.parametrize(("start", "direction"), [
    ((0.0, 0.0, 0.0), 0.0), ((0.0, 0.0, 0.5), 0.0), ((0.2, -0.1, -2.5), 0.0), ((1.0, -0.6, 0.2), np.pi / 2),
    ((1.7, 0.1, 0.0), 0.0),
])  # fmt: skip
def test_it_stops_before_the_place_and_faces_along_the_line(
    start: tuple[float, float, float], direction: float
) -> None:
    """The robot is seen 150 ms late, and walks at nine tenths of what it is told."""
    place = np.array([1.6, 0.05, 0.6]) if direction == 0.0 else np.array([0.9, 1.4, 0.7])
    driven, steering = Driven(), Steering()
    x, y, heading = start
    late: deque[Seen] = deque(maxlen=8)
    still = 0
    for _ in range(1500):
        late.append(on_line(np.array([x, y, 0.7]), heading, place, direction, 0.4))
        seen, feet = late[0], driven.feet
        seen = Seen(seen.along - 0.25 * feet.speed.command, seen.across, seen.turned + 0.4 * feet.yaw.command)
        wish = steering.wish(seen)
        base = driven.run(DT, *wish, 0.74)
        heading += DT * base[2]
        x, y = x + 0.9 * DT * base[0] * np.cos(heading), y + 0.9 * DT * base[0] * np.sin(heading)
        still = still + 1 if wish == (0.0, 0.0) else 0
        if still == 40:
            break
    end = on_line(np.array([x, y, 0.7]), heading, place, direction, 0.4)
    assert still == 40
    assert abs(end.along) < 0.06
    assert abs(end.turned) < 0.17
    assert abs(end.across) < (0.08 if abs(start[2]) < 2 and start[0] < 1.5 else 0.2)


def test_backward_it_asks_for_what_moves_the_robot() -> None:
    """At 0.15 m/s backward a robot steps on the spot: one that overshot the table stood there until it lost the box."""
    steering = Steering()
    speed, _ = steering.wish(Seen(-0.06, 0.0, 0.0))
    assert speed == -steering.back <= -0.25
    speed, _ = steering.wish(Seen(0.06, 0.0, 0.0))
    assert speed == steering.speeds[0]
