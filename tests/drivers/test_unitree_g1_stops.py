"""When the G1's driver holds, damps or gives the robot up: no goals, no states, states it cannot believe, the remote control."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.drivers.unitree_g1.commander import Commander, Limits, Stance
from telerig.hardware.errors import CommandRefused, DeviceLost

from .unitree_pair import MS, PERIOD, opened, reach


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
