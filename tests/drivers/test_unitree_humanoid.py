"""The G1 on its own feet: what the legs are sent, and that arms and legs let go of each other's troubles or share them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from telerig.drivers.unitree_g1.commander import Stance
from telerig.drivers.unitree_g1.humanoid import UnitreeG1Humanoid
from telerig.hardware.commands import Mode
from telerig.hardware.errors import CommandRefused, DeviceLost
from telerig.hardware.legs import LegCommand, LegMode
from telerig.hardware.samples import round_trip

from .test_unitree_emulator import Body
from .unitree_pair import Pair

WAIST_ROLL = 13


def opened(**more: Any) -> Pair:
    return Pair(driver=UnitreeG1Humanoid, **more).open()


def legs(pair: Pair, ms: float, goal: Any, kp: float = 80.0) -> list[Any]:
    """A target for the legs every 20 ms, as a policy gives them."""
    n = len(pair.robot.legs.joints)
    found = []
    for _ in range(round(ms / 20)):
        pair.robot.send_legs(LegCommand(np.asarray(goal, float), np.full(n, kp), np.full(n, 2.0), True))
        found += pair.run(20)
    return found


def home(pair: Pair) -> np.ndarray[Any, Any]:
    return np.array(pair.robot.legs.home)


def test_targets_are_the_arms_and_the_base() -> None:
    pair = opened()
    assert [(t.name, t.mode) for t in pair.robot.targets] == [
        ("robot/upper", Mode.JOINT_POSITION),
        ("robot/base", Mode.BASE_VELOCITY_HEIGHT),
    ]
    assert len(pair.robot.legs.joints) == 13


def test_legs_follow_while_arms_are_damped() -> None:
    pair = opened()
    samples = legs(pair, 1000, home(pair))
    assert not pair.last["motor"]["kp"][15:29].any()
    assert (pair.last["motor"]["kp"][:13] == 80).all()
    body = [s for s in samples if s.stream == "robot/body"][-1]
    np.testing.assert_allclose(body.array("position"), pair.puppet.of(pair.robot.legs.joints), atol=1e-6)
    np.testing.assert_allclose(body.array("position"), home(pair), atol=0.05)
    assert int(body.array("mode")) == LegMode.FOLLOW
    round_trip(body, {s.name: s for s in pair.robot.streams}[body.stream])


def test_arms_hold_and_damp_without_the_legs() -> None:
    pair = opened()
    pair.robot.hold()
    legs(pair, 300, home(pair))
    pair.robot.damp()
    legs(pair, 40, home(pair))
    assert (pair.last["motor"]["kp"][:13] == 80).all()
    assert not pair.last["motor"]["kp"][15:29].any()
    pair.robot.hold()
    pair.robot.damp_legs()
    pair.run(20)
    assert not pair.last["motor"]["kp"][:15].any()
    assert (pair.last["motor"]["kd"][:15] >= 2).all()
    assert (pair.last["motor"]["kp"][15:29] > 0).all()


def test_rigid_joints_are_brought_home_slowly() -> None:
    pair = opened()
    pair.puppet.q[WAIST_ROLL] = 0.2
    pair.run(4)
    legs(pair, 200, home(pair))
    assert pair.last["motor"]["q"][WAIST_ROLL] == pytest.approx(0.2 - 0.3 * 0.2, abs=0.01)
    assert pair.last["motor"]["kp"][WAIST_ROLL] == 200
    legs(pair, 700, home(pair))
    assert pair.last["motor"]["q"][WAIST_ROLL] == 0.0


def test_a_supervisor_that_is_gone_leaves_damped_legs() -> None:
    pair = opened()
    legs(pair, 200, home(pair))
    pair.run(960)
    assert (pair.last["motor"]["kp"][:13] == 80).all()
    pair.run(60)
    assert not pair.last["motor"]["kp"][:29].any()
    assert any("no target for the legs for 1000 ms" in e.text for e in pair.events)


def test_what_the_robot_itself_says_is_about_everything() -> None:
    pair = opened()
    pair.robot.hold()
    legs(pair, 200, home(pair))
    pair.puppet.firmware.press("L2", "B")
    pair.run(4)
    assert not pair.last["motor"]["kp"].any()
    with pytest.raises(CommandRefused, match="stopped by its remote control"):
        legs(pair, 20, home(pair))
    pair.puppet.firmware.press()
    pair.run(4)
    legs(pair, 40, home(pair))
    pair.puppet.firmware.fault("silent")
    pair.run(110)
    assert not pair.last["motor"]["kp"].any()
    with pytest.raises(CommandRefused, match="state is not known"):
        legs(pair, 20, home(pair))


def test_a_silent_hand_is_told_of_and_the_robot_stands_on() -> None:
    pair = opened()
    pair.robot.hold()
    legs(pair, 100, home(pair))
    goal = np.array([s for s in pair.run(2) if s.stream == "robot/state"][-1].array("position"))
    pair.send(goal)
    pair.puppet.hands = False
    samples = legs(pair, 2000, home(pair))
    assert pair.codes.count("robot.hand_silent") == 2  # each hand once
    state = [s for s in samples if s.stream == "robot/state"][-1]
    fingers = np.array(["_hand_" in j for j in pair.target.names])
    assert np.isnan(state.array("position")[fingers]).all()
    assert np.isfinite(state.array("position")[~fingers]).all()
    pair.robot.hold()
    with pytest.raises(CommandRefused, match="silent: its left and right hand"):
        pair.send(goal)
    legs(pair, 100, home(pair))
    assert (pair.last["motor"]["kp"][:13] == 80).all()
    assert (pair.last["motor"]["kp"][15:29] > 0).all()
    pair.robot.damp()
    legs(pair, 100, home(pair))
    assert (pair.last["motor"]["kp"][:13] == 80).all()
    pair.puppet.hands = True
    legs(pair, 100, home(pair))
    assert pair.codes.count("robot.hand_back") == 2
    pair.send(goal)
    pair.puppet.firmware.fault("silent")  # the robot's own silence is another matter
    with pytest.raises(DeviceLost, match="nothing heard of the robot"):
        pair.run(600)


def test_no_target_for_the_legs_slips_in_behind_the_stop_button() -> None:
    """As soon as the lock is free, from whatever thread."""
    pair = opened()
    link, heard = pair.robot.link, list[str]()

    class Lock:
        inner = link._lock

        def __enter__(self) -> None:
            self.inner.acquire()

        def __exit__(self, *_: object) -> None:
            self.inner.release()
            if link.legs.mode is LegMode.DAMP and not heard:
                heard.append("")  # once
                try:
                    legs(pair, 20, home(pair))
                except CommandRefused as error:
                    heard[0] = str(error)

    legs(pair, 100, home(pair))
    link._lock = Lock()
    pair.puppet.firmware.press("L2", "B")
    pair.run(4)
    assert "stopped by its remote control" in heard[0]


def test_closing_lets_go_of_the_legs_too() -> None:
    pair = opened()
    legs(pair, 100, home(pair))
    assert pair.robot.link.commander.stance is Stance.SILENT
    pair.robot.close()
    pair.beat()
    assert not pair.puppet.firmware._enabled.any()


@pytest.mark.parametrize(
    ("position", "kp"),
    [(np.full(12, 0.0), 80.0), (np.full(13, np.nan), 80.0), (np.zeros(13), -1.0), (np.zeros(13), np.inf)],
)
def test_wrong_targets_are_refused(position: Any, kp: float) -> None:
    pair = opened()
    with pytest.raises(CommandRefused, match="13 finite targets and gains"):
        pair.robot.send_legs(LegCommand(position, np.full(13, kp), np.full(13, 1.0), False))


@pytest.mark.parametrize(
    ("kp", "kd", "said"), [(501.0, 1.0, "kp of left_knee_joint is 501"), (1.0, 21.0, "at most 20")]
)
def test_gains_beyond_the_motors_are_refused(kp: float, kd: float, said: str) -> None:
    pair = opened()
    gains = np.full((2, 13), [[500.0], [20.0]])
    pair.robot.send_legs(LegCommand(home(pair), *gains, False))
    gains[:, 3] = kp, kd
    with pytest.raises(CommandRefused, match=said):
        pair.robot.send_legs(LegCommand(home(pair), *gains, False))


def test_in_the_gantry_it_is_let_down_once_its_legs_are_stiff() -> None:
    pytest.importorskip("mujoco")
    pair = opened(robot=lambda end, clock: Body(end, clock, hold_pelvis=False))
    plant = pair.puppet.world._plant
    pair.run(200)
    assert plant.rope == 1.0
    samples = legs(pair, 2600, home(pair), 150.0)
    assert plant.rope == 1.0
    body = [s for s in samples if s.stream == "robot/body"][-1]
    assert body.array("attitude")[0] > 0.99
    np.testing.assert_allclose(body.array("position"), home(pair), atol=0.1)
    legs(pair, 1600, home(pair), 150.0)
    assert plant.rope == 0.0
    assert plant.data.qpos[2] > 0.6  # it stands on what its legs hold, for a moment
    assert pair.puppet.samples[-1].array("pelvis")[2] == pytest.approx(plant.data.qpos[2], abs=0.01)
