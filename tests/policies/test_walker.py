"""The humanoid on its own feet in virtual time: it rises, engages, stands, and goes down at the end.

The policy is a stiff stance, so that nothing here depends on how well anything has learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.commands import Mode
from telerig.hardware.errors import ConfigError, DeviceIdentityError
from telerig.hardware.legs import Balance, LegMode
from telerig.teleop.body_rig import body_rig
from telerig.teleop.live import recorded_streams
from telerig.teleop.states import State
from telerig.teleop.virtual import VirtualSession

from .walker import Walker, firmware, standing, walking_rig

pytest.importorskip("onnxruntime")


@pytest.fixture
def walker(tmp_path: Path) -> Iterator[Walker]:
    made = Walker(tmp_path)
    with made.session:
        yield made


@pytest.fixture
def engaged(tmp_path: Path) -> Iterator[Walker]:
    with standing(tmp_path) as walker:
        yield walker


def test_legs_stay_limp_until_enable_is_pressed_and_rise_with_ramped_gains(walker: Walker) -> None:
    walker.run(0.2, State.IDLE)
    walker.run(1.0)
    assert walker.state is Balance.LIMP
    assert firmware(walker).leg_mode is LegMode.DAMP
    assert walker.plant.rope == 1.0
    walker.gains.clear()
    walker.press()
    walker.run(3.0, Balance.SETTLING)
    gains = np.array(walker.gains)
    assert (np.diff(gains) >= 0).all()
    assert np.diff(gains).max() < 0.02  # 2 s, 50 a second
    assert gains[0] == 0.0
    assert gains[-1] == 1.0
    assert walker.run(2.0, State.ENGAGED) is State.ENGAGED
    assert walker.state is Balance.BALANCING


def test_enable_released_while_rising_lets_go(walker: Walker) -> None:
    walker.run(0.2, State.IDLE)
    walker.press()
    walker.run(1.5)
    assert walker.state is Balance.RISING
    walker.feet.enable = False
    walker.run(0.2)
    assert walker.state is Balance.LIMP
    assert firmware(walker).leg_mode is LegMode.DAMP


def test_it_stands_by_itself_and_goes_on_standing_when_held_and_damped(engaged: Walker) -> None:
    engaged.feet.enable = False
    assert engaged.run(1.5, State.DAMPED) is State.DAMPED
    engaged.run(1.0)
    assert engaged.mode("upper") == Mode.DAMP
    assert engaged.mode("base") == Mode.BASE_VELOCITY_HEIGHT
    assert engaged.state is Balance.BALANCING
    assert engaged.height > 0.70


def test_height_follows_the_pedal(engaged: Walker) -> None:
    before = engaged.height
    engaged.feet.position = [0.0, 0.0, 0.2]
    engaged.run(2.5)
    wish = engaged.body._wish[3]
    assert wish < 0.70
    assert engaged.state is Balance.BALANCING
    assert engaged.height == pytest.approx(wish, abs=0.05)  # nothing here corrects what the legs give under the weight
    assert engaged.height < before - 0.03


def test_at_the_end_it_goes_down_and_is_damped(engaged: Walker) -> None:
    engaged.body.lower(engaged.session.clock.now())
    engaged.run(2.0, Balance.LIMP)
    assert engaged.state is Balance.LIMP
    assert min(w[3] for w in engaged.wishes) == pytest.approx(engaged.body._drive.heights[0], abs=0.01)


def test_without_a_gantry_a_robot_on_the_floor_is_not_engaged(tmp_path: Path) -> None:
    walker = Walker(tmp_path, {"gantry": "none"})
    with walker.session:
        walker.run(3.0)
        assert walker.height < 0.6
        walker.press()
        walker.run(1.0)
        assert walker.state is Balance.LIMP
        assert walker.session.loop.status.state is State.MATCHING


def test_arms_slow_down_as_tilt_grows(engaged: Walker) -> None:
    assert engaged.session.loop.shaper.calm == 1.0
    rig = body_rig(engaged.session.rig)
    assert rig is not None
    calm = [rig.calm(np.radians(d)) for d in (0, 12, 21, 30, 80)]
    assert calm == pytest.approx([1.0, 1.0, 0.6, 0.2, 0.2])
    assert rig.calm(float("nan")) == 0.2
    engaged.plant.data.qvel[0] += 2.5
    least = []
    for _ in range(200):
        engaged.session.step()
        least.append(engaged.session.loop.shaper.calm)
        if engaged.state is Balance.FALLEN:
            break
    assert min(least) < 0.5


def test_every_leg_target_is_within_limits_and_on_a_stream_that_is_recorded(engaged: Walker) -> None:
    session, legs = engaged.session, engaged.session.devices["robot"].legs
    assert "robot/balance" in recorded_streams(session.rig, session.plans, list(session.readers))
    tap = session.readers["robot/balance"].tap(0)
    engaged.feet.position = [1.0, 0.0, 0.0]
    engaged.run(0.5)
    found = np.array([s.array("target") for s in tap.read()[0]])
    assert len(found) >= 24  # 50 a second
    assert ((found >= np.array(legs.low)) & (found <= np.array(legs.high))).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body": {}}, r"add \[body\] device = 'robot'"),
        ({"body": {"device": "world", "policy": "x"}}, "'world' does not stand on its own feet"),
        ({"body": {"device": "robot"}}, "body.policy"),
        ({"body": {"device": "robot", "policy": "x", "fall_deg": 100.0}}, "fall_deg"),
        ({"body": {"device": "robot", "policy": "x", "rise": 1.0}}, "body.rise"),
    ],
)
def test_a_wrong_body_is_one_line(tmp_path: Path, change, words) -> None:
    import dataclasses

    rig = walking_rig(tmp_path)
    rig = dataclasses.replace(rig, file=rig.file.model_copy(update=change))
    with pytest.raises(ConfigError, match=words):
        body_rig(rig)


def test_an_unknown_policy_is_told_before_anything_runs(tmp_path: Path) -> None:
    from telerig.teleop.live import LiveOptions, build

    rig = walking_rig(tmp_path, policy="nobody")
    with pytest.raises(ConfigError, match="body policy 'nobody' is unknown"):
        build(rig, tmp_path, LiveOptions())
    with pytest.raises(ConfigError, match="body policy 'nobody' is unknown"):
        VirtualSession(rig, {"factory": "telerig.teleop.cockpit_build:build"})


def test_a_world_that_holds_the_pelvis_is_refused(tmp_path: Path) -> None:
    walker = Walker(tmp_path, {"hold_pelvis": True})
    with walker.session, pytest.raises(DeviceIdentityError, match="hold_pelvis = false"):
        walker.run(0.1)
