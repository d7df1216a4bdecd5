"""Rollouts in virtual time: the operator succeeds by hand and glove alone, and everything repeats bit for bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import h5py
import pytest

from telerig.datasets.assemble import BuildOptions
from telerig.datasets.build import build
from telerig.hardware.errors import ConfigError
from telerig.policies.evaluate import evaluate
from telerig.policies.evaluate_command import EvalRequest, _handicaps, run
from telerig.policies.rollout import rollout, rollout_spec
from telerig.teleop.rig import Rig, load_rig
from telerig.teleop.states import State
from telerig.teleop.virtual import VirtualSession

pytest.importorskip("mujoco")
RIGS = Path(__file__).parents[2] / "rigs"


@pytest.fixture(scope="module")
def rig() -> Rig:
    """The full cockpit without its cameras: nothing in these tests looks."""
    full = load_rig(RIGS / "homie_g1.toml")
    return dataclasses.replace(full, devices={n: d for n, d in full.devices.items() if n not in ("head", "front")})


def test_the_operator_does_the_task_and_twice_the_same(rig: Rig) -> None:
    first, second = rollout(rollout_spec(rig, "operator", 5)), rollout(rollout_spec(rig, "operator", 5))
    assert first.success
    assert first.engaged
    assert first.seconds < 8.0
    assert first == second  # digests of the joints at every tick, final joint vector, seconds
    assert rollout(rollout_spec(rig, "operator", 6)).digest != first.digest


def test_outcomes_do_not_depend_on_the_number_of_processes(rig: Rig) -> None:
    specs = [rollout_spec(rig, "operator", seed, limit_s=1.0) for seed in (1, 2)]
    assert evaluate(specs, processes=2).outcomes == evaluate(specs, processes=1).outcomes


def test_without_closing_fingers_there_is_no_success(rig: Rig) -> None:
    frozen = {"glove_right": ("freeze", {})}
    assert not rollout(rollout_spec(rig, "operator", 5, faults=frozen)).success


def test_without_an_exoskeleton_the_robot_is_held_then_damped(rig: Rig) -> None:
    states: list[int] = []

    def note(session: VirtualSession) -> None:
        states.append(int(session.loop.status.state))

    outcome = rollout(rollout_spec(rig, "operator", 5, unplug=("exo_right",), limit_s=2.0), note)
    assert outcome.engaged
    assert not outcome.success
    after = states[states.index(State.ENGAGED) :]
    assert [s for i, s in enumerate(after) if i == 0 or s != after[i - 1]] == [State.ENGAGED, State.HOLD, State.DAMPED]


def test_a_rig_without_a_world_cannot_be_rolled_out() -> None:
    follower = load_rig(RIGS / "follower.toml", emulate=True)
    with pytest.raises(ConfigError, match=r"operator\.name"):
        rollout(rollout_spec(follower, "operator", 1))


def test_a_dataset_holds_what_the_rig_s_devices_streamed_and_nothing_of_the_world(rig: Rig, tmp_path: Path) -> None:
    outcome = rollout(rollout_spec(rig, "operator", 5, record=str(tmp_path / "session")))
    assert outcome.success
    build([tmp_path / "session"], tmp_path / "data", BuildOptions(), "success")
    (episode,) = sorted((tmp_path / "data" / "episodes").glob("*.hdf5"))
    names: set[str] = set()
    with h5py.File(episode) as file:
        file.visit(names.add)
        streams = {n.split("/", 1)[1] for n in names if n.startswith(("time/", "native/"))}
    devices = {s.split("/")[0].split(".")[0] for s in streams}
    recorded = {n for n, d in rig.devices.items() if d.rig.record}
    assert devices <= recorded | {"row_ns"}, devices  # the rows' own instants
    forbidden = ("truth", "object", "success", "qpos", "qvel", "world", "contact")
    keys = {n for n in names if not n.startswith("meta")}
    assert not [n for n in keys if any(word in n.lower() for word in forbidden)]


def test_a_realsense_at_the_head_gives_the_same_dataset_keys(tmp_path: Path) -> None:
    """The head camera through librealsense instead of plainly: the same streams, shapes and units."""
    pytest.importorskip("pyrealsense2")
    keys = {}
    for name in ("homie_g1", "homie_g1_realsense"):
        session, data = tmp_path / name, tmp_path / f"{name}.data"
        rollout(rollout_spec(load_rig(RIGS / f"{name}.toml"), "operator", 5, limit_s=0.5, record=str(session)))
        build([session], data, BuildOptions())
        (episode,) = sorted((data / "episodes").glob("*.hdf5"))
        keys[name] = _datasets(episode)
    assert any("head" in key and "depth" in key for key in keys["homie_g1"])
    assert keys["homie_g1"] == keys["homie_g1_realsense"]


def _datasets(episode: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of a row of everything in an episode."""
    names: list[str] = []
    with h5py.File(episode) as file:
        file.visit(names.append)
        found = {name: file[name] for name in names}
        return {n: (str(d.dtype), d.shape[1:]) for n, d in found.items() if isinstance(d, h5py.Dataset)}


def test_eval_says_what_was_taken_from_the_agent(capsys: pytest.CaptureFixture[str]) -> None:
    plain = EvalRequest(
        RIGS / "homie_g1.toml", "operator", episodes=1, seed=5, processes=1, ablate=(), freeze=("glove_right",),
        unplug=("exo_left",), limit=1.0, record=None, as_json=True,
    )  # fmt: skip
    run(plain)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {k: told[k] for k in ("agent", "freeze", "unplug", "limit")} == {
        "agent": "operator", "freeze": ["glove_right"], "unplug": ["exo_left"], "limit": 1.0,
    }  # fmt: skip
    assert not {"ablate", "body"} & set(told)
    other = dataclasses.replace(plain, freeze=(), unplug=(), limit=None, ablate=("images",), body="telerig_g1")
    assert _handicaps(other) == {"ablate": ["images"], "body": "telerig_g1"}
