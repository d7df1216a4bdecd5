"""What users install: a core without simulator and learning libraries, pins that hold, libraries that are named."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def load(path: Path) -> ModuleType:
    """A script that is not part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXTRA_LIBRARIES = load(ROOT / ".ci" / "installed.py").ABSENT  # from a core installation


def requirements(*extras: str) -> list[Requirement]:
    """Direct requirements of the core and of these extras."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def pins() -> dict[str, str]:
    """Name → version in constraints.txt."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def test_core_imports_without_extras() -> None:
    """Every module outside drivers/mujoco and policies imports when the extras are hidden, as in a core install."""
    script = ROOT / ".ci" / "import_all.py"
    command = [sys.executable, "-W", "error", script, ",".join(EXTRA_LIBRARIES)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=100)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["wrong"] == {}
    assert {"telerig.hardware.specs", "telerig.drivers.ports", "telerig.teleop.cli.main"} <= set(result["names"])


def test_core_requires_nothing_heavy() -> None:
    core = {canonicalize_name(r.name) for r in requirements()}
    heavy = {"torch", "mujoco", "open3d", "onnxruntime", "rerun-sdk", "pyrealsense2", "opencv-python-headless", "scipy"}
    assert core & heavy == set()


def test_all_is_every_extra_but_dev() -> None:
    (everything,) = (Requirement(line) for line in PROJECT["optional-dependencies"]["all"])
    assert everything.extras == set(PROJECT["optional-dependencies"]) - {"all", "dev"}


def test_mujoco_4_0_0_is_refused() -> None:
    """4.0.0 is excluded (docs/decisions/0008); later and earlier ones are not."""
    (mujoco,) = (r for r in requirements("sim") if r.name == "mujoco")
    assert not mujoco.specifier.contains("4.0.0")
    assert mujoco.specifier.contains("3.17.0")
    assert mujoco.specifier.contains("4.0.1")


def test_constraints_pin_every_requirement() -> None:
    """What CI tests is pinned, and is among what pyproject allows."""
    pinned = pins()
    for requirement in requirements(*(set(PROJECT["optional-dependencies"]) - {"all"})):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"constraints.txt does not pin {requirement.name}"
        assert requirement.specifier.contains(version), f"{requirement} does not allow the pinned {version}"
    assert pinned["torch"] == "2.13.0"
    assert not [version for version in pinned.values() if "+" in version], "a local version is not to be had everywhere"


def test_version_and_licence_files() -> None:
    import telerig

    assert PROJECT["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert len(licence) > 11_000, "the whole text"
    assert f"## [{telerig.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_package_data_patterns_cover_the_data() -> None:
    """Every file beside the code that is not code is matched by a package-data pattern, so that it is in the wheel."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = [pattern for group in tool["package-data"].values() for pattern in group]
    files = [
        path
        for folder in ("hardware", "drivers", "datasets", "teleop", "policies")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    ]
    assert [p for p in files if not any(p.match(pattern) for pattern in patterns)] == []


def test_entry_points_resolve() -> None:
    """Every entry point telerig declares, of any group, exists."""
    own = [
        e for group in PROJECT["entry-points"] for e in entry_points(group=group) if e.dist and e.dist.name == "telerig"
    ]
    for entry in own:
        assert callable(entry.load()), entry


class TestSystemLibraries:
    """Missing system libraries are named with the line that installs them."""

    @pytest.fixture
    def script(self) -> ModuleType:
        return load(ROOT / ".ci" / "system_libraries.py")

    def test_names_the_package(
        self, script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(script.platform, "system", lambda: "Linux")
        monkeypatch.setattr(script, "loadable", lambda soname: soname not in {"libEGL.so.1", "libusb-1.0.so.0"})
        monkeypatch.setattr(script, "has_dri", lambda: False)
        assert script.main() == 1
        assert capsys.readouterr().out == "apt-get install libegl1 libusb-1.0-0 libgl1-mesa-dri\n"

    def test_silent_when_nothing_is_missing(
        self, script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(script, "loadable", lambda soname: True)
        monkeypatch.setattr(script, "has_dri", lambda: True)
        assert script.main() == 0
        assert capsys.readouterr().out == ""

    def test_asks_the_loader(self, script: ModuleType) -> None:
        assert script.loadable("libc.so.6")
        assert not script.loadable("libtelerig-is-not-there.so.1")


class TestSetup:
    """``.ci/setup``, which make calls, on machines that lack something: one line, nothing installed."""

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        (tmp_path / ".ci").mkdir()
        for script in ("setup", "system_libraries.py"):
            target = tmp_path / ".ci" / script
            target.write_bytes((ROOT / ".ci" / script).read_bytes())
            target.chmod(0o755)
        for file in ("pyproject.toml", "constraints.txt"):
            (tmp_path / file).write_bytes((ROOT / file).read_bytes())
        return tmp_path

    def run(self, checkout: Path, python: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [checkout / ".ci" / "setup", "all"], env={"PATH": "/usr/bin:/bin", "PYTHON": python},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    @staticmethod
    def executable(path: Path, text: str) -> Path:
        path.write_text(text)
        path.chmod(0o755)
        return path

    def test_no_python(self, checkout: Path) -> None:
        old = self.executable(checkout / "python3.8", "#!/bin/sh\nexit 1\n")
        done = self.run(checkout, str(old))
        assert done.returncode == 1
        assert "no Python >= 3.11" in done.stderr
        assert "apt-get install python3 python3-venv" in done.stderr
        assert not (checkout / ".venv").exists()

    def test_missing_library_stops(self, checkout: Path) -> None:
        self.executable(
            checkout / ".ci" / "system_libraries.py", "print('apt-get install libegl1'); raise SystemExit(1)"
        )
        done = self.run(checkout, sys.executable)
        assert done.returncode == 1
        assert done.stderr == "setup: system libraries are missing:  apt-get install libegl1\n"
        assert not (checkout / ".venv").exists()

    def test_installs_once(self, checkout: Path) -> None:
        """pip is called when pyproject or the constraints have changed, and only then; dev also serves all."""
        (checkout / ".ci" / "system_libraries.py").write_text("")
        (checkout / ".venv" / "bin").mkdir(parents=True)
        cases = f'*"pip install"*) echo "$@" >>{checkout}/calls;; *pip*) ;; *) exec {sys.executable} "$@";;'
        fake = f'#!/bin/sh\ncase "$*" in {cases} esac\n'
        self.executable(checkout / ".venv" / "bin" / "python", fake)
        calls = checkout / "calls"
        for _ in range(2):
            done = self.run(checkout, "")
            assert done.returncode == 0, done.stderr
        assert len(calls.read_text().splitlines()) == 1
        assert "-c constraints.txt -e .[all]" in calls.read_text()
        with (checkout / "constraints.txt").open("a") as file:
            file.write("another==1\n")
        self.run(checkout, "")
        assert len(calls.read_text().splitlines()) == 2
        stamp = checkout / ".venv" / ".telerig-all"
        stamp.rename(checkout / ".venv" / ".telerig-all,dev")
        self.run(checkout, "")
        assert len(calls.read_text().splitlines()) == 2


class TestSkips:
    """CI counts skipped tests and refuses reasons that nobody has allowed."""

    @pytest.mark.parametrize(
        ("reason", "code"), [("real-time priority is not granted here", 0), ("did not feel like it", 1), (None, 0)]
    )
    def test_reasons(self, reason: str | None, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        skip = f'<skipped type="pytest.skip" message="{reason}"/>' if reason else ""
        report = tmp_path / "junit.xml"
        report.write_text(
            f"<testsuites><testsuite><testcase name='a'>{skip}</testcase><testcase name='b'/></testsuite></testsuites>"
        )
        assert load(ROOT / ".ci" / "skips.py").main(str(report)) == code
        out = capsys.readouterr().out
        assert f"skips: {int(bool(reason))} of 2 tests" in out
        assert (reason or "") in out

    def test_an_empty_run_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "junit.xml").write_text("<testsuites><testsuite/></testsuites>")
        assert load(ROOT / ".ci" / "skips.py").main(str(tmp_path / "junit.xml")) == 1


class TestLicences:
    """CI refuses licences that users could not live with."""

    @pytest.mark.parametrize(
        "text",
        ["MIT", "BSD-3-Clause AND 0BSD AND MIT", "MIT OR Apache-2.0", "DFSG approved; MIT License", "(MIT AND Zlib)"],
    )
    def test_permissive(self, text: str) -> None:
        script = load(ROOT / ".ci" / "licences.py")
        assert script.licences(text) <= script.PERMISSIVE

    @pytest.mark.parametrize(
        "text", ["LGPL-2.1", "GNU General Public License v3 (GPLv3)", "MIT AND GPL-3.0-only", "UNKNOWN", "CC-BY-NC-4.0"]
    )
    def test_refused(self, text: str) -> None:
        script = load(ROOT / ".ci" / "licences.py")
        assert script.licences(text) - script.PERMISSIVE - script.TEST_TOOLS_TOO

    def test_mpl_is_for_test_tools(self) -> None:
        script = load(ROOT / ".ci" / "licences.py")
        assert script.licences("Mozilla Public License 2.0 (MPL 2.0)") <= script.TEST_TOOLS_TOO
        assert not script.licences("MPL-2.0") <= script.PERMISSIVE

    def test_what_users_install(self) -> None:
        found = load(ROOT / ".ci" / "licences.py").closure("telerig", {"all"})
        assert {"torch", "mujoco", "numpy", "typer", "rerun-sdk"} <= found
        assert found & {"pytest", "hypothesis", "mypy", "ruff"} == set()
