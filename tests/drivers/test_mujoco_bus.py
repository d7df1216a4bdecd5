"""The simulated robot's bus: messages, firmware, socket."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from telerig.drivers.mujoco.bus import SocketServer, UnixPort
from telerig.drivers.mujoco.firmware import RobotFirmware
from telerig.hardware.errors import DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Decoder, Identity, Kind, Message, RobotMode, State, Status

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
messages = st.builds(
    Message, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=60) | st.just(b"x" * simbus.MAX_PAYLOAD)
)
floats = st.floats(-100, 100, width=32)


def firmware(n: int = 3) -> RobotFirmware:
    made = RobotFirmware("arm", 2, [f"j{i}" for i in range(n)], np.full(n, -1.0), np.full(n, 1.0))
    made.power_up(T0, np.full(n, 0.1), np.full(n, 0.2))
    return made


def told(robot: RobotFirmware, now: int, data: bytes) -> tuple[Status, RobotMode]:
    (reply,) = Decoder().feed(robot.step(now, data))
    return simbus.parse_ack(reply.payload)


def goal(robot: RobotFirmware, now: int, values: list[float], seq: int = 1) -> tuple[Status, RobotMode]:
    return told(robot, now, simbus.request(Kind.GOAL, seq, np.array(values)))


# --- messages ------------------------------------------------------------------------------------------------------


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 400), max_size=6))
def test_messages_survive_any_portions(sent: list[Message], cuts: list[int]) -> None:
    data = b"".join(simbus.encode(m) for m in sent)
    decoder, got, edges = Decoder(), [], [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    for a, b in pairwise(edges):
        got += decoder.feed(data[a:b])
    assert got == sent


@given(st.binary(min_size=8, max_size=40).filter(lambda d: d[:2] != b"SB"))
def test_foreign_bytes_are_refused_once(data: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(simbus.BusError, match="no simbus message"):
        decoder.feed(data)
    message = Message(Kind.HOLD, 7)
    assert decoder.feed(simbus.encode(message)) == [message]


def test_another_version_is_told() -> None:
    data = bytearray(simbus.encode(Message(Kind.HOLD, 1)))
    data[2] = simbus.VERSION + 1
    with pytest.raises(DeviceIdentityError, match=r"version 2, this side 1"):
        Decoder().feed(bytes(data))


def test_too_long_is_refused_on_both_sides() -> None:
    with pytest.raises(simbus.BusError, match="at most 8192"):
        simbus.encode(Message(1, 1, b"x" * (simbus.MAX_PAYLOAD + 1)))
    head = simbus.HEADER.pack(simbus.MAGIC, simbus.VERSION, 1, 1, simbus.MAX_PAYLOAD + 1)
    with pytest.raises(simbus.BusError):
        Decoder().feed(head)


@given(
    st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**32 - 1), st.integers(0, 65535),
    st.sampled_from(list(RobotMode)), hnp.arrays(np.float64, (3, 5), elements=floats),
)  # fmt: skip
def test_state_round_trip(t: int, now: int, steps: int, seq: int, mode: RobotMode, x: np.ndarray) -> None:
    (reply,) = Decoder().feed(simbus.state_reply(9, State(t, now, steps, seq, mode, *x)))
    back = simbus.parse_state(reply.payload)
    assert (reply.kind, reply.seq) == (Kind.STATE | simbus.REPLY, 9)
    assert (back.t_us, back.now_us, back.steps, back.goal_seq, back.mode) == (t, now, steps, seq, mode)
    assert np.array_equal(np.stack((back.position, back.velocity, back.effort)), x)


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), max_size=5), st.integers(0, 65535))
def test_identity_round_trip(joints: list[str], version: int) -> None:
    identity = Identity("robot", version, tuple(joints), 150, 1000)
    (reply,) = Decoder().feed(simbus.identity_reply(1, identity))
    assert simbus.parse_identity(reply.payload) == identity


@given(st.binary(max_size=80))
def test_no_payload_crashes_a_parser(payload: bytes) -> None:
    for parse in (simbus.parse_state, simbus.parse_identity, simbus.parse_ack, simbus.parse_watchdog):
        try:
            parse(payload)
        except simbus.BusError as error:
            assert str(error).startswith("bus: ")  # noqa: PT017


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
