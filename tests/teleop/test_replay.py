"""Replays: approach first, absolute time, stoppable, honest about how well the robot followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.datasets.assemble import BuildOptions
from telerig.datasets.build import build as build_dataset
from telerig.hardware.commands import Mode, Source
from telerig.hardware.errors import ConfigError, DataError
from telerig.teleop.cli.main import main
from telerig.teleop.loop import LoopOptions
from telerig.teleop.plan import plan_devices
from telerig.teleop.replay import LEAD_IN_NS, ReplayAgent, Timeline, check, replay_rig
from telerig.teleop.replay_run import frozen_rig, one_episode
from telerig.teleop.replay_source import Track, Trajectory, load_trajectory
from telerig.teleop.replay_tracking import Tracker
from telerig.teleop.rig import Rig, load_rig
from telerig.teleop.states import State
from telerig.teleop.virtual import VirtualSession

from .recorded import PERIOD, RIG, SECONDS, TARGET, pose, record

HOMIE = RIG.with_name("homie_g1.toml")
NAME = TARGET.name


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded session of one episode."""
    return record(tmp_path_factory.mktemp("recorded") / "session")


@pytest.fixture(scope="module")
def log(session: Path) -> Path:
    """Its episode."""
    return session / "episodes" / "000001.mcap"


@pytest.fixture(scope="module")
def rig() -> Rig:
    """The follower, emulated, without the leader."""
    return replay_rig(load_rig(RIG, emulate=True))


class Run:
    """A replay in virtual time and what was seen of it."""

    def __init__(self, rig: Rig, log: Path, **told: object) -> None:
        agent = {"factory": "telerig.teleop.replay:build", "episode": str(log), **told}
        self.session = VirtualSession(rig, agent, options=LoopOptions(home=False))
        self.trajectory = load_trajectory(log, str(told.get("commands", "sent")))
        targets = {t.name: t for p in plan_devices(rig).values() for t in p.targets}
        speed = float(str(told.get("speed", 1.0)))
        self.tracker = Tracker(self.trajectory, check(rig, self.trajectory), targets, self.session.readers, speed)
        self.sent: list[tuple[State, np.ndarray, Mode, int]] = []

    @property
    def agent(self) -> ReplayAgent:
        """The agent inside."""
        found = self.session.agent
        assert isinstance(found, ReplayAgent)
        return found

    def measured(self) -> np.ndarray:
        """(7,) where the robot is."""
        sample = self.session.readers["robot/state"].latest()
        assert sample is not None
        return sample.array("position")

    def until(self, condition: Callable[[State], bool], limit_s: float = 20.0) -> State:
        """Step until the condition holds."""
        for _ in range(round(limit_s * 200)):
            status = self.session.step()
            self.tracker.step()
            sample = self.session.readers[f"{NAME}/sent"].latest()
            assert sample is not None
            self.sent.append((status.state, sample.array("data"), Mode(int(sample.array("mode"))), sample.t_sample))
            if condition(status.state):
                return status.state
        raise AssertionError(f"not within {limit_s} s: {status}")

    def engage(self) -> None:
        """Release, press, and wait until the robot follows."""
        self.session.enable = False
        self.until(lambda s: s in (State.IDLE, State.HOLD, State.DAMPED))
        for _ in range(20):
            self.session.step()
            self.tracker.step()
        self.session.enable = True
        self.until(lambda s: s is State.ENGAGED)


def test_the_robot_goes_slowly_to_the_first_pose_and_only_then_time_begins(rig: Rig, log: Path) -> None:
    run = Run(rig, log)
    first = pose(0.1)
    with run.session:
        run.until(lambda s: s is State.IDLE)
        for _ in range(40):
            run.session.step()
        away = np.abs(run.measured() - first).max()
        assert away > 0.3  # else there is nothing to approach
        run.engage()
        assert run.agent.timeline.progress(run.session.clock.now()) == 0
        assert np.abs(run.measured() - first).max() < 0.15
        approach = np.array(
            [data for state, data, mode, _ in run.sent if state is State.MATCHING and mode is Mode.JOINT_POSITION]
        )
        speed = np.abs(np.diff(approach, axis=0)).max() / (PERIOD / 1e9)
        assert len(approach) > away / 0.3 * 200 * 0.5
        assert speed <= 0.3 + 1e-9
        run.until(lambda s: run.tracker.progress > 0)
        assert np.abs(run.measured() - first).max() < 0.05


def test_commands_follow_from_absolute_time_and_errors_are_reported(rig: Rig, log: Path) -> None:
    run = Run(rig, log)
    with run.session:
        run.engage()
        begin = run.session.clock.now() + LEAD_IN_NS
        run.until(lambda s: run.tracker.finished)
        played = [(t - begin, data) for state, data, _, t in run.sent if state is State.ENGAGED and t >= begin]
        for t, data in played[20:]:
            wanted = pose(min(0.1 + t / 1e9, SECONDS - 0.005))
            assert np.abs(data - wanted).max() < 0.01, t
        report = run.tracker.report()
    assert report["completed"]
    assert report["stops"] == 0
    assert report["replayed_s"] == report["length_s"] == pytest.approx(SECONDS - 0.105)
    assert set(report["joints"]) == set(TARGET.names)
    assert 0.0 < report["tracking_rms_rad"] <= report["tracking_max_rad"] < 0.1
    assert 0.0 < report["repeat_rms_rad"] <= report["repeat_max_rad"] < 0.1
    worst = max(report["joints"].values(), key=lambda j: j["tracking_max"])
    assert worst["tracking_rms"] < worst["tracking_max"] == report["tracking_max_rad"]


def test_half_the_speed_takes_twice_the_time(rig: Rig, log: Path) -> None:
    run = Run(rig, log, speed=0.5)
    with run.session:
        run.engage()
        begin = run.session.clock.now()
        run.until(lambda s: run.tracker.progress >= run.trajectory.length)
        seconds = (run.session.clock.now() - begin - LEAD_IN_NS) / 1e9
    assert seconds == pytest.approx(2.0 * run.trajectory.length / 1e9, abs=0.02)


def test_released_enable_stops_it_and_a_new_press_goes_on_from_there(rig: Rig, log: Path) -> None:
    run = Run(rig, log)
    with run.session:
        run.engage()
        run.until(lambda s: run.tracker.progress > 800_000_000)
        run.session.enable = False
        run.until(lambda s: s is State.HOLD)
        stopped = run.tracker.progress
        for _ in range(100):
            run.session.step()
            run.tracker.step()
        assert run.tracker.progress == run.agent.timeline.progress(run.session.clock.now()) == stopped
        assert 800_000_000 < stopped < 850_000_000
        still = run.measured()
        run.session.step()
        assert np.abs(run.measured() - still).max() < 1e-3
        run.engage()
        assert run.tracker.progress == stopped
        run.until(lambda s: run.tracker.finished)
        report = run.tracker.report()
    assert report["completed"]
    assert report["stops"] == 1
    assert report["tracking_max_rad"] < 0.15


def test_an_emergency_stop_ends_it(rig: Rig, log: Path) -> None:
    run = Run(rig, log)
    with run.session:
        run.engage()
        run.until(lambda s: run.tracker.progress > 500_000_000)
        run.session.control.press_estop()
        run.until(lambda s: s is State.ESTOP, 0.05)
        stopped = run.tracker.progress
        for _ in range(200):
            run.session.step()
            run.tracker.step()
        assert run.session.loop.status.state is State.ESTOP  # enable is still held: that does not help
        assert run.tracker.progress == stopped
        assert not run.tracker.finished
        assert run.sent[-1][2] is Mode.HOLD  # at once; a second later:
        newest = run.session.readers[f"{NAME}/sent"].latest()
        assert newest is not None
        assert Mode(int(newest.array("mode"))) is Mode.DAMP
        assert run.tracker.report()["completed"] is False


def test_commands_say_that_they_are_a_replay_and_intended_ones_can_be_chosen(rig: Rig, log: Path) -> None:
    run = Run(rig, log, commands="intended")
    with run.session:
        run.session.step()
        wish = run.session.readers[f"{NAME}/intended"].latest()
        assert wish is not None
        assert Source(int(wish.array("source"))) is Source.REPLAY
        # the guard's first 0.1 s count for intended commands too: its source says so in both streams
        np.testing.assert_allclose(wish.array("data"), pose(0.1) + 0.01, atol=1e-9)


def test_a_dataset_s_episode_replays_like_its_log(session: Path, log: Path, tmp_path: Path) -> None:
    build_dataset([session], tmp_path / "data", BuildOptions(30.0))
    rows = load_trajectory(one_episode(tmp_path / "data", None))
    raw = load_trajectory(log)
    assert rows.embodiment == raw.embodiment == "follower_arm"
    assert rows.length == pytest.approx(raw.length, abs=80_000_000)
    offset = rows.joints[NAME]
    middle = len(offset.t) // 2
    shift = np.abs(raw.joints[NAME].data - offset.data[0]).sum(axis=1).argmin() * PERIOD
    np.testing.assert_allclose(offset.data[middle], raw.joints[NAME].at(float(offset.t[middle] + shift)), atol=0.02)


def test_recordings_of_another_robot_are_refused_before_anything_runs(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trajectory = load_trajectory(log)
    with pytest.raises(DataError, match="recorded with robot 'follower_arm'"):
        check(replay_rig(load_rig(HOMIE)), trajectory)
    other = Track(("a", *TARGET.names[1:]), trajectory.joints[NAME].t, trajectory.joints[NAME].data)
    odd = Trajectory(log, "follower_arm", "", {NAME: other}, {}, {}, trajectory.length)
    with pytest.raises(DataError, match="fits none of"):
        check(replay_rig(load_rig(RIG, emulate=True)), odd)
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(log), "--rig", str(HOMIE), "--unattended"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit) as ended:
        main(["eval", str(HOMIE), "--agent", f"replay:{log}"])
    assert ended.value.code == 2


def test_what_cannot_be_replayed_is_one_clear_line(session: Path, log: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_trajectory(tmp_path / "nothing.mcap")
    with pytest.raises(DataError, match="not recorded"):
        load_trajectory(log, "applied")
    idle = record(tmp_path / "idle", seconds=0.05)
    with pytest.raises(DataError, match="never engaged"):
        load_trajectory(idle / "episodes" / "000001.mcap")
    two = record(tmp_path / "two", seconds=0.2, episodes=2)
    with pytest.raises(DataError, match="choose one with --episode"):
        one_episode(two, None)
    assert one_episode(two, 2).name == "000002.mcap"
    with pytest.raises(DataError, match=r"has no episode 3 \(it has 1 to 2\)"):
        one_episode(two, 3)
    assert frozen_rig(log) == session / "rig.toml"
    with pytest.raises(ConfigError, match="--rig"):
        frozen_rig(tmp_path / "elsewhere.mcap")


def test_the_operator_s_devices_are_not_needed(log: Path) -> None:
    full = load_rig(HOMIE)
    assert set(replay_rig(full).devices) == {"world", "robot"}  # emulated pedals go too: nobody could press them
    assert set(replay_rig(load_rig(RIG, emulate=True)).devices) == {"robot"}
    assert set(replay_rig(full, watched=True).devices) == {"world", "robot", "head", "front"}  # somebody looks on


def test_a_real_robot_is_never_moved_unattended(log: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(log), "--rig", str(RIG), "--unattended"])
    assert ended.value.code == 2


def test_a_base_moves_only_while_time_runs() -> None:
    names = ("vx", "vy", "yaw_rate", "height")
    base = Track(names, np.array([0, 10, 20]) * PERIOD, np.array([[0.3, 0.1, 0.2, 0.7]] * 3), steps=True)
    agent = ReplayAgent({"robot/base": base}, 20 * PERIOD)
    states = [(State.MATCHING, 0)] * 2 + [(State.ENGAGED, 1000)] * 3
    seen = []
    for k, (state, since) in enumerate(states):
        now = [500, 900, 1000 + LEAD_IN_NS // 2, 1000 + LEAD_IN_NS + 5 * PERIOD, 1000 + LEAD_IN_NS + 30 * PERIOD][k]
        agent.timeline.step(state, since)
        seen.append(agent._command("robot/base", base, agent.timeline.progress(now), now).data)
    np.testing.assert_array_equal(seen[0], [0, 0, 0, 0.7])
    np.testing.assert_array_equal(seen[2], [0, 0, 0, 0.7])  # leading in
    np.testing.assert_array_equal(seen[3], [0.3, 0.1, 0.2, 0.7])
    np.testing.assert_array_equal(seen[4], [0, 0, 0, 0.7])  # through


@given(
    st.lists(st.tuples(st.integers(1, 3_000_000_000), st.integers(1, 2_000_000_000)), max_size=6),
    st.sampled_from([0.25, 1.0, 2.0]),
)
def test_time_is_what_was_spent_engaged(runs: list[tuple[int, int]], speed: float) -> None:
    length = 4_000_000_000
    timeline = Timeline(length, speed)
    now, spent, before = 1_000, 0, 0
    for engaged, held in runs:
        timeline.step(State.ENGAGED, now)
        timeline.step(State.ENGAGED, now)
        spent = min(length, spent + int(max(0, engaged - LEAD_IN_NS) * speed))
        now += engaged
        assert timeline.progress(now) == pytest.approx(spent, abs=10)
        timeline.step(State.HOLD, now)
        now += held
        assert timeline.progress(now) == pytest.approx(spent, abs=10)
        assert timeline.progress(now) >= before
        before = timeline.progress(now)
    assert timeline.stops == sum(1 for i in range(len(runs)) if timeline.progress_before(i) < length)
    t = np.arange(0, now, 50_000_000)
    along = timeline.along(t)
    inside = np.isfinite(along)
    assert (np.diff(along[inside]) >= -1e-6).all()
    assert not inside.any() or along[inside].max() <= length


@given(st.floats(-1e9, 3e9))
def test_between_two_commands_the_replay_goes_straight(t: float) -> None:
    track = Track(("a",), np.array([0, 1_000_000_000, 2_000_000_000]), np.array([[0.0], [1.0], [-1.0]]))
    assert track.at(t) == pytest.approx(np.interp(t, track.t, track.data[:, 0]))
    steps = Track(("a",), track.t, track.data, steps=True)
    assert steps.at(t) in (0.0, 1.0, -1.0)
