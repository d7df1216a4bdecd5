"""What a person mistypes is refused in one line that names it, before anything is read, run or written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("mujoco", reason="mujoco is not installed")

from telerig.datasets.dataset import Dataset
from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.evaluate_command import EvalRequest, _specs
from telerig.policies.train import TrainConfig
from telerig.policies.training_run import Hooks, RunConfig, train_checkpoint
from telerig.teleop.cli.main import main
from telerig.teleop.rig import load_rig

RIG = Path(__file__).parents[2] / "rigs" / "homie_g1.toml"
PLAIN: dict[str, Any] = {
    "rig": RIG, "agent": "operator", "episodes": 1, "seed": 0, "processes": 1, "ablate": (), "freeze": (), "unplug": (),
    "limit": None, "record": None, "as_json": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"freeze": ("robot",)}, "--freeze robot: has no emulator"),
        ({"freeze": ("glove",)}, "has no device 'glove'"),
        ({"ablate": ("images",)}, "--ablate images: only a policy looks at anything; operator is none"),
        ({"ablate": ("images",), "agent": "replay:x.mcap"}, "--ablate images: only a policy"),
    ],
)
def test_what_eval_cannot_do_is_refused(how: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        _specs(EvalRequest(**(PLAIN | how)), load_rig(RIG))


def test_an_unknown_ablation_is_refused_before_anything_is_rolled_out(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="cannot ablate foo; known: images"):
        _specs(EvalRequest(**(PLAIN | {"agent": str(tmp_path), "ablate": ("foo",)})), load_rig(RIG))


@pytest.mark.parametrize("lacking", ["schema_version", "embodiment", "episodes", "content_hash"])
def test_a_description_that_lacks_something_is_no_dataset(tmp_path: Path, lacking: str) -> None:
    whole = {"schema_version": 1, "embodiment": {"name": "g1_like"}, "episodes": [], "content_hash": "0"}
    (tmp_path / "dataset.json").write_text(json.dumps(whole))
    assert Dataset.open(tmp_path).episodes == ()
    (tmp_path / "dataset.json").write_text(json.dumps({k: v for k, v in whole.items() if k != lacking}))
    with pytest.raises(DataError, match=f"has no {lacking}"):
        Dataset.open(tmp_path)


def test_an_unknown_policy_is_refused_before_the_dataset_is_read(tmp_path: Path) -> None:
    from telerig.hardware.clock import RealClock

    run = RunConfig(tmp_path / "no-dataset", tmp_path / "out")
    with pytest.raises(ConfigError, match="policy 'nosuch' is unknown"):
        train_checkpoint(run, TrainConfig("nosuch", minutes=1.0), RealClock(), Hooks())


@pytest.mark.parametrize("option", ["--threads", "--max-steps", "--batch", "--horizon", "--stride"])
def test_numbers_that_make_no_training_are_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", str(tmp_path), "--out", str(tmp_path / "out"), option, "0"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert option in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("rate_hz = 200", "rateh = 200", "session.rateh: unknown key; known: rate_hz, task"),
        ('driver = "exo_arm"', 'emulat = true\ndriver = "exo_arm"', r"exo_left.emulat: unknown key; known: .*emulate"),
    ],
)
def test_an_unknown_key_of_a_rig_is_told_with_those_that_are_known(
    before: str, after: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "rig.toml"
    text = RIG.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigError, match=why):
        load_rig(path)
