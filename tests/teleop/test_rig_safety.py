"""What a rig file may not do: switch limits off, pass for simulated, or fail after something has started."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telerig.hardware.errors import ConfigError
from telerig.teleop.cli.main import main
from telerig.teleop.live import LiveOptions, build, is_simulated
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import load_rig

RIGS = Path(__file__).parents[2] / "rigs"


def _changed(folder: Path, old: str, new: str) -> Path:
    text = (RIGS / "homie_g1.toml").read_text()
    assert old in text
    (folder / "rig.toml").write_text(text.replace(old, new))
    return folder / "rig.toml"


def test_staleness_cannot_be_switched_off(tmp_path: Path) -> None:
    path = _changed(tmp_path, "[devices.pedals]\n", "[devices.pedals]\nstale_ms = 9000000\n")
    with pytest.raises(ConfigError, match=r"devices\.pedals\.stale_ms: input should be less than or equal to 1000"):
        load_rig(path)


def test_a_cockpit_s_mistake_is_told_before_anything_runs(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    rig = load_rig(_changed(tmp_path, '"three_finger"', '"six_finger"'))
    with pytest.raises(ConfigError, match=r"cockpit\.hands\.0: hand table 'six_finger' is unknown"):
        build(rig, tmp_path, LiveOptions(record=tmp_path / "session"))
    assert not (tmp_path / "session").exists()


def test_an_arm_that_is_not_calibrated_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'leader' is not calibrated; run: telerig calibrate"):
        build(load_rig(RIGS / "follower.toml"), tmp_path, LiveOptions())


def test_simulated_is_what_says_so_and_not_what_has_a_key_called_world() -> None:
    pytest.importorskip("mujoco")
    assert is_simulated(plan_devices(load_rig(RIGS / "homie_g1.toml")))
    assert not is_simulated(plan_devices(load_rig(RIGS / "follower.toml")))
    assert is_simulated(plan_devices(load_rig(RIGS / "follower.toml", emulate=True)))
    real = SimpleNamespace(rig=SimpleNamespace(emulate=False), driver=object(), config_values={"world": "base_link"})
    plans: Any = {"arm": SimpleNamespace(moves=True, device=real)}
    assert not is_simulated(plans)


SECOND = """[devices.second]
driver = "dynamixel_arm"
port = "/dev/serial/by-id/SECOND"
{more}
[devices.robot]
"""
ARM7 = 'embodiment = "arm7"\nids = [11, 12, 13, 14, 15, 16, 17, 18]'


def test_robots_of_two_embodiments_are_refused_because_a_recording_names_one(tmp_path: Path) -> None:
    text = (RIGS / "follower.toml").read_text()
    (tmp_path / "rig.toml").write_text(text.replace("[devices.robot]\n", SECOND.format(more=ARM7)))
    with pytest.raises(ConfigError, match=r"devices\.second \(arm7\), devices\.robot \(follower_arm\)"):
        plan_devices(load_rig(tmp_path / "rig.toml"))
    (tmp_path / "rig.toml").write_text(text.replace("[devices.robot]\n", SECOND.format(more="")))
    assert [n for n, p in plan_devices(load_rig(tmp_path / "rig.toml")).items() if p.moves] == ["second", "robot"]


@pytest.mark.parametrize("option", ["--trials", "--seed"])
def test_trials_of_a_human_operator_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["teleop", str(RIGS / "follower.toml"), "--emulate", option, "1"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {option} is for --operator virtual")
    assert told.count("\n") == 1
