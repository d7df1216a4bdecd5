"""Trials of a virtual operator: who judges, what is told of a failure, and which e-stop is reset."""

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

    def __init__(self, trials: int = 2, walker: str = "robot") -> None:
        self.clock, self.control = VirtualClock(), ControlBlock()
        self.streams = {s.name: LocalStream(s) for s in (TRUTH, BALANCE, PRESSED, SCENE, RECORDER)}
        self.told: list[EpisodeCommand] = []
        self.resets = 0
        self.trials = Trials(self, self, "world", list(range(trials)), True, 60.0, walker)  # type: ignore[arg-type]

    def reader(self, name: str) -> LocalReader:
        return LocalReader(self.streams[name])

    def writer(self, name: str) -> LocalStream:
        return self.streams[name]

    def say(self, *_: object, **__: object) -> None:
        """Nobody listens."""

    def episode(self, command: EpisodeCommand, text: str = "") -> None:
        self.told.append(command)

    def reset(self) -> None:
        self.resets += 1

    def write(self, stream: str, **values: object) -> None:
        now = self.clock.now()
        self.streams[stream].write(Sample(stream, now, now, {k: np.array(v) for k, v in values.items()}))

    def press(self) -> None:
        self.write("loop/episode", command=np.uint8(1))

    def poll(
        self, seconds: float, phases: tuple[int, int, int] = (0, 0, 0), success: bool = False, state: Balance = Balance.BALANCING
    ) -> None:  # fmt: skip
        """Let time pass in the present scene."""
        for _ in range(round(seconds * 1e9 / POLL_NS)):
            self.clock.advance(POLL_NS)
            episode = len(self.trials.results) + 1
            self.write("world/truth", episode=episode, success=np.uint8(success), phases=np.array(phases, np.uint8))
            self.write("robot/balance", state=np.uint8(state))
            self.trials.step()

    @property
    def scene(self) -> SceneRequest:
        sample = self.reader(SCENE.name).latest()
        assert sample is not None
        return SceneRequest.from_sample(sample)


def test_the_world_judges_when_the_operator_presses_again() -> None:
    beside = Beside()
    assert beside.scene == SceneRequest(1, 0, reset_robot=True)
    beside.press()
    beside.poll(30.0, (1, 0, 0))
    beside.poll(5.0, (1, 1, 1), success=True)
    beside.press()
    beside.poll(0.1, (1, 1, 1), success=True)
    (first,) = beside.trials.results
    assert first.success
    assert first.missing == ""
    assert first.seconds == pytest.approx(35.0, abs=0.3)
    assert beside.told == [EpisodeCommand.DISCARD, EpisodeCommand.LABEL_SUCCESS]
    beside.poll(REST_S - 0.3)
    assert beside.scene.episode == 1  # the operator's arms are on their way home
    beside.poll(0.5)
    assert beside.scene == SceneRequest(2, 1, reset_robot=True)


def test_what_was_once_done_counts_and_what_was_never_done_is_told() -> None:
    beside = Beside()
    beside.press()
    beside.poll(10.0, (1, 1, 0))  # picked up, and dropped
    beside.poll(1.0, (0, 0, 0))
    beside.press()
    beside.poll(0.1)
    assert [(t.success, t.reason, t.missing) for t in beside.trials.results] == [(False, "", "place")]
    beside.poll(REST_S + 0.2)
    beside.press()
    beside.poll(63.0, (1, 0, 0))
    assert [(t.reason, t.missing) for t in beside.trials.results[1:]] == [("took too long", "pick")]
    new_scene = EpisodeCommand.DISCARD  # of what a late press began
    assert beside.told == [new_scene, EpisodeCommand.LABEL_FAILURE, new_scene, EpisodeCommand.DISCARD]


def test_after_a_fall_and_only_then_the_e_stop_is_reset() -> None:
    beside = Beside()
    beside.press()
    beside.poll(5.0, (1, 0, 0))
    beside.poll(0.1, (1, 0, 0), state=Balance.FALLEN)
    assert [(t.reason, t.missing) for t in beside.trials.results] == [("fell", "pick")]
    assert beside.scene == SceneRequest(2, 1, reset_robot=True)
    assert beside.resets == 0
    beside.poll(2.5, state=Balance.FALLEN)
    assert beside.resets == 2
    beside.poll(5.0, state=Balance.LIMP)
    assert beside.resets == 2
    beside.poll(GRACE_S, state=Balance.LIMP)
    assert beside.trials.results[1].reason == "the operator did not begin"


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
