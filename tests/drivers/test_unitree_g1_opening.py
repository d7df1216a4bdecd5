"""Opening a G1: who is there, who else commands it, what a rig may say; and its return."""

from __future__ import annotations

from typing import Any

import pytest

from telerig.drivers.unitree_g1.robot import UnitreeG1
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DeviceIdentityError, DeviceOpenError
from telerig.hardware.protocols import DeviceContext

from .unitree_pair import Pair, opened, reach


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


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"interface": "eth 0"}, "no network interface"),
        ({"interface": "<x/>"}, "no network interface"),
        ({"settle_s": 4.0}, "settle_s: 4.0 is not from 0.0 to 2.5"),
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
