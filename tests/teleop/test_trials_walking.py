"""Trials of a virtual operator: who judges, what is told of a failure, and which e-stop is reset, when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError
from telerig.hardware.legs import Balance
from telerig.hardware.samples import Sample
from telerig.hardware.scene import SCENE, SceneRequest
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.control import ControlBlock
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.falls import Falls
from telerig.teleop.operators import LIMIT_S, operator_limit
from telerig.teleop.phases import Progress
from telerig.teleop.rig import load_rig, with_policy
from telerig.teleop.stream import LocalReader, LocalStream
from telerig.teleop.trials import GRACE_S, REST_S, Trials

PARTS = ("walk", "pick", "place")
TRUTH = StreamSpec(
    "world/truth",
    (ArraySpec("episode", (), "<i8"), ArraySpec("success", (), "<u1"), ArraySpec("phases", (3,), "<u1", "", PARTS)),
    100.0,
)
BALANCE = StreamSpec("robot/balance", (ArraySpec("state", (), "<u1"),), 50.0)
RECORDER = StreamSpec("recorder/state", (ArraySpec("recording", (), "<u1"),), 30.0)
PRESSED = StreamSpec("loop/episode", (ArraySpec("command", (), "<u1"),), 10.0)
POLL_NS = 100_000_000
RIGS = Path(__file__).parents[2] / "rigs"


class Beside:
    """A session and its steward in one, with somebody who presses *episode* and a robot that may fall."""

    def __init__(self, trials: int = 2, walker: str = "robot", may_reset: bool = True) -> None:
        self.clock, self.control = VirtualClock(), ControlBlock()
        self.streams = {s.name: LocalStream(s) for s in (TRUTH, BALANCE, PRESSED, SCENE, RECORDER)}
        self.told: list[EpisodeCommand] = []
        self.state = Balance.BALANCING
        self.trials = Trials(  # type: ignore[arg-type]
            self,
            self,
            "world",
            list(range(trials)),
            True,
            60.0,
            walker,
            may_reset,  # type: ignore[arg-type]
        )

    def reader(self, name: str) -> LocalReader:
        return LocalReader(self.streams[name])

    def writer(self, name: str) -> LocalStream:
        return self.streams[name]

    def say(self, *_: object, **__: object) -> None:
        """Nobody listens."""

    def episode(self, command: EpisodeCommand, text: str = "") -> None:
        self.told.append(command)

    def fall(self) -> int:
        """As the body does: FALLEN, and its press of the e-stop."""
        self.state = Balance.FALLEN
        self.control.press_estop()
        return self.control.newest_press

    def write(self, stream: str, **values: object) -> None:
        now = self.clock.now()
        self.streams[stream].write(Sample(stream, now, now, {k: np.array(v) for k, v in values.items()}))

    def press(self) -> None:
        self.write("loop/episode", command=np.uint8(1))

    def poll(
        self, seconds: float, phases: tuple[int, int, int] = (0, 0, 0), success: bool = False, episode: int = 0
    ) -> None:
        """Let time pass in the present scene, or in another one."""
        for _ in range(round(seconds * 1e9 / POLL_NS)):
            self.clock.advance(POLL_NS)
            shown = episode or len(self.trials.results) + 1
            self.write("world/truth", episode=shown, success=np.uint8(success), phases=np.array(phases, np.uint8))
            self.write("robot/balance", state=np.uint8(self.state))
            self.trials.step()

    @property
    def scene(self) -> SceneRequest:
        sample = self.reader(SCENE.name).latest()
        assert sample is not None
        return SceneRequest.from_sample(sample)


def test_the_world_judges_when_the_operator_presses_again() -> None:
    beside = Beside()
    assert beside.scene == SceneRequest(1, 0, reset_robot=True)
    beside.poll(3.0)
    beside.press()
    beside.poll(30.0, (1, 0, 0))
    beside.poll(5.0, (1, 1, 1), success=True)
    beside.press()
    beside.poll(0.1, (1, 1, 1), success=True)
    (first,) = beside.trials.results
    assert first.success
    assert first.missing == ""
    assert first.seconds == pytest.approx(35.0, abs=0.3)
    assert beside.told == [EpisodeCommand.LABEL_SUCCESS]
    beside.poll(2.2)
    assert beside.scene.episode == 1  # the operator's arms are on their way home
    beside.poll(0.5)
    assert beside.scene == SceneRequest(2, 1, reset_robot=True)


def test_what_was_once_done_counts_and_what_was_never_done_is_told() -> None:
    beside = Beside()
    beside.poll(3.0)
    beside.press()
    beside.poll(10.0, (1, 1, 0))  # picked up, and dropped
    beside.poll(1.0, (0, 0, 0))
    beside.press()
    beside.poll(0.1)
    assert [(t.success, t.reason, t.missing) for t in beside.trials.results] == [(False, "", "place")]
    beside.poll(REST_S + 3.0)
    beside.press()
    beside.poll(63.0, (1, 0, 0))
    assert [(t.reason, t.missing) for t in beside.trials.results[1:]] == [("took too long", "pick")]
    assert beside.told == [EpisodeCommand.LABEL_FAILURE, EpisodeCommand.DISCARD]


def test_success_counts_only_in_time_and_in_this_trial_s_scene() -> None:
    beside = Beside(3)
    for late, episode in ((61.0, 0), (10.0, 7)):
        beside.poll(REST_S + 3.0)
        beside.press()
        beside.poll(late, success=True, episode=episode)
        beside.press()
        beside.poll(0.1, success=True, episode=episode)
    assert [t.success for t in beside.trials.results] == [False, False]


@pytest.mark.parametrize("shown", [True, False])
def test_a_press_that_comes_after_its_trial_is_over_begins_nothing(shown: bool) -> None:
    beside = Beside()
    beside.poll(3.0)
    beside.press()
    beside.poll(62.4)
    assert [t.reason for t in beside.trials.results] == ["took too long"]
    beside.press()
    beside.poll(0.2, episode=0 if shown else 1)
    assert beside.told == [EpisodeCommand.DISCARD] * 2  # the trial's, and what the press began
    beside.poll(2.0)
    beside.press()  # the trial's own
    beside.poll(5.0)
    beside.press()
    beside.poll(0.1)
    assert [t.reason for t in beside.trials.results] == ["took too long", ""]
    assert beside.trials.results[1].seconds == pytest.approx(5.0, abs=0.3)


def fallen(may_reset: bool = True, trials: int = 2) -> tuple[Beside, int]:
    """In the first trial, its e-stop pressed; the world does not show the next scene yet."""
    beside = Beside(trials, may_reset=may_reset)
    beside.poll(3.0)
    beside.press()
    beside.poll(5.0, (1, 0, 0))
    press = beside.fall()
    beside.poll(0.1, (1, 0, 0))
    assert [(t.reason, t.missing) for t in beside.trials.results] == [("fell", "pick")]
    assert beside.scene == SceneRequest(2, 1, reset_robot=True)
    return beside, press


def test_a_fall_s_e_stop_is_reset_once_the_world_shows_the_robot_in_its_gantry() -> None:
    beside, press = fallen()
    beside.poll(5.0, episode=1)
    assert beside.control.resets == 0
    beside.poll(2.5)
    assert beside.control.resets == 2
    assert beside.control.asked_press == press
    beside.control.clear_estop(press)  # the loop grants it
    beside.state = Balance.LIMP
    beside.poll(GRACE_S)
    assert beside.control.resets == 2
    assert beside.trials.results[1].reason == "the operator did not begin"


def test_a_press_after_the_fall_s_was_cleared_is_a_person_s_though_the_robot_still_lies() -> None:
    beside, press = fallen()
    beside.control.clear_estop(press)
    beside.poll(0.2)
    beside.control.press_estop()
    beside.poll(5.0)
    assert beside.control.resets == 0


class PressedBetween(ControlBlock):
    """Somebody presses right after the newest press was looked at, once ``between`` is set."""

    between = False

    @property
    def newest_press(self) -> int:
        """As ever."""
        seen = super().newest_press
        if self.between:
            self.between = False
            self.press_estop()
        return seen


def lying(control: ControlBlock) -> Falls:
    """A robot that lay down on the floor just now, with nobody's e-stop but what the control block holds."""
    balance = LocalStream(BALANCE)
    balance.write(Sample(BALANCE.name, 0, 0, {"state": np.array(int(Balance.FALLEN))}))
    return Falls(LocalReader(balance), control, True)


def test_a_person_s_press_between_two_reads_of_one_look_is_not_reset() -> None:
    control = PressedBetween()
    control.press_estop()  # the fall's
    falls = lying(control)
    control.between = True
    assert falls.look()
    for second in range(2, 6):
        falls.look()
        falls.reset(second * 1_000_000_000, 0)
    assert control.resets == 0


def test_a_press_long_cleared_is_none_beside_the_fall_s() -> None:
    control = PressedBetween()
    control.press_estop()
    control.clear_estop(control.newest_press)
    falls = lying(control)
    falls.look()
    control.between = True  # the fall's own, after the old one was read
    for second in range(2, 6):
        falls.look()
        falls.reset(second * 1_000_000_000, 0)
    assert control.resets > 0
    assert control.asked_press == control.newest_press


def test_where_something_real_moves_no_program_resets_a_fall() -> None:
    beside, _ = fallen(may_reset=False)
    beside.poll(10.0)
    assert beside.control.resets == 0


def test_an_e_stop_that_somebody_pressed_is_not_reset() -> None:
    beside = Beside()
    beside.poll(3.0)
    beside.press()
    beside.control.press_estop()
    beside.poll(20.0)
    assert beside.control.resets == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_press_beside_that_of_the_fall_is_for_a_person_to_reset(when: str) -> None:
    if when == "before":
        beside = Beside(4)
        beside.poll(3.0)
        beside.press()
        beside.control.press_estop()
        beside.poll(0.2)
        beside.fall()
    else:
        beside, _ = fallen(trials=4)
        beside.control.press_estop()
    beside.poll(10.0)
    assert [t.reason for t in beside.trials.results] == ["fell"]
    assert beside.control.resets == 0
    beside.control.clear_estop(beside.control.newest_press)  # a person did
    beside.state = Balance.BALANCING
    beside.poll(2.0)
    press = beside.fall()  # and from then on it is as ever
    beside.poll(2.0)
    assert beside.control.asked_press == press


def test_a_robot_that_falls_before_the_operator_begins_gets_a_new_scene() -> None:
    beside = Beside()
    beside.poll(3.0)
    beside.fall()
    beside.poll(0.2)
    assert [t.reason for t in beside.trials.results] == ["fell"]
    assert beside.scene == SceneRequest(2, 1, reset_robot=True)
    assert beside.control.resets == 0


def test_a_robot_that_is_held_stays_where_it_is_between_trials() -> None:
    assert not Beside(walker="").scene.reset_robot


def test_a_world_that_tells_no_parts_is_fine() -> None:
    plain = StreamSpec("world/truth", (ArraySpec("episode", (), "<i8"), ArraySpec("success", (), "<u1")), 100.0)
    progress = Progress(plain)
    progress.look(Sample("world/truth", 0, 0, {"episode": np.array(1), "success": np.array(0, np.uint8)}))
    assert progress.missing == ""


def test_operators_say_how_long_they_may_take() -> None:
    assert operator_limit(load_rig(RIGS / "homie_g1.toml")) == LIMIT_S
    assert operator_limit(load_rig(RIGS / "homie_g1_walk.toml")) == 60.0


def test_another_body_policy_travels_in_the_rig_s_text(tmp_path: Path) -> None:
    path = RIGS / "homie_g1_walk.toml"
    rig, other = load_rig(path), load_rig(path, body=str(tmp_path / "mine.toml"))
    assert other.file.body == {**rig.file.body, "policy": str(tmp_path / "mine.toml")}
    assert str(tmp_path / "mine.toml") in other.text
    assert other.file.operator == rig.file.operator
    assert load_rig(path, body="homie_g1").file.body["policy"] == "homie_g1"
    text = '[body]\ndevice = "robot"\n'
    for lacking in ('name = "x"\npolicy = "a"\n', "\n" + text):
        with pytest.raises(ConfigError, match=r"no line policy = … in a table \[body\]"):
            with_policy(lacking, "b", path)
    assert with_policy(f'\n{text}model = "m.onnx"\npolicy = "a"\n[z]\npolicy = "z"\n', "b", path).split() == (
        ["[body]", "device", "=", '"robot"', "policy", "=", '"b"', "[z]", "policy", "=", '"z"']
    )
