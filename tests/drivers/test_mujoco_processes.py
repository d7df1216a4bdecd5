"""The simulated world in a process of its own: its bus on a socket, and a robot that a dead host does not leave moving."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.drivers.mujoco.bus import UnixPort
from telerig.drivers.mujoco.motion_log import read_motion_log
from telerig.drivers.mujoco.robot import MujocoRobot
from telerig.drivers.mujoco.world import PERIOD_NS
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import DeviceLost, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.wire.simbus import RobotMode

pytestmark = pytest.mark.realtime

WORLD = """
import sys
from telerig.drivers.mujoco.world import MujocoWorld
from telerig.hardware.clock import RealClock
from telerig.hardware.protocols import DeviceContext
config = MujocoWorld.Config("g1_like", task="pick_place", socket=sys.argv[1], log=sys.argv[2])
world = MujocoWorld(config, DeviceContext("world", RealClock(int(sys.argv[3]))))
world.open()
print("open", flush=True)
while True:
    world.read(0.05)
"""

HOST = """
import sys
import numpy as np
from telerig.drivers.mujoco.bus import UnixPort
from telerig.drivers.mujoco.robot import MujocoRobot
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.protocols import DeviceContext
clock = RealClock(int(sys.argv[2]))
robot = MujocoRobot(MujocoRobot.Config("g1_like"), DeviceContext("robot", clock, lambda: UnixPort(sys.argv[1])))
robot.open()
t0, home = clock.now(), np.array(robot.targets[0].home)
while True:
    for sample in robot.read(0.05):
        goal = home.copy()
        goal[[0, 14]] += 0.5 * np.sin(6.0 * (clock.now() - t0) / 1e9)
        now = clock.now()
        robot.send(Command(0, "robot/upper", Mode.JOINT_POSITION, goal, Source.OPERATOR, now, (now, now)))
        if abs(sample.array("velocity")).max() > 1.0:
            print("moving", flush=True)
"""


@contextmanager
def changes(path: Path) -> Iterator[Callable[[float], bool]]:
    """Waits until a file was written to since it last waited; False after so many seconds of nothing (inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(libc.inotify_init1(os.O_CLOEXEC), "rb", buffering=0) as told:
        modified = 2
        assert libc.inotify_add_watch(told.fileno(), os.fsencode(path), modified) >= 0, os.strerror(ctypes.get_errno())
        yield lambda timeout_s: bool(select.select([told], [], [], timeout_s)[0]) and bool(told.read(4096))


class Processes:
    """A world and, on demand, a host that swings both arms."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.log, self.clock = str(folder / "w.sock"), folder / "motion.log", RealClock()
        self.running: list[subprocess.Popen[str]] = []
        self.robots: list[MujocoRobot] = []

    def open(self) -> None:
        self.world = self.start(WORLD, self.socket, str(self.log), str(self.clock.offset_ns))
        self.hear(self.world, "open")

    def start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def hear(self, process: subprocess.Popen[str], word: str) -> None:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == word

    def host(self) -> subprocess.Popen[str]:
        process = self.start(HOST, self.socket, str(self.clock.offset_ns))
        self.hear(process, "moving")
        return process

    def robot(self) -> MujocoRobot:
        config = MujocoRobot.Config("g1_like")
        self.robots.append(MujocoRobot(config, DeviceContext("robot", self.clock, lambda: UnixPort(self.socket))))
        return self.robots[-1]

    def close(self) -> None:
        for robot in self.robots:
            robot.close()
        for process in self.running:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def log_when(self, enough: Callable[[Any], bool]) -> Any:
        """The motion log once it has what is needed."""
        with changes(self.log) as wait:
            while True:
                log = read_motion_log(self.log)
                if len(log) and enough(log):
                    return log
                assert wait(10.0), "the world's log stands still"

    def logged_until(self, t: int) -> Any:
        """The log once it has reached an instant."""
        return self.log_when(lambda log: bool(log["t"][-1] >= t))

    def logged_until_mode(self, mode: RobotMode) -> Any:
        """The log once the robot is in a mode."""
        return self.log_when(lambda log: bool(log["mode"][-1] == mode))


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    try:
        made.open()
        yield made
    finally:
        made.close()


def test_states_come_over_the_socket_in_order(processes: Processes) -> None:
    robot = processes.robot()
    robot.open()
    got = []
    while len(got) < 60:
        got += robot.read(0.05)
    steps = [s.seq_device or 0 for s in got]
    assert steps == sorted(set(steps))
    assert all(s.t_sample <= s.t_arrival for s in got)
    log = processes.logged_until(got[-1].t_sample)
    steps_at = np.concatenate(([log["t"][0] - PERIOD_NS], log["t"]))  # the first is when it was opened
    nearest = [np.abs(steps_at - s.t_sample).min() - s.sigma_t for s in got]
    assert max(nearest) < 1_000_000  # t_sample is the instant of a physics step, within what is claimed and its µs
    robot.close()


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_dead_host_leaves_nothing_moving(processes: Processes, how: signal.Signals) -> None:
    """Nothing but the simulated firmware is left to stop the arms; the log, in periods of 5 ms, is the world's own."""
    host = processes.host()
    host.send_signal(how)
    log = processes.logged_until_mode(RobotMode.DAMP)
    modes, speed = log["mode"].tolist(), log["speed"]
    last = len(modes) - 1 - modes[::-1].index(RobotMode.POSITION)
    assert speed[max(0, last - 100) : last].max() > 0.3  # it did move
    damped = modes.index(RobotMode.DAMP)
    assert set(modes[last + 1 : damped]) == {RobotMode.HOLD}
    assert log["t"][damped] - log["t"][last + 1] >= 845_000_000  # 150 ms to 1 s
    assert speed[last + 20 : damped].max() < 0.05  # stands 100 ms later


def test_a_killed_world_is_lost_and_found_again(processes: Processes, tmp_path: Path) -> None:
    robot = processes.robot()
    robot.open()
    processes.world.kill()
    processes.world.wait()
    with pytest.raises(DeviceLost):  # noqa: PT012
        for _ in range(100):
            robot.read(0.05)
    robot.close()
    with pytest.raises(DeviceOpenError, match="no simulated world there"):
        robot.open()
    world = processes.start(WORLD, processes.socket, str(processes.log), str(processes.clock.offset_ns))
    processes.hear(world, "open")
    robot.open()
    got: list[Any] = []
    while not got:
        got += robot.read(0.05)
    robot.close()
