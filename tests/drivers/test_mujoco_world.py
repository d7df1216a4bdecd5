"""The simulated world and its robot actuator, in virtual time and on a clock that can be late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.drivers.mujoco.motion_log import MotionLog, read_motion_log
from telerig.drivers.mujoco.robot import MujocoRobot
from telerig.drivers.mujoco.scene import build_scene, load_task
from telerig.drivers.mujoco.world import CATCH_UP, PERIOD_NS, MujocoWorld
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.errors import (
    CommandRefused,
    ConfigError,
    DataError,
    DeviceIdentityError,
    DeviceLost,
    DeviceOpenError,
)
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Layout, Sample
from telerig.hardware.scene import SCENE, SceneRequest, placement_seed
from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Kind, Message, RobotMode, Status

MS = 1_000_000
UPPER = "robot/upper"


class LateClock:
    """A real clock's face with a hand-set time: sleeping arrives late by ``late``."""

    virtual, offset_ns = False, 0

    def __init__(self) -> None:
        self.t, self.late = 1_700_000_000_000_000_000, 0

    def now(self) -> int:
        return self.t

    def sleep_until(self, t: int) -> None:
        self.t, self.late = max(self.t, t) + self.late, 0


def through(spec: StreamSpec, sample: Sample, seq: int) -> Sample:
    """A sample as a stream's reader gets it."""
    layout = Layout(spec)
    memory = memoryview(bytearray(layout.size))
    layout.pack_into(memory, 0, sample, seq)
    return layout.unpack_from(memory, 0)


class Latest:
    """A stream's reader whose newest sample is set by hand."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec, self.n = spec, 0
        self.sample: Sample | None = None

    def put(self, sample: Sample) -> None:
        self.sample, self.n = through(self.spec, sample, self.n), self.n + 1

    def latest(self) -> Sample | None:
        return self.sample

    def window(self, t0: int, t1: int) -> list[Sample]:
        return []


class Rig:
    """A world and its robot in one process."""

    def __init__(self, clock: Any = None, robot: dict[str, Any] | None = None, **world: Any) -> None:
        self.clock = clock or VirtualClock()
        self.events: list[Event] = []
        self.scene = Latest(SCENE)
        self.connected = True
        config = MujocoWorld.Config(**{"embodiment": "g1_like", "task": "pick_place", **world})
        inputs = {SCENE.name: self.scene}
        self.world = MujocoWorld(config, DeviceContext("world", self.clock, None, inputs, self.events.append))
        self.robot = MujocoRobot(
            MujocoRobot.Config(**{"embodiment": "g1_like", **(robot or {})}),
            DeviceContext("robot", self.clock, self.port, {}, self.events.append),
        )
        self.home = np.array(self.robot.targets[0].home)

    def port(self) -> LoopbackPort:
        return LoopbackPort(self.world.robot_emulator, self.clock, lambda: self.connected)

    def open(self) -> Rig:
        self.world.open()
        self.robot.open()
        return self

    def period(self, data: np.ndarray | None = None) -> tuple[list[Sample], list[Sample]]:
        self.clock.advance(PERIOD_NS)
        made, measured = list(self.world.read(0)), list(self.robot.read(0))
        if data is not None:
            self.robot.send(command(data, self.clock.now()))
        return made, measured

    def run(self, periods: int, data: Callable[[int], np.ndarray] | None = None) -> list[Sample]:
        out: list[Sample] = []
        for k in range(periods):
            out += self.period(None if data is None else data(k))[0]
        return out

    def wave(self, k: int) -> np.ndarray:
        goal = self.home.copy()
        goal[14:21] += 0.25 * np.sin(0.02 * k)
        goal[21:28] *= 0.5
        return goal


def command(data: np.ndarray, now: int, mode: Mode = Mode.JOINT_POSITION, target: str = UPPER) -> Command:
    return Command(0, target, mode, np.asarray(data, np.float64), Source.OPERATOR, now, (now, now))


def states(samples: list[Sample]) -> list[Sample]:
    return [s for s in samples if s.stream == "world/state"]


def truths(samples: list[Sample]) -> list[Sample]:
    return [s for s in samples if s.stream == "world/truth"]


# --- the world -----------------------------------------------------------------------------------------------------


def test_samples_fit_their_streams() -> None:
    rig = Rig().open()
    specs = {s.name: s for s in rig.world.streams}
    for sample in rig.run(4):
        back = through(specs[sample.stream], sample, 3)
        for field in specs[sample.stream].arrays:
            assert np.array_equal(back.array(field.name), sample.array(field.name), equal_nan=True)
    assert {s.name: s.rate_hz for s in rig.world.streams} == {"world/state": 200.0, "world/truth": 100.0}


def test_physics_reaches_exactly_the_clock() -> None:
    rig = Rig().open()
    t0 = rig.clock.now()
    assert rig.world.read(0) == []
    assert rig.world.read(1.0) == []  # nobody who uses a virtual clock waits on it
    rig.clock.advance(4 * MS)
    assert rig.world.read(0) == []
    rig.clock.advance(31 * MS)  # 7 periods
    got = states(list(rig.world.read(0)))
    assert [s.t_sample - t0 for s in got] == [5 * MS * k for k in range(1, 8)]
    assert [s.t_device for s in got] == [5 * MS * k for k in range(1, 8)]
    assert [s.seq_device for s in got] == list(range(1, 8))
    assert np.allclose([float(s.array("t_sim")) for s in got], [0.005 * k for k in range(1, 8)])
    assert rig.world.overruns == 0


def test_two_runs_are_equal_bit_for_bit() -> None:
    def trace() -> list[bytes]:
        rig = Rig().open()
        return [s.array("qpos").tobytes() + s.array("qvel").tobytes() for s in states(rig.run(120, rig.wave))]

    assert trace() == trace()


def test_after_a_full_reset_nothing_remembers() -> None:
    rig = Rig().open()
    rig.world.reset(5, 1, reset_robot=True)
    first = [s.array("qpos").tobytes() for s in states(rig.run(80, rig.wave))]
    rig.run(37, lambda k: rig.home + 0.1)
    rig.world.reset(9, 2)
    rig.run(11)
    rig.world.reset(5, 1, reset_robot=True)
    assert [s.array("qpos").tobytes() for s in states(rig.run(80, rig.wave))] == first


def test_placement_follows_seed_and_episode() -> None:
    rig, task = Rig().open(), load_task("pick_place")
    for seed, episode in ((0, 0), (0, 1), (1, 0), (123456, 49)):
        rig.world.reset(seed, episode)
        truth = truths(rig.run(2))[-1]
        placed = task.sample(placement_seed(seed, episode))
        assert np.allclose(truth.array("object"), placed.object, atol=1e-3)
        assert np.array_equal(truth.array("target"), placed.target)
        assert int(truth.array("episode")) == episode
    assert len({placement_seed(s, e) for s in range(30) for e in range(30)}) == 900


def test_a_new_scene_leaves_the_robot_where_it_is() -> None:
    rig = Rig().open()
    rig.run(100, lambda k: rig.home + 0.1)
    before, mode = rig.robot.read(0) or rig.period()[1], rig.world.robot_emulator.mode
    rig.world.reset(3, 3)
    after = rig.period(rig.home + 0.1)[1]
    assert np.allclose(before[0].array("position"), after[0].array("position"), atol=1e-3)
    assert (rig.world.robot_emulator.mode, mode) == (RobotMode.POSITION, RobotMode.POSITION)


def test_a_scene_is_asked_for_by_stream_and_once() -> None:
    rig = Rig().open()
    rig.scene.put(SceneRequest(7, 21, reset_robot=True).to_sample(rig.clock.now()))
    request = rig.scene.latest()
    assert request is not None
    assert SceneRequest.from_sample(request) == SceneRequest(7, 21, True)
    truth = truths(rig.run(2))[-1]
    assert np.allclose(truth.array("object"), load_task("pick_place").sample(placement_seed(21, 7)).object, atol=1e-3)
    qpos = states(rig.run(50))[-1].array("t_sim")
    assert float(qpos) == pytest.approx(0.26)  # counted since the one reset


def test_success_comes_from_the_task_and_the_hands_from_the_embodiment() -> None:
    rig = Rig().open()
    truth = truths(rig.run(2))[-1]
    assert int(truth.array("success")) == 0
    for hand in ("left_hand", "right_hand"):
        assert np.linalg.norm(truth.array(hand)[3:]) == pytest.approx(1.0)
    assert truth.array("left_hand")[1] == pytest.approx(-truth.array("right_hand")[1], abs=1e-3)  # home mirrors
    plant = rig.world._opened()
    task = plant.scene.task
    assert task is not None
    plant.data.qpos[task._qpos : task._qpos + 2] = truth.array("target")[:2]
    assert int(truths(rig.run(2))[-1].array("success")) == 1


def test_without_a_task_the_truth_is_unknown() -> None:
    rig = Rig(task="").open()
    truth = truths(rig.run(2))[-1]
    assert np.isnan(truth.array("object")).all()
    assert int(truth.array("success")) == 0
    assert "mocap" not in states(rig.run(1))[0].data


def test_rests_at_home_unheld_parts_included() -> None:
    rig = Rig().open()
    moved = [np.abs(s.array("qvel")).max() for s in states(rig.run(100))]
    assert max(moved) < 0.02
    (state,) = rig.period()[1]
    assert np.abs(state.array("position") - rig.home).max() < 0.05


@pytest.mark.parametrize(("late", "skipped"), [(0, 0), (CATCH_UP, 0), (CATCH_UP + 3, 3), (100, 100 - CATCH_UP)])
def test_late_wake_ups_are_made_up_for_or_skipped_and_counted(late: int, skipped: int) -> None:
    clock = LateClock()
    rig = Rig(clock)
    rig.world.open()
    opened = clock.now()
    clock.late = late * PERIOD_NS
    got = states(list(rig.world.read(0.05)))
    assert len(got) == late + 1 - skipped
    assert got[-1].t_sample == opened + (late + 1) * PERIOD_NS  # never behind
    assert rig.world.overruns == skipped
    assert [e.data["total"] for e in rig.events if e.code == "world.overrun"] == ([skipped] if skipped else [])
    assert states(list(rig.world.read(0.05)))[0].t_sample == opened + (late + 2) * PERIOD_NS


def test_a_read_waits_no_longer_than_asked() -> None:
    clock = LateClock()
    rig = Rig(clock)
    rig.world.open()
    t = clock.now()
    assert rig.world.read(0.002) == []
    assert clock.now() == t + 2 * MS


def test_config_errors_name_what_would_be_right() -> None:
    with pytest.raises(ConfigError, match="known: pick_place"):
        build_scene("g1_like", "juggle")
    with pytest.raises(ConfigError, match="no target 'wings'"):
        MujocoWorld(MujocoWorld.Config("g1_like", target="wings"), DeviceContext("world", VirtualClock()))
    with pytest.raises(ConfigError, match="must not be negative"):
        MujocoWorld.Config("g1_like", seed=-1)
    with pytest.raises(DeviceLost, match="not open"):
        Rig().world.read(0)
    with pytest.raises(DeviceOpenError, match="motion log"):
        Rig(log="/nowhere/at/all").world.open()


# --- the motion log ------------------------------------------------------------------------------------------------


def test_the_motion_log_tells_speed_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "motion.log"
    rig = Rig(log=str(path)).open()
    t0 = rig.clock.now()
    rig.run(40, rig.wave)
    rig.run(60)
    assert len(read_motion_log(path)) == 100  # whole blocks are out without a close
    rig.run(5)
    rig.world.close()
    log = read_motion_log(path)
    assert log["t"].tolist() == [t0 + 5 * MS * k for k in range(1, 106)]
    assert log["mode"][:41].tolist() == [RobotMode.HOLD] + 40 * [RobotMode.POSITION]
    assert log["speed"][:45].max() > 0.3
    assert log["mode"][-1] == RobotMode.HOLD
    with path.open("ab") as file:
        file.write(b"cut")
    assert len(read_motion_log(path)) == 105
    with pytest.raises(DataError, match="no motion log"):
        read_motion_log(tmp_path / "other")


def test_the_motion_log_appends(tmp_path: Path) -> None:
    for k in range(2):
        log = MotionLog(str(tmp_path / "m"))
        log.add(k, 0.5, RobotMode.DAMP)
        log.close()
    assert read_motion_log(tmp_path / "m")["t"].tolist() == [0, 1]


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
