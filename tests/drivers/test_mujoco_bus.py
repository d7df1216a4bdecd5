"""The simulated robot's firmware, and its bus over a socket."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers.mujoco.bus import SocketServer, UnixPort
from telerig.drivers.mujoco.firmware import RobotFirmware
from telerig.hardware.errors import DeviceLost, DeviceOpenError
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Decoder, Kind, Message, RobotMode, Status

T0 = 1_700_000_000_000_000_000
MS = 1_000_000


def firmware(n: int = 3) -> RobotFirmware:
    made = RobotFirmware("arm", 2, [f"j{i}" for i in range(n)], np.full(n, -1.0), np.full(n, 1.0))
    made.power_up(T0, np.full(n, 0.1), np.full(n, 0.2))
    return made


def told(robot: RobotFirmware, now: int, data: bytes) -> tuple[Status, RobotMode]:
    (reply,) = Decoder().feed(robot.step(now, data))
    return simbus.parse_ack(reply.payload)


def goal(robot: RobotFirmware, now: int, values: list[float], seq: int = 1) -> tuple[Status, RobotMode]:
    return told(robot, now, simbus.request(Kind.GOAL, seq, np.array(values)))


# --- firmware ------------------------------------------------------------------------------------------------------


def test_powers_up_holding_and_nobody_times_out() -> None:
    robot = firmware()
    robot.tick(T0 + 3600 * 1000 * MS)
    assert (robot.mode, robot.goal.tolist(), robot.watchdog_trips) == (RobotMode.HOLD, [0.2] * 3, 0)


def test_goals_are_clamped_to_the_limits() -> None:
    robot = firmware()
    assert goal(robot, T0, [0.5, 7.0, -7.0]) == (Status.OK, RobotMode.POSITION)
    assert robot.goal.tolist() == [0.5, 1.0, -1.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_goal_that_is_not_finite_is_refused(bad: float) -> None:
    robot = firmware()
    assert goal(robot, T0, [0.0, bad, 0.0]) == (Status.BAD_VALUE, RobotMode.HOLD)
    assert robot.goal.tolist() == [0.2] * 3


def test_wrong_lengths_and_kinds_are_refused() -> None:
    robot = firmware()
    assert goal(robot, T0, [0.0, 0.0])[0] is Status.BAD_LENGTH
    assert told(robot, T0, simbus.encode(Message(Kind.WATCHDOG, 1, b"x")))[0] is Status.BAD_LENGTH
    assert told(robot, T0, simbus.encode(Message(99, 1)))[0] is Status.BAD_KIND
    assert robot.mode is RobotMode.HOLD


def test_silence_holds_the_measured_position_then_damps() -> None:
    robot = firmware()
    goal(robot, T0, [0.9, 0.9, 0.9])
    robot.measured(T0 + 100 * MS, np.array([0.3, 0.4, 1.7]), np.zeros(3), np.zeros(3))
    robot.tick(T0 + 150 * MS)
    assert robot.mode is RobotMode.POSITION
    robot.tick(T0 + 155 * MS)
    assert robot.mode is RobotMode.HOLD
    assert robot.goal.tolist() == [0.3, 0.4, 1.0]  # measured, inside the limits
    robot.tick(T0 + 1000 * MS)
    assert robot.mode is RobotMode.HOLD
    robot.tick(T0 + 1005 * MS)
    assert (robot.mode, robot.watchdog_trips) == (RobotMode.DAMP, 2)
    robot.tick(T0 + 9000 * MS)
    assert robot.mode is RobotMode.DAMP  # nothing but a command ends it
    goal(robot, T0 + 9000 * MS, [0.0] * 3)
    assert robot.mode is RobotMode.POSITION


def test_a_hold_brakes_then_stays_and_goes_on_carrying() -> None:
    robot = firmware()
    robot.stiffness = np.full(3, 50.0)
    goal(robot, T0, [0.9, 0.9, 0.9])
    load = np.array([5.0, 0.0, -5.0])
    robot.measured(T0, np.array([0.3, 0.3, 0.3]), np.ones(3), load)
    told(robot, T0, simbus.request(Kind.HOLD, 1))
    assert robot.goal.tolist() == pytest.approx([0.4, 0.3, 0.2])
    robot.measured(T0 + 80 * MS, np.array([0.35, 0.35, 0.35]), np.zeros(3), load)
    assert robot.goal.tolist() == pytest.approx([0.45, 0.35, 0.25])
    robot.measured(T0 + 85 * MS, np.array([0.36, 0.36, 0.36]), np.zeros(3), np.zeros(3))
    assert robot.goal.tolist() == pytest.approx([0.45, 0.35, 0.25])
    told(robot, T0 + 90 * MS, simbus.request(Kind.HOLD, 2))  # said twice is held once
    assert robot.goal.tolist() == pytest.approx([0.45, 0.35, 0.25])


def test_a_hold_forgets_the_push_of_a_motion_but_not_the_weight() -> None:
    robot = firmware()
    robot.stiffness = np.full(3, 50.0)
    goal(robot, T0, [0.9, 0.9, 0.9])
    robot.measured(T0, np.full(3, 0.3), np.ones(3), np.full(3, 20.0))  # in full swing, upwards
    told(robot, T0, simbus.request(Kind.HOLD, 1))
    for k in range(1, 17):
        robot.measured(T0 + 5 * k * MS, np.full(3, 0.35), np.zeros(3), np.full(3, 5.0))
    assert robot.goal.tolist() == pytest.approx([0.35 + 5.0 / 50.0] * 3, abs=0.01)


def test_only_commands_feed_the_watchdog() -> None:
    robot = firmware()
    goal(robot, T0, [0.5] * 3)
    for k in range(1, 40):
        now = T0 + 5 * k * MS
        robot.step(now, simbus.request(Kind.STATE, k) + simbus.request(Kind.BASE, k, np.zeros(4)))
        robot.tick(now)
    assert robot.mode is RobotMode.HOLD


def test_commands_renewed_keep_it_moving() -> None:
    robot = firmware()
    for k in range(400):
        goal(robot, T0 + 140 * k * MS, [0.5] * 3)
        robot.tick(T0 + 140 * k * MS + 139 * MS)
    assert (robot.mode, robot.watchdog_trips) == (RobotMode.POSITION, 0)


def test_the_watchdog_can_be_armed_otherwise_and_disarmed() -> None:
    robot = firmware()
    told(robot, T0, simbus.watchdog_request(1, 20, 40))
    goal(robot, T0, [0.5] * 3)
    robot.tick(T0 + 21 * MS)
    robot.tick(T0 + 41 * MS)
    assert robot.mode is RobotMode.DAMP
    told(robot, T0, simbus.watchdog_request(1, 0, 0))
    goal(robot, T0, [0.5] * 3)
    robot.tick(T0 + 10**12)
    assert robot.mode is RobotMode.POSITION


def test_a_host_that_held_and_died_is_damped() -> None:
    robot = firmware()
    goal(robot, T0, [0.5] * 3)
    told(robot, T0, simbus.request(Kind.HOLD, 2))
    robot.tick(T0 + 1001 * MS)
    assert robot.mode is RobotMode.DAMP


def test_torque_off_disables() -> None:
    robot = firmware()
    goal(robot, T0, [0.5] * 3)
    assert told(robot, T0, simbus.request(Kind.TORQUE_OFF, 2)) == (Status.OK, RobotMode.TORQUE_OFF)
    robot.tick(T0 + 5000 * MS)
    assert (robot.mode, robot.watchdog_trips) == (RobotMode.TORQUE_OFF, 0)


def test_state_tells_its_age_and_the_goal_it_follows() -> None:
    robot = firmware()
    goal(robot, T0 + 6 * MS, [0.5] * 3, seq=77)
    robot.measured(T0 + 5 * MS, np.ones(3), np.full(3, 2.0), np.full(3, 3.0))
    journal: list[tuple[int, int]] = []
    robot.journal = lambda t, k: journal.append((t, k))
    (reply,) = Decoder().feed(robot.step(T0 + 8 * MS, simbus.request(Kind.STATE, 5)))
    state = simbus.parse_state(reply.payload)
    assert (state.t_us, state.now_us, state.goal_seq, state.mode) == (5000, 8000, 77, RobotMode.POSITION)
    assert state.effort.tolist() == [3.0] * 3
    assert journal == [(T0 + 8 * MS, state.steps)]


def test_a_silent_robot_obeys_and_says_nothing() -> None:
    robot = firmware()
    robot.fault("silent")
    assert robot.step(T0, simbus.request(Kind.GOAL, 1, np.array([0.5] * 3))) == b""
    assert robot.mode is RobotMode.POSITION
    robot.fault("none")
    assert robot.step(T0, simbus.request(Kind.STATE, 1)) != b""
    with pytest.raises(ValueError, match="unknown fault"):
        robot.fault("explode")


# --- socket --------------------------------------------------------------------------------------------------------


def serving(path: str) -> tuple[SocketServer, RobotFirmware]:
    robot = firmware()
    return SocketServer(path, lambda decoder, data: robot.serve(decoder, T0, data)), robot


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_a_request_is_answered(kind: str, tmp_path: Path) -> None:
    path = str(tmp_path / "w.sock") if kind == "file" else f"@telerig-test-{os.getpid()}"
    server, _ = serving(path)
    port = UnixPort(path)
    port.write(simbus.request(Kind.IDENTIFY, 3))
    server.wait(1.0)  # accepts
    server.wait(1.0)  # answers
    (reply,) = Decoder().feed(port.read(1.0))
    assert simbus.parse_identity(reply.payload).name == "arm"
    assert port.read(0.0) == b""
    port.close()
    server.wait(1.0)
    assert server.clients == 0
    server.close()
    assert kind == "abstract" or not os.path.exists(path)


def test_small_reads_lose_nothing(tmp_path: Path) -> None:
    server, _ = serving(str(tmp_path / "w.sock"))
    port = UnixPort(server.path)
    port.write(simbus.request(Kind.STATE, 3))
    server.wait(1.0)
    server.wait(1.0)
    data = b""
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[6:8], "little"):
        data += port.read(1.0, max_bytes=5)
    assert len(Decoder().feed(data)) == 1
    port.close()
    server.close()


def test_garbage_drops_the_client_and_nobody_else(tmp_path: Path) -> None:
    server, robot = serving(str(tmp_path / "w.sock"))
    good, bad = UnixPort(server.path), UnixPort(server.path)
    server.wait(1.0)
    server.wait(1.0)
    bad.write(b"GET / HTTP/1.1\r\n")
    server.wait(1.0)
    assert server.clients == 1
    with pytest.raises(DeviceLost, match="has ended"):
        bad.read(1.0)
    good.write(simbus.request(Kind.HOLD, 1))
    server.wait(1.0)
    assert good.read(1.0) != b""
    assert robot.mode is RobotMode.HOLD
    for port in (good, bad):
        port.close()
    server.close()


def test_the_world_s_end_is_loss(tmp_path: Path) -> None:
    server, _ = serving(str(tmp_path / "w.sock"))
    port = UnixPort(server.path)
    server.wait(1.0)
    threading.Timer(0.05, server.close).start()
    with pytest.raises(DeviceLost):
        port.read(5.0)
    with pytest.raises(DeviceLost):
        port.write(b"x")
    port.close()


@pytest.mark.parametrize("unread", [0, 2])
def test_a_client_s_last_wish_is_heard_after_it_hung_up(tmp_path: Path, unread: int) -> None:
    """Also when replies were left unread: then the kernel reports a reset before it hands over what is queued."""
    server, robot = serving(str(tmp_path / "w.sock"))
    port = UnixPort(server.path)
    server.wait(1.0)
    for seq in range(unread):
        port.write(simbus.request(Kind.STATE, seq))
        server.wait(1.0)
    port.write(simbus.request(Kind.DAMP, 1))
    port.write(simbus.request(Kind.TORQUE_OFF, 2))
    port.close()
    for _ in range(3):
        server.wait(1.0)
    assert (robot.mode, server.clients) == (RobotMode.TORQUE_OFF, 0)
    server.close()


def test_a_client_that_does_not_read_does_not_stop_the_world(tmp_path: Path) -> None:
    server, _ = serving(str(tmp_path / "w.sock"))
    port = UnixPort(server.path)
    for k in range(2000):
        port.write(simbus.request(Kind.STATE, k))
        server.wait(0.0)
    port.close()
    server.close()


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    path = str(tmp_path / "w.sock")
    with pytest.raises(DeviceOpenError, match="no simulated world there"):
        UnixPort(path)
    with pytest.raises(DeviceOpenError, match="107 bytes"):
        UnixPort("/" + "x" * 120)
    with pytest.raises(DeviceOpenError, match="cannot serve"):
        serving(str(tmp_path / "missing" / "w.sock"))
    server, _ = serving(path)
    with pytest.raises(DeviceOpenError, match="in use"):
        serving(path)
    server.close()


def test_a_killed_world_s_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "w.sock")
    server, _ = serving(path)
    server._listener.close()  # what the kernel does for a killed process: the path stays
    again, _ = serving(path)
    UnixPort(path).close()
    again.close()
