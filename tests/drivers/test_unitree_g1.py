"""The G1's driver against an emulated robot, both in virtual time: what is sent, believed, refused, and when it lets go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from telerig.drivers.unitree_g1 import dds
from telerig.drivers.unitree_g1.commander import Commander, Limits, Stance
from telerig.drivers.unitree_g1.motors import BODY, gains, hand_joints
from telerig.drivers.unitree_g1.robot import UnitreeG1
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.errors import CommandRefused, ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import round_trip
from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg

from .unitree_pair import LOAD, MS, PERIOD, Pair

# Unitree's G1 joint index, as published (unitree_sdk2_python, g1_low_level_example.py).
PUBLISHED = {
    0: "left_hip_pitch", 3: "left_knee", 5: "left_ankle_roll", 6: "right_hip_pitch", 9: "right_knee", 11: "right_ankle_roll",
    12: "waist_yaw", 13: "waist_roll", 14: "waist_pitch", 15: "left_shoulder_pitch", 18: "left_elbow", 19: "left_wrist_roll",
    21: "left_wrist_yaw", 22: "right_shoulder_pitch", 25: "right_elbow", 26: "right_wrist_roll", 28: "right_wrist_yaw",
}  # fmt: skip


def opened(**config: Any) -> Pair:
    return Pair(**config).open()


def reach(pair: Pair) -> np.ndarray[Any, Any]:
    """A goal that differs for every joint, inside its limits."""
    low, high = np.array(pair.target.low), np.array(pair.target.high)
    share = np.linspace(0.3, 0.7, pair.target.size)
    goal: np.ndarray[Any, Any] = 0.3 * (low + share * (high - low))
    return np.clip(goal, low, high)


# --- which motor -----------------------------------------------------------------------------------------------------


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


# --- what is sent ----------------------------------------------------------------------------------------------------


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


# --- when it lets go ---------------------------------------------------------------------------------------------------


def test_without_goals_it_holds_then_damps_and_wants_to_be_told() -> None:
    pair = opened()
    pair.run(300, reach(pair))
    stance = lambda: pair.robot.link.commander.stance  # noqa: E731
    pair.run(140)
    assert stance() is Stance.FOLLOW
    pair.run(14)
    assert stance() is Stance.HOLD
    with pytest.raises(CommandRefused, match="no goals for 150 ms, holding: hold first"):
        pair.send(reach(pair))
    pair.run(840)
    assert stance() is Stance.HOLD
    pair.run(12)
    assert stance() is Stance.DAMP
    assert pair.codes == ["robot.tripped"] * 2
    with pytest.raises(CommandRefused, match="damped: hold first"):
        pair.send(reach(pair))
    pair.robot.hold()
    pair.send(reach(pair))


def test_a_commanded_hold_does_not_time_out_while_somebody_reads() -> None:
    pair = opened()
    pair.run(100, reach(pair))
    pair.robot.hold()
    pair.run(3000)
    assert pair.robot.link.commander.stance is Stance.HOLD
    assert pair.events == []


def commander(n: int = 2) -> Commander:
    made = Commander(
        np.tile((50.0, 1.0, 4.0), (n, 1)), np.full(n, 9.0), Limits(150 * MS, 1000 * MS, 100 * MS, 100 * MS)
    )
    made.measured(MS, np.full(n, 0.3), np.zeros(n))
    return made


def test_a_host_that_no_longer_asks_is_as_good_as_gone() -> None:
    """The sending thread goes on although the process around it hangs: it must not hold for ever."""
    made, now = commander(), MS
    made.hold(now)
    news = []
    for _ in range(700):
        now += PERIOD
        made.measured(now, np.full(2, 0.3), np.zeros(2))
        news.append(made.tick(now)[1])
    assert [n for n in news if n] == ["nobody has asked for 1000 ms, damped"]
    assert made.stance is Stance.DAMP


def test_after_a_pause_of_its_own_it_holds_where_the_robot_is_now() -> None:
    """Nothing went out for 300 ms: the robot may have let go meanwhile, and must not be pulled back."""
    made, now = commander(), MS
    made.follow(now, np.arange(2), np.full(2, 0.9))
    made.tick(now + PERIOD)
    now += 300 * MS
    made.measured(now, np.full(2, -0.4), np.zeros(2))
    drive, news = made.tick(now)
    assert news == "no command went out for 298 ms, holding"
    assert drive is not None
    assert drive.q.tolist() == [-0.4, -0.4]
    assert made.objection(now).endswith("hold first")
    made.hold(now)
    assert made.objection(now) == ""


def test_joints_that_nobody_told_stay_where_they_were_found() -> None:
    made = commander(3)
    made.follow(MS, np.array([1]), np.array([0.9]))
    drive, _ = made.tick(MS + PERIOD)
    assert drive is not None
    assert drive.q.tolist() == [0.3, 0.9, 0.3]


@pytest.mark.parametrize(
    ("kind", "code"), [("silent", ""), ("corrupt", "crc"), ("freeze", "stale"), ("machine", "machine")]
)
def test_a_robot_that_cannot_be_believed_is_damped_then_lost(kind: str, code: str) -> None:
    pair = opened()
    pair.run(300, reach(pair))
    pair.puppet.firmware.fault(kind)
    pair.run(96, reach(pair))
    assert pair.robot.link.commander.stance is Stance.FOLLOW
    pair.run(8)
    assert pair.robot.link.commander.stance is Stance.DAMP
    with pytest.raises(CommandRefused):
        pair.send(reach(pair))
    with pytest.raises(
        DeviceLost, match=r"nothing heard of the (robot|its left hand) for 0.5 s".replace("the its", "its")
    ):
        pair.run(500)
    if code:
        assert f"robot.{code}" in pair.codes
        assert pair.robot.link.gate.refused[code] > 200
    pair.robot.close()


def test_a_silent_hand_is_unknown_then_lost() -> None:
    pair = opened()
    pair.run(100)
    pair.puppet.hands = False
    state = [s for s in pair.run(150) if s.stream == "robot/state"][-1]
    assert state.valid is not None
    known = dict(zip(pair.target.names, state.valid[:28], strict=True))
    assert {j for j, v in known.items() if not v} == {j for j in pair.target.names if "_hand_" in j}
    assert np.isnan(state.array("position")[~state.valid[:28]]).all()
    with pytest.raises(DeviceLost, match="left hand"):
        pair.run(500)


def test_the_remote_control_stops_it() -> None:
    pair = opened()
    pair.run(300, reach(pair))
    pair.puppet.firmware.press("L2")
    pair.run(20, reach(pair))
    pair.puppet.firmware.press("L2", "B")
    pair.run(2)
    pair.run(2)
    assert pair.robot.link.commander.stance is Stance.DAMP
    with pytest.raises(CommandRefused, match=r"L2 \+ B on the remote control, damped: hold first"):
        pair.send(reach(pair))
    assert pair.codes.count("robot.stopped") == 1
    pair.robot.hold()
    pair.run(4)
    assert pair.robot.link.commander.stance is Stance.DAMP  # still pressed
    pair.puppet.firmware.press()
    pair.run(4)
    pair.robot.hold()
    pair.run(4, reach(pair))


# --- who is there ------------------------------------------------------------------------------------------------------


def test_nobody_there() -> None:
    pair = Pair()
    pair.far.wire.clear()
    with pytest.raises(DeviceOpenError, match=r"robot: no state on rt/lowstate over lo, DDS domain 0: nothing there"):
        pair.open()
    assert pair.near.closed


def test_only_bad_checksums() -> None:
    pair = Pair()
    pair.far.wire.clear()
    pair.puppet.firmware.fault("corrupt")
    pair.beat()
    with pytest.raises(DeviceOpenError, match=r"1 states with a wrong CRC refused"):
        pair.open()


def test_another_kind_of_robot() -> None:
    with pytest.raises(DeviceIdentityError, match=r"the robot says mode_machine 6, the rig 5$"):
        Pair(machine=6).open()
    Pair(machine=6, mode_machine=(5, 6)).open()


def test_a_real_robot_where_the_rig_says_emulator() -> None:
    Pair(emulated=True).open()
    pair = Pair(emulated=True)
    pair.far.wire.clear()
    pair.puppet.firmware._state["reserve"] = 0
    pair.beat()
    with pytest.raises(DeviceIdentityError, match="is not telerig's emulator"):
        pair.open()


def test_somebody_else_commands_it() -> None:
    pair = Pair()
    pair.near.others = 1
    with pytest.raises(DeviceOpenError, match=r"1 other program on rt/lowcmd: .*release its motion service"):
        pair.open()


def test_a_hand_that_is_not_there() -> None:
    pair = Pair()
    pair.far.wire.clear()
    pair.puppet.hands = False
    pair.beat()
    with pytest.raises(DeviceOpenError, match=r"left and right hand silent over lo.*hands = false if none"):
        pair.open()


def test_it_comes_back_after_it_was_away() -> None:
    """The robot's clock starts anew with the robot; what was sent before is not sent again."""
    pair = opened()
    pair.run(300, reach(pair))
    pair.robot.close()
    pair.puppet = type(pair.puppet)(pair.far)
    pair.near.sent.clear()
    pair.beat()
    pair.open()
    assert len(pair.run(100)) == 2 * (50 + 1)
    assert pair.near.sent == {}


# --- what is refused ---------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"interface": "eth 0"}, "no network interface"),
        ({"interface": "<x/>"}, "no network interface"),
        ({"emulated": True, "interface": "eth0"}, "an emulated robot is reached over lo, not over eth0"),
        ({"mode_machine": (4,)}, r"29-joint robots say one of \[5, 6, 11"),
        ({"mode_machine": ()}, "29-joint robots say one of"),
        ({"rate_hz": 50.0}, "not from 200 to 1000"),
        ({"gains": {"tail": (1.0, 1.0)}}, "no joints 'tail'"),
        ({"gains": {"knee": (900.0, 1.0)}}, r"gains.knee: \[kp, kd\] from \[0, 0\] to \[500.0, 20.0\]"),
        ({"gains": {"hand": (80.0, 0.1)}}, "gains.hand"),
        ({"left_fingers": ("thumb", "index")}, "thumb, middle and index in some order"),
        ({"stop_buttons": ("Z",)}, "no button 'Z'"),
        ({"legs": "stiff"}, "'stiff' is not one of hold, damp"),
        ({"watchdog_hold_s": 0.0}, "watchdog_hold_s: 0.0 is not from"),
    ],
)
def test_a_rig_s_mistakes(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        UnitreeG1.Config(**keys)


def test_another_embodiment() -> None:
    with pytest.raises(ConfigError, match=r"none of its joints|has no (target|joint)"):
        UnitreeG1(UnitreeG1.Config(embodiment="follower_arm"), DeviceContext("robot", VirtualClock()))


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
