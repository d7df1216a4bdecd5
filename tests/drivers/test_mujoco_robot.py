"""The simulated robot as an actuator, in virtual time, on a clock that can be late, and over its socket."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers.mujoco.robot import MujocoRobot
from telerig.drivers.mujoco.world import PERIOD_NS, MujocoWorld
from telerig.hardware.commands import Command, Mode
from telerig.hardware.errors import (
    CommandRefused,
    DeviceIdentityError,
    DeviceLost,
    DeviceOpenError,
)
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Kind, Message, RobotMode, Status

from .mujoco_rig import MS, LateClock, Rig, command, states

# --- the robot -----------------------------------------------------------------------------------------------------


def test_goals_move_the_joints_they_name() -> None:
    rig = Rig().open()
    goal = rig.home.copy()
    goal[3] += 0.4
    for _ in range(200):
        _, (state,) = rig.period(goal)
    position = state.array("position")
    assert position[3] == pytest.approx(rig.home[3] + 0.4, abs=0.04)
    assert np.abs(np.delete(position - rig.home, 3)).max() < 0.05


def test_a_command_acts_in_the_next_period() -> None:
    rig = Rig().open()
    rig.period()
    rig.robot.send(command(rig.home + 0.2, rig.clock.now()))
    assert rig.world.robot_emulator.mode is RobotMode.POSITION
    (first,) = rig.period()[1]
    assert np.abs(first.array("velocity")).max() > 0.1


def test_state_has_the_world_s_time_and_the_target_s_names() -> None:
    rig = Rig().open()
    t0 = rig.clock.now()
    spec = rig.robot.streams[0]
    assert [a.axes for a in spec.arrays] == 3 * [rig.robot.targets[0].names]
    for k in range(1, 6):
        made, (sample,) = rig.period()
        assert (sample.t_sample, sample.t_device) == (t0 + 5 * MS * k, 5 * MS * k)
        assert sample.t_arrival == rig.clock.now()
        truth = states(made)[0].array("qpos")[rig.world._scene.qpos]
        assert np.allclose(sample.array("position"), truth, atol=1e-6)
    rig.clock.advance(2 * MS)
    assert rig.robot.read(0) == []
    rig.clock.advance(6 * MS)
    assert rig.robot.read(0) == []  # polled, but the world has not moved on: nothing twice


def test_a_state_is_as_old_as_the_robot_says() -> None:
    rig = Rig().open()
    rig.period()
    rig.clock.advance(PERIOD_NS)
    rig.world.read(0)
    rig.clock.advance(3 * MS)
    (sample,) = rig.robot.read(0)
    assert sample.t_sample == rig.clock.now() - 3 * MS


def test_silence_of_the_host_stops_the_arm() -> None:
    rig = Rig().open()
    rig.run(60, lambda k: rig.home + 0.01 * k)
    speeds = [rig.period()[1][0].array("velocity") for _ in range(260)]
    assert rig.world.robot_emulator.mode is RobotMode.DAMP
    assert np.abs(speeds[0]).max() > 0.5
    assert np.abs(speeds[250 // 5 : 190]).max() < 0.05  # stands 250 ms after the last command, long before it damps


def test_hold_damp_and_torque_off() -> None:
    rig = Rig().open()
    rig.run(30, rig.wave)
    rig.robot.send(command(np.zeros(28), rig.clock.now(), Mode.HOLD))
    assert rig.world.robot_emulator.mode is RobotMode.HOLD
    held = states(rig.run(150))
    rig.robot.damp()
    assert rig.world.robot_emulator.mode is RobotMode.DAMP
    sinking = states(rig.run(200))
    arms = rig.world._scene.qpos
    assert np.ptp([s.array("qpos")[arms] for s in held[100:]], axis=0).max() < 0.01
    assert np.ptp([s.array("qpos")[arms] for s in sinking], axis=0).max() > 0.1
    assert max(np.abs(s.array("qvel")).max() for s in sinking) < 3.0  # damped, not dropped
    rig.robot.close()
    assert rig.world.robot_emulator.mode is RobotMode.TORQUE_OFF
    rig.clock.advance(PERIOD_NS)
    rig.world.read(0)
    assert not rig.world._opened().model.actuator_biasprm[rig.world._scene.actuators, 1:3].any()


def test_gains_come_back_after_damping() -> None:
    rig = Rig().open()
    gains = rig.world._opened().model.actuator_gainprm.copy()
    rig.robot.damp()
    rig.run(100)
    for _ in range(300):
        _, (state,) = rig.period(rig.home)
    assert np.array_equal(rig.world._opened().model.actuator_gainprm, gains)
    assert np.abs(state.array("position") - rig.home).max() < 0.05


def test_a_robot_that_refuses_to_hold_is_damped(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().open()
    rig.period(rig.home)
    firmware = rig.world.robot_emulator
    obey = firmware._command

    def stubborn(now: int, kind: Kind, message: Message) -> Status:
        return Status.BAD_KIND if kind is Kind.HOLD else obey(now, kind, message)

    monkeypatch.setattr(firmware, "_command", stubborn)
    rig.robot.hold()
    rig.period()
    assert firmware.mode is RobotMode.DAMP


def test_base_commands_are_kept_and_move_nothing() -> None:
    rig = Rig().open()
    rig.period()
    rig.robot.send(command(np.array([0.5, 0.0, 0.1, 0.7]), rig.clock.now(), Mode.BASE_VELOCITY_HEIGHT, "robot/base"))
    assert np.allclose(rig.world.robot_emulator.base, [0.5, 0.0, 0.1, 0.7])
    assert rig.world.robot_emulator.mode is RobotMode.HOLD


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (command(np.zeros(27), 0), "28 finite values"),
        (command(np.full(28, np.nan), 0), "28 finite values"),
        (command(np.zeros(28), 0, Mode.JOINT_TORQUE), "takes JOINT_POSITION"),
        (command(np.zeros(28), 0, target="robot/tail"), "no target 'robot/tail'"),
    ],
)
def test_commands_that_cannot_be_are_refused(refused: Command, why: str) -> None:
    rig = Rig().open()
    with pytest.raises(CommandRefused, match=why):
        rig.robot.send(refused)
    assert rig.world.robot_emulator.mode is RobotMode.HOLD


def test_opening_arms_the_watchdog_and_moves_nothing() -> None:
    rig = Rig(robot={"watchdog_hold_s": 0.03, "watchdog_damp_s": 0.2}).open()
    assert (rig.world.robot_emulator.hold_ms, rig.world.robot_emulator.damp_ms) == (30, 200)
    assert max(np.abs(s.array("qvel")).max() for s in states(rig.run(50))) < 0.02


def test_the_wrong_robot_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.world.open()
    firmware = rig.world.robot_emulator
    joints = firmware.joints
    monkeypatch.setattr(firmware, "joints", joints[::-1])
    with pytest.raises(DeviceIdentityError, match="another order"):
        rig.robot.open()
    monkeypatch.setattr(firmware, "joints", joints)
    monkeypatch.setattr(firmware, "version", 9)
    with pytest.raises(DeviceIdentityError, match="version 9, the rig says g1_like version 1"):
        rig.robot.open()
    with pytest.raises(DeviceOpenError, match="no way to world"):
        MujocoRobot(MujocoRobot.Config("g1_like"), DeviceContext("robot", rig.clock)).open()


def test_a_lost_robot_is_lost_and_comes_back() -> None:
    rig = Rig().open()
    rig.period()
    rig.connected = False
    rig.clock.advance(PERIOD_NS)
    with pytest.raises(DeviceLost, match="unplugged"):
        rig.robot.read(0)
    rig.robot.close()
    with pytest.raises(DeviceOpenError):
        rig.robot.open()
    with pytest.raises(DeviceLost, match="not open"):
        rig.robot.hold()
    rig.connected = True
    rig.robot.open()
    assert rig.period()[1]


def test_a_robot_that_does_not_answer_is_lost_after_half_a_second() -> None:
    rig = Rig().open()
    rig.world.robot_emulator.fault("silent")
    rig.run(99)
    with pytest.raises(DeviceLost, match=r"not answered for 0\.5 s"):
        rig.run(5)


def test_what_the_robot_refuses_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().open()
    rig.robot._tell(simbus.encode(simbus.Message(77, 1)))
    assert [(e.code, e.source) for e in rig.events] == [("robot.refused", "robot")]
    assert "BAD_KIND" in rig.events[0].text


# --- over the socket -----------------------------------------------------------------------------------------------


def test_the_same_world_over_its_socket(tmp_path: Path) -> None:
    """Thread beside thread: what the processes' test does with real ones."""
    from telerig.drivers.mujoco.bus import UnixPort
    from telerig.hardware.clock import RealClock

    clock, path = RealClock(), str(tmp_path / "w.sock")
    world = MujocoWorld(MujocoWorld.Config("g1_like", socket=path), DeviceContext("world", clock))
    robot = MujocoRobot(MujocoRobot.Config("g1_like"), DeviceContext("robot", clock, lambda: UnixPort(path)))
    world.open()
    stop, off = threading.Event(), threading.Event()

    def serve() -> None:
        while not stop.is_set():
            world.read(0.02)
            if world.robot_emulator.mode is RobotMode.TORQUE_OFF:
                off.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        robot.open()
        got: list[Sample] = []
        while len(got) < 10:
            got += robot.read(0.05)
            robot.send(command(np.array(robot.targets[0].home), clock.now()))
        assert all(s.t_sample <= s.t_arrival for s in got)
        assert all(b.t_device > a.t_device for a, b in pairwise(got))  # type: ignore[operator]
        robot.close()
        assert off.wait(10.0)
    finally:
        stop.set()
        thread.join()
        world.close()


def test_polls_follow_the_world_s_steps_on_a_real_clock() -> None:
    """Where clock and world are not one, two absolute 5 ms grids must not rub against each other."""
    clock = LateClock()
    rig = Rig(clock)
    rig.world.open()
    rig.robot.open()
    t0 = clock.now()
    ages = []
    for k in range(1, 30):
        clock.t = t0 + k * PERIOD_NS
        rig.world.read(0)
        clock.t += 200_000
        clock.sleep_until(rig.robot._due or clock.t)
        if clock.now() < t0 + (k + 1) * PERIOD_NS:
            ages += [clock.now() - s.t_sample for s in rig.robot.read(0)]
    assert ages[0] == 200_000
    assert set(ages[1:]) == {1_500_000}
