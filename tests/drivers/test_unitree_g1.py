"""The G1's driver against an emulated robot, both in virtual time: which motor moves, and what is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from telerig.drivers.unitree_g1 import dds
from telerig.drivers.unitree_g1.commander import Stance
from telerig.drivers.unitree_g1.motors import BODY, gains, hand_joints
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.errors import CommandRefused, DeviceLost
from telerig.hardware.samples import round_trip
from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg

from .unitree_pair import LOAD, MS, Pair, opened, reach

# Unitree's G1 joint index, as published (unitree_sdk2_python, g1_low_level_example.py).
PUBLISHED = {
    0: "left_hip_pitch", 3: "left_knee", 5: "left_ankle_roll", 6: "right_hip_pitch", 9: "right_knee", 11: "right_ankle_roll",
    12: "waist_yaw", 13: "waist_roll", 14: "waist_pitch", 15: "left_shoulder_pitch", 18: "left_elbow", 19: "left_wrist_roll",
    21: "left_wrist_yaw", 22: "right_shoulder_pitch", 25: "right_elbow", 26: "right_wrist_roll", 28: "right_wrist_yaw",
}  # fmt: skip


def test_slots_are_the_published_ones() -> None:
    assert len(BODY) == 29
    assert {k: BODY[k].removesuffix("_joint") for k in PUBLISHED} == PUBLISHED
    assert hand_joints("left")[3:5] == ("left_hand_middle_0_joint", "left_hand_middle_1_joint")
    assert hand_joints("right")[3:5] == ("right_hand_index_0_joint", "right_hand_index_1_joint")
    assert hand_joints("right", ("thumb", "middle", "index"))[3] == "right_hand_middle_0_joint"


def test_every_joint_goes_where_it_is_told() -> None:
    """Goals by telerig's names arrive at motors of those names, on body and hands, and are measured back."""
    pair = opened()
    goal = reach(pair)
    samples = pair.run(1200, goal)
    found = [s for s in samples if s.stream == "robot/state"][-1].array("position")
    np.testing.assert_allclose(found, pair.puppet.of(pair.target.names), atol=1e-6)
    np.testing.assert_allclose(found, goal, atol=LOAD / 40.0)
    assert not pair.puppet.firmware.refused
    assert pair.events == []


def test_other_fingers_can_be_said() -> None:
    pair = opened(right_fingers=("thumb", "middle", "index"))
    pair.run(500, reach(pair))
    (first,) = [k for k, j in enumerate(pair.target.names) if j == "right_hand_middle_0_joint"]
    sent = cdr.decode_hand_cmd(pair.near.sent[dds.HAND_CMD["right"]][-1])
    assert sent["q"][3] == pytest.approx(reach(pair)[first])


def test_legs_are_held_where_they_were_found_or_left_damped() -> None:
    pair = opened()
    pair.puppet.q[:12] = 0.1
    pair.run(10)
    pair.run(600, reach(pair))
    assert (pair.last["motor"]["kp"][:29] > 0).all()
    np.testing.assert_allclose(pair.last["motor"]["q"][:12], 0.1, atol=0.02)
    pair = opened(legs="damp")
    pair.run(600, reach(pair))
    motors = pair.last["motor"]
    assert (motors["kp"][:15] == 0).all()
    assert (motors["tau"][:15] == 0).all()
    assert (motors["kd"][:15] >= 2).all()
    assert (motors["kp"][15:29] > 0).all()
    pair.robot.hold()
    pair.run(100)
    assert (pair.last["motor"]["kp"][:15] == 0).all()


def test_without_hands_its_fingers_are_no_joints() -> None:
    pair = Pair(hands=False)
    pair.puppet.hands = False
    pair.open()
    assert pair.target.size == 14
    pair.run(100, reach(pair))
    assert set(pair.near.sent) == {dds.LOW_CMD}


def test_nothing_is_sent_before_the_first_command() -> None:
    pair = opened()
    pair.run(300)
    assert pair.near.sent == {}
    assert pair.puppet.firmware.damped
    pair.robot.close()
    assert pair.near.sent == {}


def test_a_message_a_period_whatever_the_loop_does() -> None:
    """Goals come every 4 ms, messages go every 2 ms, to the hands every 4 ms; all are in order for the robot."""
    pair = opened()
    pair.run(200, reach(pair))
    assert len(pair.near.sent[dds.LOW_CMD]) == 100
    assert pair.puppet.firmware.taken == 99  # the last is on its way
    assert len(pair.near.sent[dds.HAND_CMD["left"]]) == 50
    modes = cdr.decode_hand_cmd(pair.near.sent[dds.HAND_CMD["left"]][-1])["mode"]
    assert [hg.hand_mode_parts(int(m)) for m in modes] == [(k, 1, True) for k in range(7)]
    assert int(pair.last["mode_machine"]) == 5
    assert pair.last["motor"]["mode"].tolist() == [1] * 29 + [0] * 6


def test_gains_come_from_the_rig() -> None:
    pair = opened(gains={"shoulder": (33.0, 2.5)})
    pair.run(20, reach(pair))
    assert pair.last["motor"]["kp"][15:18].tolist() == [33.0] * 3
    assert pair.last["motor"]["kd"][22:25].tolist() == [2.5] * 3
    assert pair.last["motor"]["kp"][18] == gains(BODY, {})[18, 0]


def test_a_hold_stays_and_does_not_sag() -> None:
    """Position servos hang under their load; a hold keeps what is measured, pushing against what it felt."""
    pair = opened()
    pair.run(1500, reach(pair))
    before = pair.puppet.q.copy()
    pair.robot.hold()
    pair.run(1000)
    np.testing.assert_allclose(pair.puppet.q, before, atol=2e-3)
    pair.robot.hold()
    pair.run(500)
    np.testing.assert_allclose(pair.puppet.q, before, atol=2e-3)
    np.testing.assert_allclose(pair.last["motor"]["tau"][15:29], pair.puppet.load[15:29], atol=0.1)


def test_a_hold_in_full_motion_brakes() -> None:
    pair = opened()
    pair.run(500, np.clip(np.zeros(28), pair.target.low, pair.target.high))
    pair.run(60, np.clip(np.full(28, 0.8), pair.target.low, pair.target.high))
    assert np.abs(pair.puppet.dq).max() > 1.0
    pair.robot.hold()
    pair.run(250)
    assert np.abs(pair.puppet.dq).max() < 0.05


def test_damping_has_no_position_and_no_torque() -> None:
    pair = opened()
    pair.run(300, reach(pair))
    pair.robot.damp()
    pair.run(20)
    motors = pair.last["motor"][:29]
    assert (motors["kp"] == 0).all()
    assert (motors["tau"] == 0).all()
    assert (motors["kd"] > 0).all()
    assert (motors["mode"] == 1).all()


def test_closing_damps_then_switches_off() -> None:
    pair = opened()
    pair.run(300, reach(pair))
    pair.robot.close()
    assert pair.near.closed
    kinds = [(int(m["mode"][20]), float(m["kp"][20])) for m in
             (cdr.decode_low_cmd(d)["motor"] for d in pair.near.sent[dds.LOW_CMD])][-5:]  # fmt: skip
    assert kinds == [(0, 0.0)] * 5
    pair.beat()
    motion = pair.puppet.firmware.motion(pair.clock.now() + 10_000 * MS)
    assert not motion.kd.any()  # off is off: silence afterwards does not switch anything on
    with pytest.raises(DeviceLost, match="not open"):
        pair.robot.hold()
    pair.robot.close()


def test_commands_that_are_not_for_it() -> None:
    pair = opened()
    now = pair.clock.now()

    def command(target: str, mode: Mode, data: Any) -> Command:
        return Command(1, target, mode, np.asarray(data, float), Source.OPERATOR, now, (now, now))

    name = pair.target.name
    for bad, text in (
        (command("robot/base", Mode.BASE_VELOCITY_HEIGHT, [0.0] * 4), "no target 'robot/base'"),
        (command(name, Mode.JOINT_TORQUE, [0.0] * 28), "takes joint_position, hold and damp, not joint_torque"),
        (command(name, Mode.JOINT_POSITION, [0.0] * 27), "28 finite values expected"),
        (command(name, Mode.JOINT_POSITION, [float("nan")] * 28), "28 finite values expected"),
    ):
        with pytest.raises(CommandRefused, match=text):
            pair.robot.send(bad)
    pair.robot.send(command(name, Mode.HOLD, []))
    assert pair.robot.link.commander.stance is Stance.HOLD
    pair.robot.send(command(name, Mode.DAMP, []))
    assert pair.robot.link.commander.stance is Stance.DAMP


def test_goals_stay_inside_the_limits() -> None:
    pair = opened()
    pair.run(20, np.full(28, 9.0))
    (k,) = [k for k, j in enumerate(pair.target.names) if j == "left_elbow_joint"]
    assert pair.last["motor"]["q"][18] == pytest.approx(pair.target.high[k])


def test_samples_fit_their_streams() -> None:
    pair = opened()
    samples = pair.run(40, reach(pair))
    specs = {s.name: s for s in pair.robot.streams}
    for sample in samples:
        round_trip(sample, specs[sample.stream])
    low = [s for s in samples if s.stream == "robot/lowstate"]
    assert len(low) == len(samples) // 2 == 22  # two from before
    assert np.diff([s.t_device for s in low if s.t_device is not None]).tolist() == [2 * MS] * 21
    assert low[-1].array("temperature").min() >= 30
    np.testing.assert_allclose(low[-1].array("acceleration"), [0, 0, 9.81], atol=1e-5)
