"""Virtual time: the same loop, guard and drivers; unplugging, e-stop and a real wizard's patience, without waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from telerig.hardware.commands import Mode
from telerig.hardware.events import Event
from telerig.teleop.bench.hands import SineHand
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.live import COCKPIT
from telerig.teleop.rig import load_rig
from telerig.teleop.states import State
from telerig.teleop.virtual import VirtualSession

RIG = Path(__file__).parents[2] / "rigs" / "follower.toml"
STEPS_A_SECOND = 200


class Follower:
    """The follower rig in virtual time, worn by a hand that waves."""

    def __init__(self, record: Path | None = None, rig_file: Path = RIG) -> None:
        hand = SineHand("follower_arm", {"leader": ["arm", "gripper"]}, keyboard=True)
        self.events: list[Event] = []
        rig = load_rig(rig_file, emulate=True)
        self.session = VirtualSession(rig, COCKPIT, hand.step, record=record, on_event=self.events.append)

    def run(self, seconds: float, until: State | None = None) -> State:
        """So many seconds, or until a state is reached."""
        for _ in range(round(seconds * STEPS_A_SECOND)):
            state = self.session.step().state
            if state is until:
                break
        return state

    def engage(self) -> None:
        """Release, press, match."""
        self.session.enable = False
        self.run(0.05)
        self.session.enable = True
        assert self.run(20.0, State.ENGAGED) is State.ENGAGED

    def action(self) -> Mode:
        """What the actuator's half of the guard did last."""
        sample = self.session.readers["robot/joints/applied"].latest()
        assert sample is not None
        return Mode(int(sample.array("action")))


@pytest.fixture
def follower():
    """Homed and idle."""
    rig = Follower()
    with rig.session:
        assert rig.run(30.0, State.HOMING) is State.HOMING
        assert rig.run(30.0, State.IDLE) is State.IDLE
        yield rig


def test_homing_goes_slowly_and_ends_at_home(follower: Follower) -> None:
    state = follower.session.readers["robot/state"].latest()
    target = follower.session.plans["robot"].targets[0]
    assert state is not None
    assert abs(state.array("position") - target.home).max() < 0.05


def test_unplugged_means_hold_then_damp_and_only_a_new_press_moves_again(follower: Follower) -> None:
    follower.engage()
    assert follower.action() is Mode.JOINT_POSITION
    follower.session.unplugged.add("leader")
    assert follower.run(0.01) is State.HOLD  # no need to wait until its last sample is 0.1 s old
    assert follower.session.loop.status.text.endswith("(leader/joints, its device is gone)")
    follower.session.unplugged.clear()
    assert follower.run(1.2, State.DAMPED) is State.DAMPED  # the stream is back, enable still held: nothing moves
    assert follower.run(1.0) is State.DAMPED
    assert follower.action() is Mode.DAMP
    follower.engage()
    told = [e for e in follower.events if e.code == "device.lost"]
    assert [e.source for e in told] == ["leader"]


def test_the_rigs_own_limit_counts_in_virtual_time_too(tmp_path: Path) -> None:
    text = RIG.read_text()
    assert text.count("[devices.leader]\n") == 1
    file = tmp_path / "patient.toml"
    file.write_text(text.replace("[devices.leader]\n", "[devices.leader]\nstale_ms = 1000\n"))
    patient = Follower(rig_file=file)
    with patient.session:
        patient.run(30.0, State.HOMING)
        patient.run(30.0, State.IDLE)
        patient.engage()
        patient.session.unplugged.add("leader")
        assert patient.run(0.9) is State.ENGAGED
        assert patient.run(0.2, State.HOLD) is State.HOLD


def test_a_silent_servo_stops_the_arm_and_is_named(follower: Follower) -> None:
    follower.engage()
    follower.session.emulator("leader").fault("silent", servo=4)
    assert follower.run(1.0, State.HOLD) is State.HOLD
    assert any("elbow" in e.text for e in follower.events)


def test_estop_is_latched_until_reset(follower: Follower) -> None:
    follower.engage()
    follower.session.control.press_estop()
    assert follower.run(0.02, State.ESTOP) is State.ESTOP
    assert follower.action() is Mode.HOLD  # at once
    follower.session.enable = False
    assert follower.run(0.89) is State.ESTOP
    assert follower.action() is Mode.HOLD
    assert follower.run(0.02) is State.ESTOP
    assert follower.action() is Mode.DAMP
    assert follower.run(1.0) is State.ESTOP
    follower.session.control.reset_estop()
    assert follower.run(0.05, State.IDLE) is State.IDLE
    follower.engage()


def test_releasing_enable_holds_within_50_ms(follower: Follower) -> None:
    follower.engage()
    follower.session.enable = False
    assert follower.run(0.05, State.HOLD) is State.HOLD
    assert follower.action() is Mode.HOLD


def test_every_sample_is_recorded(tmp_path: Path) -> None:
    from telerig.datasets.rawlog_reader import RawLog

    rig = Follower(tmp_path / "session")
    with rig.session as session:
        rig.run(30.0, State.IDLE)
        session.episode(EpisodeCommand.START, "wave")
        rig.run(1.0)
        written = {n: session.readers[n].written for n in ("leader/joints", "robot/state", "loop/ticks")}
        rig.run(1.0)
        session.episode(EpisodeCommand.KEEP, "success")
        rig.run(0.1)
        more = {n: session.readers[n].written - written[n] for n in written}
    (log,) = (tmp_path / "session" / "episodes").glob("*.mcap")
    with RawLog(log) as raw:
        assert raw.episode is not None
        for name in ("leader/joints", "robot/state"):
            numbers = [s.seq for s in raw.samples(name)]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert len(numbers) > more[name]
