"""The simulated world in virtual time and on a clock that can be late, and its motion log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from telerig.drivers.mujoco.motion_log import MotionLog, read_motion_log
from telerig.drivers.mujoco.scene import build_scene, load_task
from telerig.drivers.mujoco.world import CATCH_UP, PERIOD_NS, MujocoWorld
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import (
    ConfigError,
    DataError,
    DeviceLost,
    DeviceOpenError,
)
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.scene import SceneRequest, placement_seed
from telerig.hardware.wire.simbus import RobotMode

from .mujoco_rig import MS, LateClock, Rig, states, through, truths

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
