"""What the walking commands hand on: body policy, time limit, seeds, the robot that may fall; and a robot that does."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telerig.hardware.worlds import shelf_to_table
from telerig.policies import demo_walk, evaluate_command
from telerig.policies.demo_walk import WalkRequest, blind
from telerig.policies.evaluate_command import EvalRequest
from telerig.policies.rollout import RolloutSpec, rollout, rollout_spec
from telerig.teleop import teleoperate
from telerig.teleop.rig import load_rig
from telerig.teleop.teleoperate import TeleopRequest

from . import body_toy

RIG = Path(__file__).parents[2] / "rigs" / "homie_g1_walk.toml"
EVAL = EvalRequest(RIG, "operator", 2, 5, 1, (), (), (), None, None, False)


class Stop(Exception):
    """Far enough."""


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch) -> list[RolloutSpec]:
    """Those that would be rolled out."""
    found: list[RolloutSpec] = []

    def evaluate(given: Any, *_: Any) -> None:
        found.extend(given)
        raise Stop

    for module in (demo_walk, evaluate_command):
        monkeypatch.setattr(module, "evaluate_shown", evaluate)
    return found


def test_eval_hands_on_the_body_policy_and_the_tasks_own_limit(specs: list[RolloutSpec]) -> None:
    with pytest.raises(Stop):
        evaluate_command.run(EvalRequest(**{**vars(EVAL), "body": "another"}))
    assert [(s.seed, s.limit_s) for s in specs] == [(5, 60.0), (6, 60.0)]
    assert all('policy = "another"' in str(s.rig) for s in specs)


def test_a_checkpoint_has_as_long_for_the_task_as_the_operator(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for agent, limit, given in ((str(tmp_path), 60.0, None), (str(tmp_path), 20.0, 20.0), ("operator", 60.0, None)):
        request = EvalRequest(**{**vars(EVAL), "agent": agent, "limit": given})
        assert {s.limit_s for s in evaluate_command._specs(request, load_rig(RIG))} == {limit}


def test_the_demo_evaluates_on_seeds_that_no_recorded_episode_has(specs: list[RolloutSpec]) -> None:
    with pytest.raises(Stop):
        demo_walk._virtual(WalkRequest(RIG, Path("out"), rollouts=2), load_rig(RIG, body="another"))
    assert [(s.seed, s.limit_s) for s in specs] == [(10_000, 60.0), (10_001, 60.0)]
    assert all('policy = "another"' in str(s.rig) for s in specs)


def test_teleop_hands_on_the_body_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = []

    @contextmanager
    def running(rig: Any, *_: Any) -> Any:
        policies.append(rig.file.body["policy"])
        raise Stop
        yield

    monkeypatch.setattr(teleoperate, "running", running)
    for body in ("another", ""):
        with pytest.raises(Stop):
            teleoperate.teleoperate(TeleopRequest(RIG, operator="virtual", body=body))
    assert policies == ["another", load_rig(RIG).file.body["policy"]]


@pytest.mark.parametrize(("name", "limit", "walker"), [
    ("homie_g1_walk.toml", 60.0, "robot"), ("homie_g1.toml", 8.0, ""),
])  # fmt: skip
def test_trials_know_the_tasks_limit_and_who_may_fall(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: float, walker: str
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(teleoperate, "Trials", lambda *args: given.extend(args))
    rig = load_rig(RIG.with_name(name))
    teleoperate._trials(TeleopRequest(rig.path, trials=2, seed=4), rig, Any, Any)  # type: ignore[arg-type]
    assert given[2:7] == ["world", [4, 5], False, limit, walker]


def test_the_picture_is_of_a_success_if_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr("telerig.teleop.view.command.convert_one", lambda log, *_: drawn.append(log))
    kept = {"all": ["failure", "success"], "success": ["success"]}

    def select(_: Any, outcome: str = "all") -> Any:
        return [SimpleNamespace(log=log) for log in kept[outcome]], None

    monkeypatch.setattr("telerig.datasets.sources.select", select)
    assert demo_walk._picture(tmp_path, tmp_path) == tmp_path / "walk.rrd"
    kept["success"] = []
    demo_walk._picture(tmp_path, tmp_path)
    kept["all"] = []
    assert demo_walk._picture(tmp_path, tmp_path) is None
    assert drawn == ["success", "failure"]


def test_a_rollout_ends_when_the_robot_falls_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This policy topples; the world says what was done of the task until then."""
    pytest.importorskip("mujoco")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(shelf_to_table, "phases", lambda *_: (True, False, False, False))
    found = rollout(rollout_spec(blind(load_rig(RIG, body=body_toy.write(tmp_path))), "operator", 3, limit_s=6.0))
    assert found.fell
    assert not found.success
    assert found.seconds < 5.0
    assert found.missing == "pick up"
