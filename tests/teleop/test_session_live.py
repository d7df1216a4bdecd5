"""A real session on pseudo-terminals: processes die, hang and are unplugged, and the robot stops."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers.emulation_control import send_fault
from telerig.hardware.commands import Mode
from telerig.teleop.attach import Attached
from telerig.teleop.bench.loop_bench import recorder_state
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.states import State

from .live_rig import RIG, live

pytestmark = pytest.mark.realtime


def test_a_leader_drives_the_follower_and_everything_is_recorded(tmp_path: Path) -> None:
    with live(tmp_path, record=True) as rig:
        rig.engage()
        rig.steward.episode(EpisodeCommand.START, "wave")
        rig.until(lambda: recorder_state(rig.session).recording, "recording")
        before = rig.session.reader("robot/state").written
        rig.until(lambda: rig.session.reader("robot/state").written > before + 200, "a second of motion")
        moved = [s.array("position")[0] for s in rig.session.reader("robot/state").window(0, 2**62)]
        assert np.ptp(moved) > 0.05
        late = Attached(rig.folder)  # a viewer that comes later sees the same streams
        assert late.readers["robot/state"].written >= before
        rig.steward.episode(EpisodeCommand.KEEP)
        rig.until(lambda: recorder_state(rig.session).kept == 1, "keeping")
        assert recorder_state(rig.session).lost == 0
    assert (tmp_path / "session" / "episodes" / "000001.mcap").exists()


@pytest.mark.parametrize("device", ["leader", "robot"])
def test_an_unplugged_device_holds_the_robot_and_coming_back_moves_nothing(tmp_path: Path, device: str) -> None:
    with live(tmp_path) as rig:
        rig.engage()
        lost_at = rig.session.clock.now()
        send_fault(rig.folder / "ports", device, "unplug", seconds=1.0)
        rig.until(lambda: rig.happened("device.lost", device) is not None, "the operator is told")
        rig.until(lambda: (e := rig.happened("state.hold")) is not None and e.t > lost_at, "holding")
        held = rig.happened("state.hold")
        assert held is not None
        if device == "leader":  # the robot's own watchdog may be quicker than the loop; a late worker than its own word
            assert re.search(r"\(leader/joints, (its device is gone|0\.\d+ s old)\)$", held.text)
        rig.until(lambda: (e := rig.happened("device.open", device)) is not None and e.t > lost_at, "coming back")
        rig.until(lambda: rig.state() is State.DAMPED, "damping, though the stream is back and enable still held")
        assert rig.action() is Mode.DAMP
        rig.engage()
        rig.happened("")
        passed = [e.code for e in sorted(rig.events, key=lambda e: e.t) if e.code.startswith("state.")]
        assert passed[-2:] == ["state.matching", "state.engaged"]


def test_a_crashed_worker_is_restarted_and_a_hanging_one_killed(tmp_path: Path) -> None:
    with live(tmp_path) as rig:
        for blow, code in ((signal.SIGKILL, "process.crashed"), (signal.SIGSTOP, "process.hangs")):
            pid = rig.session.pids()["leader"]
            os.kill(pid, blow)
            rig.until(lambda code=code: rig.happened(code) is not None, code)
            rig.until(lambda pid=pid: rig.session.pids().get("leader", pid) != pid, "a new process")
            written = rig.session.reader("leader/joints").written
            rig.until(lambda n=written: rig.session.reader("leader/joints").written > n, "samples again")
        reader = rig.session.reader("leader/joints")
        numbers = [s.seq for s in reader.window(0, 2**62)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))  # numbering goes on across processes


@pytest.mark.parametrize("blow", [signal.SIGSTOP, signal.SIGKILL])
def test_a_loop_that_stops_leaves_a_robot_that_holds_then_damps(tmp_path: Path, blow: signal.Signals) -> None:
    with live(tmp_path) as rig:
        rig.engage()
        os.kill(rig.session.pids()["loop"], blow)
        for wanted in (Mode.HOLD, Mode.DAMP):
            patience = _Patience(5.0)
            while rig.action() is not wanted:  # not `until`: the session rightly fails, and says so
                patience.check(f"the watchdog half: {wanted.name}")


def test_estop_holds_then_damps_and_only_a_reset_clears_it(tmp_path: Path) -> None:
    with live(tmp_path) as rig:
        rig.engage()
        rig.session.control.press_estop()
        rig.until(lambda: rig.action() is Mode.DAMP and rig.state() is State.ESTOP, "damped")
        stop = [s for s in rig.session.reader("robot/joints/applied").window(0, 2**62) if s.array("command_seq") < 0]
        assert [Mode(int(s.array("action"))) for s in stop] == [Mode.HOLD, Mode.DAMP]
        ticks = rig.session.reader("loop/ticks").written
        rig.until(lambda: rig.session.reader("loop/ticks").written > ticks + 100, "half a second")
        assert rig.state() is State.ESTOP
        rig.steward.enable = False
        rig.session.control.reset_estop()
        rig.until(lambda: rig.state() in (State.IDLE, State.ESTOP), "reset looked at")
        while rig.state() is State.ESTOP:  # enable's release may arrive after the reset: ask again, as a person would
            rig.session.control.reset_estop()
            seen = rig.session.reader("loop/ticks").written
            rig.until(lambda n=seen: rig.session.reader("loop/ticks").written > n + 20, "a few ticks")
        rig.engage()


OPERATE = "import sys; from telerig.teleop.cli.main import main; main()"


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_no_process_survives_the_command_line(tmp_path: Path, blow: signal.Signals) -> None:
    log = (tmp_path / "err").open("wb")
    command = [
        sys.executable,
        "-c",
        OPERATE,
        "teleop",
        str(RIG),
        "--emulate",
        "--no-home",
        "--record",
        str(tmp_path / "s"),
    ]
    with log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as parent:
        clock = _Patience(40.0)
        while not (tmp_path / "s" / "session.mcap").exists():
            clock.check((tmp_path / "err").read_text())
        clock = _Patience(20.0)
        while len(pids := _children(parent.pid)) < 5:
            clock.check((tmp_path / "err").read_text())
        parent.send_signal(blow)
        try:
            code = parent.wait(15)  # 130: interrupted while still starting
        finally:
            parent.kill()  # else a failure would wait for it for ever
        assert code in ((-9,) if blow is signal.SIGKILL else (0, 130)), (tmp_path / "err").read_text()
    clock = _Patience(3.0)
    while any(_alive(p) for p in pids):
        clock.check(str([_name(p) for p in pids if _alive(p)]))


class _Patience:
    """Gives up with a message after so many seconds."""

    def __init__(self, limit_s: float) -> None:
        from threading import Event
        from time import monotonic

        self._pause, self._now = Event(), monotonic
        self._end = monotonic() + limit_s

    def check(self, message: str) -> None:
        assert self._now() < self._end, message
        self._pause.wait(0.02)


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(p) for p in path.read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def test_wrong_firmware_ends_the_command_in_one_line_with_exit_code_2(tmp_path: Path) -> None:
    text = RIG.read_text().replace("[devices.leader]", "[devices.leader]\nmin_firmware = 60")
    (tmp_path / "rig.toml").write_text(text)
    command = [sys.executable, "-c", OPERATE, "teleop", str(tmp_path / "rig.toml"), "--emulate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: leader: servo 1 (shoulder_pitch) has firmware 48")
    assert done.stderr.count("has firmware 48") == 1
