"""A rig's virtual operator and body policy as they are told: mistakes are one line, and never a traceback."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from telerig.drivers.operator_shelf_to_table import ShelfToTableOperator
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.teleop.operators import LIMIT_S, operator_settings, task_limit
from telerig.teleop.rig import Rig, load_rig, with_policy

RIGS = Path(__file__).parents[2] / "rigs"
HELD, WALKS = RIGS / "homie_g1.toml", RIGS / "homie_g1_walk.toml"


def told(path: Path, text: str) -> Rig:
    path.write_text(text)
    return load_rig(path)


def test_an_operator_that_walks_is_refused_where_the_pelvis_is_held(tmp_path: Path) -> None:
    text = HELD.read_text().replace('name = "pick_place"', 'name = "shelf_to_table"')
    with pytest.raises(ConfigError, match=r"operator\.name: it has to see pelvis, which world/truth does not tell"):
        operator_settings(told(tmp_path / "rig.toml", text), 0)
    assert operator_settings(load_rig(HELD), 3)["config"]["seed"] == 3
    assert operator_settings(load_rig(WALKS), 0)["factory"].endswith(":ShelfToTableOperator")


def test_a_world_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = WALKS.read_text() + 'world = "elsewhere"\n'
    with pytest.raises(ConfigError, match="no simulated world is called 'elsewhere'"):
        operator_settings(told(tmp_path / "rig.toml", text), 0)


def test_an_embodiment_that_does_not_walk_is_a_mistake_of_the_rig(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = replace(load_embodiment("g1_like"), base=None)
    monkeypatch.setattr("telerig.drivers.operator_shelf_to_table.load_embodiment", lambda name: robot)
    with pytest.raises(ConfigError, match="does not walk"):
        ShelfToTableOperator(0)


def test_the_time_for_a_task_is_its_operators_whoever_does_it(tmp_path: Path) -> None:
    assert task_limit(load_rig(WALKS)) == 60.0
    assert task_limit(load_rig(HELD)) == LIMIT_S
    nobody = WALKS.read_text().partition("[operator]")[0]
    assert task_limit(told(tmp_path / "rig.toml", nobody)) == LIMIT_S


@pytest.mark.parametrize("policy", ["\U0001f600", "with \x7f in it", 'a "quoted" \\ name', "ä/pölicy"])
def test_any_name_of_a_body_policy_can_be_told(policy: str) -> None:
    text = with_policy(WALKS.read_text(), policy, WALKS)
    assert tomllib.loads(text)["body"] == {"device": "robot", "policy": policy}


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--body 'a\\udcff': not UTF-8"):
        with_policy(WALKS.read_text(), "a\udcff", WALKS)


@pytest.mark.parametrize("text", [
    '[body]\npolicy = "a"\nmodel = "b"\n[operator]\npolicy = 1\n',
    '[operator]\npolicy = 1\n\n  [ body ]\n  policy = "a"\n\tmodel = "b"\n',
])  # fmt: skip
def test_the_line_is_found_wherever_it_stands(text: str) -> None:
    found = tomllib.loads(with_policy(text, "other", Path("rig.toml")))
    assert found == {"body": {"policy": "other"}, "operator": {"policy": 1}}


def test_a_rig_without_the_line_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no line policy"):
        with_policy('[operator]\npolicy = "a"\n', "other", Path("rig.toml"))
