"""The G1's driver and its emulator as two DDS participants in two processes, on loopback alone."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from telerig.drivers.unitree_g1 import dds
from telerig.drivers.unitree_g1.robot import UnitreeG1
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg

from .unitree_host import Host, until

pytestmark = pytest.mark.realtime
pytest.importorskip("cyclonedds", reason="cyclonedds is not installed")
pytest.importorskip("mujoco", reason="mujoco is not installed")

from telerig.teleop.bench.g1 import Emulated, G1Bench, emulated, measure  # noqa: E402

DOMAIN = 100 + os.getpid() % 20 * 6  # and the five after it; others may be testing on this machine, too


@pytest.fixture(scope="module")
def other() -> Iterator[Emulated]:
    with emulated(domain=DOMAIN) as process:
        yield process


@pytest.fixture
def robot(other: Emulated) -> Iterator[Host]:
    other.ask(do="fault", kind="none")
    with Host(DOMAIN) as host:
        yield host
    until(lambda: bool(other.ask(do="count")["damped"]), "the emulator lets go")


def test_it_follows_over_dds(other: Emulated, robot: Host) -> None:
    before = other.ask(do="count")
    robot.goal = np.array(robot.target.home)
    until(lambda: robot.read > 400, "states arrive")
    until(lambda: other.ask(do="count")["taken"] > before["taken"] + 100, "commands are obeyed")
    until(lambda: other.ask(do="count")["hands"] > before["hands"] + 100, "the hands obey too")
    count = other.ask(do="count")
    assert (count["damped"], count["refused"]) == (False, {})
    assert not robot.robot.link.gate.refused


def test_when_the_driver_dies_the_emulator_lets_go(other: Emulated, robot: Host) -> None:
    """Its threads end as with the process: nothing is said any more, no farewell."""
    robot.goal = np.array(robot.target.home)
    trips = other.ask(do="count")["trips"]
    until(lambda: not other.ask(do="count")["damped"], "it follows")
    robot.robot.link._stop_threads()
    until(lambda: bool(other.ask(do="count")["damped"]), "it lets go")
    assert other.ask(do="count")["trips"] > trips


def test_when_goals_stop_the_driver_holds_then_damps(other: Emulated, robot: Host) -> None:
    robot.goal = np.array(robot.target.home)
    until(lambda: not other.ask(do="count")["damped"], "it follows")
    robot.goal = None
    robot.events.clear()
    until(lambda: any("holding" in e.text for e in robot.events), "it holds")
    until(lambda: any("no goals for 1000 ms, damped" in e.text for e in robot.events), "it damps")
    assert not other.ask(do="count")["damped"]  # it is told to damp, and does not have to by itself
    assert [e.code for e in robot.events if e.code == "robot.tripped"] == ["robot.tripped"] * 2


@pytest.mark.parametrize("kind", ["silent", "corrupt"])
def test_a_robot_that_is_not_heard_is_lost_and_found(other: Emulated, kind: str) -> None:
    other.ask(do="fault", kind="none")
    with Host(DOMAIN) as host:
        host.goal = np.array(host.target.home)
        until(lambda: not other.ask(do="count")["damped"], "it follows")
        host.goal = None
        other.ask(do="fault", kind=kind)
        until(lambda: host.lost is not None, "it is lost")
        assert any("nothing heard of the robot for 100 ms, damped" in e.text for e in host.events)
    other.ask(do="fault", kind="none")
    with Host(DOMAIN) as again:
        until(lambda: again.read > 20, "states arrive")


def test_a_robot_that_was_silent_for_a_moment_is_followed_again(other: Emulated, robot: Host) -> None:
    os.kill(other.pid, signal.SIGSTOP)
    try:
        until(lambda: robot.robot.link.commander.lost(robot.clock.now()), "its state is old")
        robot.goal = np.array(robot.target.home)
        until(lambda: "the robot's state is not known" in robot.refused, "goals are refused")
    finally:
        os.kill(other.pid, signal.SIGCONT)
    until(lambda: not other.ask(do="count")["damped"], "it follows")


def test_the_remote_control_stops_it(other: Emulated, robot: Host) -> None:
    other.ask(do="press", buttons=["L2", "B"])
    until(lambda: any(e.code == "robot.stopped" for e in robot.events), "it stops")
    other.ask(do="press", buttons=[])


def test_a_second_commander_is_refused(other: Emulated, robot: Host) -> None:
    second = UnitreeG1(UnitreeG1.Config(emulated=True, domain=DOMAIN), DeviceContext("second", RealClock()))
    with pytest.raises(DeviceOpenError, match=r"1 other program on rt/lowcmd"):
        second.open()


def test_nobody_on_this_domain() -> None:
    config = UnitreeG1.Config(domain=DOMAIN + 1, open_timeout_s=0.2)
    with pytest.raises(
        DeviceOpenError, match=rf"no state on rt/lowstate over lo, DDS domain {DOMAIN + 1}: nothing there"
    ):
        UnitreeG1(config, DeviceContext("robot", RealClock())).open()


def test_no_such_interface() -> None:
    config = UnitreeG1.Config(domain=DOMAIN + 2, interface="nosuch0")
    with pytest.raises(DeviceOpenError, match="interface 'nosuch0'"):
        UnitreeG1(config, DeviceContext("robot", RealClock())).open()


def test_nothing_listens_beyond_loopback() -> None:
    """Cyclone binds to every address; each of its sockets is tied to ``lo`` all the same."""
    before = dds._sockets()
    with dds.DdsBus("lo", DOMAIN + 3, (dds.LOW_STATE,), (dds.LOW_CMD,)):
        tied = {}
        for handle in dds._sockets() - before:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(handle)) as copy:
                if copy.family == socket.AF_INET:
                    tied[handle] = copy.getsockopt(socket.SOL_SOCKET, 25, 16).rstrip(b"\0")
        assert len(tied) >= 2
        assert set(tied.values()) == {b"lo"}
    assert dds._sockets() <= before


def test_two_ends_in_one_process_share_a_domain_but_not_another_interface() -> None:
    number = DOMAIN + 4
    message = hg.seal(hg.new(hg.LOW_CMD))
    with dds.DdsBus("lo", number, (), (dds.LOW_CMD,)) as near:
        with pytest.raises(DeviceOpenError, match=f"DDS domain {number} is open on lo in this process, not on eth9"):
            dds.DdsBus("eth9", number, (), ())
        with dds.DdsBus("lo", number, (dds.LOW_CMD,), ()) as far:
            until(lambda: far.writers(dds.LOW_CMD) == 1, "they meet")
            near.publish(dds.LOW_CMD, cdr.encode_low_cmd(message))
            found = list[bytes]()
            until(lambda: bool(found.extend(far.take(dds.LOW_CMD)) or found), "it arrives")
            assert found == [cdr.encode_low_cmd(message)]
    with dds.DdsBus("lo", number, (), ()):
        pass


def test_the_bench_measures_what_happens() -> None:
    result = measure(G1Bench(1.0, domain=DOMAIN + 5, realtime=False))
    assert result["states"] > 100
    assert result["commands_obeyed_hz"] > 0
    assert result["commands_obeyed_hz"] <= 1.1 * result["commands_sent_hz"]
    assert result["refused"] == {}
    assert "commit" in result
