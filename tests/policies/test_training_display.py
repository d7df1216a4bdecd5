"""What both trainings show: signals end them properly, and the last line says how."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from telerig.hardware.errors import TelerigError
from telerig.policies.commands.training_display import show_end, stoppable


def test_signals_ask_training_to_end_and_a_second_ctrl_c_ends_it_at_once() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    with stoppable(signal.SIGINT, signal.SIGTERM) as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGTERM)
        assert stopped()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_is_refused_is_refused_without_a_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from telerig.policies.commands.train_display import run_with_display
    from telerig.policies.train import TrainConfig
    from telerig.policies.training_run import RunConfig

    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "config.json").write_text("{}")
    with pytest.raises(TelerigError):
        run_with_display(RunConfig(tmp_path / "data", tmp_path / "there"), TrainConfig(minutes=0.1), False)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_end({"complete": True, "steps": 3}, "3 steps", Path("there"), as_json=False)
    assert capsys.readouterr().out == "trained: 3 steps → there\n"
    show_end({"complete": False, "steps": 2}, "2 steps", Path("there"), as_json=False)
    assert capsys.readouterr().out == "stopped early (go on with --resume): 2 steps → there\n"
    show_end({"complete": False, "steps": 2}, "2 steps", Path("there"), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"complete": False, "steps": 2}
