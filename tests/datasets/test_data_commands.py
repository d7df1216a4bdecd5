"""``telerig build``, ``repair`` and ``info`` as a user meets them."""

from __future__ import annotations

import json
import shutil

import pytest
import typer
from typer.testing import CliRunner

from telerig.datasets.commands.build import build
from telerig.datasets.commands.info import info
from telerig.datasets.commands.repair import repair
from telerig.datasets.find import expand_sessions
from telerig.hardware.errors import DataError


def call(function, *arguments: object):
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def last(result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_build_then_info(session, tmp_path):
    out = tmp_path / "data"
    found = last(call(build, session, "--out", out, "--rate", "20", "--outcome", "success", "--no-depth", "--json"))
    assert (found["episodes"], found["skipped"]) == (1, {"not labelled success": 2, "discarded": 1})
    told = last(call(info, out, "--json"))
    assert (told["kind"], told["rate_hz"], told["embodiment"], told["cameras"]) == ("dataset", 20.0, "pair", ["head"])
    assert told["content_hash"] == found["content_hash"]
    episode = last(call(info, out / "episodes" / "000001.hdf5", "--json"))
    assert (episode["kind"], episode["outcome"]) == ("episode", "success")
    for path in (
        session,
        session / "session.mcap",
        session / "episodes" / "000001.mcap",
        out,
        out / "episodes" / "000001.hdf5",
    ):
        result = call(info, path)
        assert result.exit_code == 0, result.output
        assert path.name in result.stdout.replace("\n", "")


def test_build_speaks_to_people(session, tmp_path):
    result = call(build, session, "--out", tmp_path / "d", "--no-depth")
    assert result.exit_code == 0
    assert "3 episodes" in result.stdout
    assert "left out: 1 discarded" in result.stdout
    assert "warning: 000001.mcap: glove/joints" in result.stdout


def test_info_of_a_session_lists_every_episode(session):
    told = last(call(info, session, "--json"))
    assert [(e["name"], e["kept"], e["outcome"]) for e in told["episodes"]] == [
        ("000001", True, "success"), ("000002", True, "failure"), ("000004", True, None), ("000003", False, None),
    ]  # fmt: skip
    shown = call(info, session).stdout
    assert "discarded" in shown
    assert "task 1" in shown


def test_info_says_what_to_do_about_a_log_that_was_cut_short(session, tmp_path):
    assert "hint" not in last(call(info, session, "--json"))
    for name in ("session.mcap", "episodes/000002.mcap"):
        copy = shutil.copytree(session, tmp_path / name.replace("/", "_"))
        log = copy / name
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - 1)
        for path in (copy, log):
            assert f"telerig repair {path}" in last(call(info, path, "--json"))["hint"]
        assert last(call(info, copy, "--json"))["unclosed"] == [log.name]
        assert "hint" not in last(call(info, copy / "episodes" / "000001.mcap", "--json"))
    copy = shutil.copytree(session, tmp_path / "more")
    (copy / "episodes" / "000001.json").unlink()
    discarded = copy / "bin" / "000003.mcap"
    discarded.write_bytes(discarded.read_bytes()[:-1])
    assert last(call(info, copy, "--json"))["unclosed"] == ["000001.mcap", "000003.mcap"]


def test_repair_of_files_and_sessions(session, tmp_path):
    copy = shutil.copytree(session, tmp_path / "s")
    log = copy / "episodes" / "000001.mcap"
    log.write_bytes(log.read_bytes()[:50_000])
    (file,) = last(call(repair, log, "--json"))["files"]
    assert file["dropped"] > 0
    assert file["broken"].endswith("000001.mcap.broken")
    assert file["messages"] > 100
    partial = copy / "episodes" / "000009.mcap.partial"
    (copy / "episodes" / "000002.mcap").rename(partial)
    result = call(repair, tmp_path)
    assert result.exit_code == 0
    assert (copy / "episodes" / "000009.mcap").exists()
    assert call(repair, tmp_path).stdout == "nothing to repair\n"


def test_what_is_nothing_is_refused(tmp_path):
    for function in (info, repair):
        with pytest.raises(DataError):
            raise call(function, tmp_path / "none").exception
    with pytest.raises(DataError, match="holds none"):
        expand_sessions([tmp_path])
