"""The command line finds its subcommands by name, stays light, and says in one line what went wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest

from telerig.hardware.errors import ConfigError, DeviceError, TelerigError
from telerig.teleop.cli import main as cli

ROOT = Path(__file__).parents[1]
HEAVY = {"numpy", "torch", "mujoco", "h5py", "pydantic", "rerun", "cv2", "scipy", "google.protobuf"}
FOLDERS = ("hardware", "drivers", "datasets", "teleop", "policies")

PLUGIN = """
import enum
from typing import Annotated
import typer
from telerig.hardware.errors import ConfigError, DeviceError

class Colour(enum.StrEnum):
    RED = "red"

def ok(name: str, times: int = 1, colour: Colour = Colour.RED) -> None:
    "Greets."
    for _ in range(times):
        print("hello", name, colour.value)

def wrong() -> None:
    raise ConfigError("rig.toml: glove.port: 'x' is not there\\n  rig.toml: name: missing")

def failed() -> None:
    raise DeviceError("no answer from servo 3")

def extra() -> None:
    raise ModuleNotFoundError("No module named 'mujoco'", name="mujoco.viewer")

def bug() -> None:
    raise RuntimeError("deep inside")

def interrupted() -> None:
    raise KeyboardInterrupt

def three() -> int:
    return 3

group = typer.Typer(help="Several.")

@group.command()
def one() -> None:
    "The first."
    print("one")

@group.command()
def two() -> None:
    raise DeviceError("two is gone")

number = 7

def unresolvable(x: "Nowhere") -> None:
    "Its annotation cannot be resolved."
"""


def python(code: str, *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter; ``path`` goes to the front of its module search."""
    env = {"PATH": "/usr/bin:/bin", "COLUMNS": "200", "PYTHONPATH": str(path) if path else ""}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd="/", timeout=60)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of somebody else's package, and three that cannot be loaded."""
    (tmp_path / "telerig_test_plugin.py").write_text(PLUGIN)
    (tmp_path / "telerig_test_broken.py").write_text("raise RuntimeError('boom\\nboom')\n")
    (tmp_path / "telerig_test_needs_torch.py").write_text("raise ModuleNotFoundError('x', name='torch.nn')\n")
    monkeypatch.syspath_prepend(tmp_path)
    names = ("ok", "wrong", "failed", "extra", "bug", "interrupted", "three", "group", "number", "unresolvable")
    values = {name: f"telerig_test_plugin:{name}" for name in names}
    values |= {
        "broken": "telerig_test_broken:x",
        "absent": "telerig_test_absent:x",
        "torchy": "telerig_test_needs_torch:x",
    }
    found = [EntryPoint(name, value, cli.GROUP) for name, value in values.items()]
    monkeypatch.setattr(cli, "entry_points", lambda group: found)


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as left:
        cli.main(args)
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.mark.parametrize("argument", ["--help", "--version", ""])
def test_help_loads_nothing_heavy(argument: str) -> None:
    done = python(
        "import sys, json\n"
        "from telerig.teleop.cli.main import main\n"
        f"try: main({[argument] if argument else []!r})\n"
        "except SystemExit as left: assert not left.code, left.code\n"
        f"sys.stderr.write(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr) == []
    assert done.stdout


def test_own_commands_all_load() -> None:
    """What pyproject declares is installed, and with everything installed none of it is unavailable."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["telerig.commands"]
    installed = {e.name: e for e in entry_points(group=cli.GROUP) if e.dist and e.dist.name == "telerig"}
    assert {name: e.value for name, e in installed.items()} == declared, "pip install -e . again: entry points changed"
    unavailable = [g.name for g in cli.build_app().registered_commands if g.rich_help_panel == "Unavailable"]
    assert unavailable == []


def test_policies_deleted(tmp_path: Path) -> None:
    """A copy of the tree without policies/: its commands are unavailable with a reason, every other one works."""
    for folder in FOLDERS[:-1]:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.onnx"))
    shutil.copytree(ROOT / ".src" / "telerig", tmp_path / ".src" / "telerig", symlinks=True)
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["telerig.commands"]
    commands |= {"learned": "telerig.policies.anything:run"}
    info = tmp_path / ".src" / "telerig-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: telerig\nVersion: 0\n")
    lines = [f"{name} = {value}" for name, value in commands.items()]
    (info / "entry_points.txt").write_text("\n".join(["[telerig.commands]", *lines]))
    code = f"""
        import contextlib, io, json
        from telerig.teleop.cli.main import main
        codes = {{}}
        for name in {list(commands)!r}:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    main([name] if name == "learned" else [name, "--help"])
                except SystemExit as left:
                    codes[name] = [left.code, out.getvalue(), err.getvalue()]
        print(json.dumps(codes))
        main(["--help"])
    """
    done = python(textwrap.dedent(code), path=tmp_path / ".src")
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n")
    for name, (status, out, err) in json.loads(first).items():
        if name == "learned":
            assert (status, out) == (2, "")
            assert err == (
                "error: command 'learned' is unavailable: telerig.policies.anything:run: "
                "ModuleNotFoundError: No module named 'telerig.policies'\n"
            )
        else:
            assert status == 0, err
            assert ("unavailable:" in out) == commands[name].startswith("telerig.policies."), out
    assert "Unavailable" in rest
    assert all(name in rest for name in commands)


@pytest.mark.usefixtures("plugin")
class TestPlugins:
    """What other packages' commands can do to the command line."""

    def test_runs(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(capsys, "ok", "you", "--times", "2") == (0, "hello you red\nhello you red\n", "")
        assert run(capsys, "group", "one") == (0, "one\n", "")
        assert run(capsys, "three")[0] == 3

    def test_help_lists_all(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = run(capsys)
        assert (code, err) == (0, "")
        assert "Greets." in out
        assert "Several." in out
        assert "Unavailable" in out
        assert "boom" in out

    def test_one_command_loads_one_module(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loaded = []
        monkeypatch.setattr(cli, "add_command", lambda app, name, *_: loaded.append(name))
        run(capsys, "ok", "you")
        assert loaded == ["ok"]

    @pytest.mark.parametrize(
        ("args", "code", "text"),
        [
            (["wrong"], 2, "error: rig.toml: glove.port: 'x' is not there\nerror: rig.toml: name: missing\n"),
            (["failed"], 1, "error: no answer from servo 3\n"),
            (["group", "two"], 1, "error: two is gone\n"),
            (["extra"], 2, "error: mujoco is not installed: pip install 'telerig[sim]'\n"),
            (["interrupted"], 130, ""),
            (["ok"], 2, "error: Missing argument 'name'. (see: telerig ok --help)\n"),
            (["ok", "you", "--bogus"], 2, "error: No such option: --bogus (see: telerig ok --help)\n"),
            (["okk"], 2, "error: No such command 'okk'. Did you mean 'ok'? (see: telerig --help)\n"),
            (
                ["torchy"],
                2,
                "error: command 'torchy' is unavailable: torch is not installed: pip install 'telerig[learn]'\n",
            ),
            (
                ["broken", "--anything", "x"],
                2,
                "error: command 'broken' is unavailable: telerig_test_broken:x: RuntimeError: boom boom\n",
            ),
            (
                ["absent"],
                2,
                "error: command 'absent' is unavailable: telerig_test_absent:x: "
                "ModuleNotFoundError: No module named 'telerig_test_absent'\n",
            ),
            (
                ["number"],
                2,
                "error: command 'number' is unavailable: telerig_test_plugin:number: "
                "TypeError: telerig_test_plugin:number is neither a function nor a typer.Typer\n",
            ),
            (
                ["unresolvable"],
                2,
                "error: command 'unresolvable' is unavailable: telerig_test_plugin:unresolvable: "
                "NameError: name 'Nowhere' is not defined\n",
            ),
        ],
    )
    def test_one_line(self, args: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(capsys, *args) == (code, "", text)

    def test_bug_is_short_and_says_where(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = run(capsys, "bug")
        assert (code, out) == (1, "")
        assert "RuntimeError: deep inside" in err
        assert "in bug" in err
        assert err.count("  File ") <= 3
        assert err.rstrip().splitlines()[-1].startswith("error: this is a bug in telerig or in a plug-in")

    def test_debug_shows_all(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TELERIG_DEBUG", "1")
        assert "Traceback" in run(capsys, "failed")[2]
        assert run(capsys, "bug")[2].count("  File ") > 3


def test_own_command_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package cannot take a name of telerig's, whichever is found first."""
    own, thief = (SimpleNamespace(name="teleop", value=v, dist=SimpleNamespace(name=v)) for v in ("telerig", "thief"))
    for order in ([own, thief], [thief, own]):
        monkeypatch.setattr(cli, "entry_points", lambda group, order=order: order)
        assert cli.find_commands() == {"teleop": own}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("a: wrong\n\n b:  wrong"), "error: a: wrong\nerror: b: wrong"),
        (DeviceError(""), "error: DeviceError"),
        (DeviceError("one"), "error: one"),
    ],
)
def test_formatter_writes_a_line_a_mistake(error: TelerigError, text: str) -> None:
    assert cli.ErrorFormatter()(error) == (text, error.exit_code)


def test_flags_are_shown_without_a_type(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    for call in (["--help"], ["teleop", "-h"], ["bench", "loop", "--help"]):
        code, out, _ = run(capsys, *call)
        assert code == 0
        assert "bool" not in out.lower()
        assert re.search(r"--help +-h +Show this message", out)
    assert re.search(r"--seconds +<?(float|FLOAT)", out)
    assert re.search(r"--json +Print one JSON object", out)
