"""What must hold for every file: where things stand, how big they grow, and what they may not use."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("hardware", "drivers", "datasets", "teleop", "policies")
MODULE_LINES = 300
TEST_LINES = 350
FUNCTION_LINES = 50

# Who may read the host's clock or sleep: the clock itself, and shells, which are real time by nature.  Everything else
# asks a Clock, so that it also runs in virtual time.  To add a shell, add its line here and say what it is.
MAY_USE_TIME = {
    "hardware/clock.py": "the clock",
    "teleop/calibrate_device.py": "an operator's dialogue; dates the calibration",
}
CLOCK_CALLS = {"datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now", "asyncio.sleep"}
# Heavy or vendor libraries, and where they may be imported at the top of a module.  Elsewhere: inside the function that
# needs them, so that the core installs and starts without.
HEAVY = ("mujoco", "torch", "open3d", "rerun", "cv2", "pyrealsense2", "onnxruntime", "safetensors", "scipy")
TOP_LEVEL = {"mujoco": "drivers/mujoco/", "torch": "policies/", "safetensors": "policies/"}
# Modules that run code found in files, and calls that do.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save", "pandas.read_pickle", "pd.read_pickle", "yaml.load"}


def modules(*folders: str) -> list[Path]:
    """Every Python file of these folders."""
    return sorted(p for f in folders for p in (ROOT / f).rglob("*.py") if "__pycache__" not in p.parts)


def name(path: Path) -> str:
    """A file's path inside the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name(path))


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Every node of a file."""
    return list(ast.walk(tree(path)))


def imports(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Module and line of every import beneath a node."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from ((alias.name, found.lineno) for alias in found.names)
        elif isinstance(found, ast.ImportFrom) and found.module and not found.level:
            yield found.module, found.lineno
            yield from ((f"{found.module}.{alias.name}", found.lineno) for alias in found.names)


def top_level_imports(path: Path) -> Iterator[tuple[str, int]]:
    """Imports that happen when the module is imported: outside functions and ``if TYPE_CHECKING``."""
    todo: list[ast.AST] = list(tree(path).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        else:
            todo += ast.iter_child_nodes(node)


def within(module: str, library: str) -> bool:
    """Whether a module is a library or part of it."""
    return module == library or module.startswith(f"{library}.")


def test_five_folders_are_no_packages() -> None:
    """With an ``__init__.py``, ``import datasets`` from a checkout would hide Hugging Face's package."""
    assert [f for f in FOLDERS if (ROOT / f / "__init__.py").exists()] == []


def test_one_import_name() -> None:
    """``.src/telerig`` holds the package's own two files and five links, and no code."""
    source = ROOT / ".src" / "telerig"
    assert {p.name for p in source.iterdir()} - {"__pycache__"} == {*FOLDERS, "__init__.py", "py.typed"}
    for folder in FOLDERS:
        assert (source / folder).is_symlink(), f".src/telerig/{folder} must be a symbolic link (git: core.symlinks)"
        assert (source / folder).readlink() == Path("../..") / folder


def test_no_utils() -> None:
    assert [name(p) for p in modules(*FOLDERS) if p.stem in {"utils", "util", "helpers", "misc", "common"}] == []


@pytest.mark.parametrize(
    ("folders", "limit"), [(FOLDERS, MODULE_LINES), (("tests",), TEST_LINES)], ids=["code", "tests"]
)
def test_modules_are_small(folders: tuple[str, ...], limit: int) -> None:
    """A test module that outgrew its limit is split by subject; what its parts share stands in a helper beside them."""
    sizes = {name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in modules(*folders)}
    assert {n: size for n, size in sizes.items() if size > limit} == {}


def test_functions_are_small() -> None:
    long = {}
    for path in modules(*FOLDERS):
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{name(path)}:{node.lineno} {node.name}"] = lines
    assert long == {}


def reads_time(path: Path) -> list[str]:
    """Where a file reads the host's clock or sleeps."""
    found = [f"{name(path)}:{line} imports {module}" for module, line in imports(tree(path)) if within(module, "time")]
    calls = (node for node in nodes(path) if isinstance(node, ast.Call))
    return found + [
        f"{name(path)}:{node.lineno} calls {ast.unparse(node.func)}"
        for node in calls
        if ast.unparse(node.func) in CLOCK_CALLS
    ]


def test_time_is_asked_of_a_clock() -> None:
    found = {name(path): reads_time(path) for path in modules(*FOLDERS)}
    assert [line for path, lines in found.items() if path not in MAY_USE_TIME for line in lines] == []


def test_time_list_is_not_stale() -> None:
    """A file that no longer uses time, or no longer exists, leaves the list."""
    assert [path for path in MAY_USE_TIME if not (ROOT / path).exists() or not reads_time(ROOT / path)] == []


def test_heavy_libraries_stay_out_of_module_tops() -> None:
    found = [
        f"{name(path)}:{line} imports {module}"
        for path in modules(*FOLDERS)
        for module, line in top_level_imports(path)
        for library in HEAVY
        if within(module, library) and not name(path).startswith(TOP_LEVEL.get(library, "nowhere"))
    ]
    assert found == []


def test_imports_say_telerig() -> None:
    """``import datasets`` or ``from teleop import`` would find somebody else's package."""
    found = [
        f"{name(path)}:{line} imports {module}"
        for path in modules(*FOLDERS, "tests")
        for module, line in imports(tree(path))
        if any(within(module, folder) for folder in FOLDERS)
    ]
    assert found == []


def test_hardware_needs_numpy_and_a_checksum_only() -> None:
    """Importing it needs nothing else; a codec may need a library when it is used."""
    # fastcrc: a checksum worked out in Python took a tenth of a core
    at_the_top = sys.stdlib_module_names | {"numpy", "fastcrc", "telerig"}
    inside = at_the_top | {"zstandard"}  # depth images, which drivers write and data sets read
    found = [
        f"{name(path)}:{line} imports {module}"
        for path in modules("hardware")
        for allowed, found in ((at_the_top, top_level_imports(path)), (inside, imports(tree(path))))
        for module, line in found
        if module.partition(".")[0] not in allowed
    ]
    assert found == []


def test_import_linter_sees_every_module() -> None:
    """The linter reads the folders that pyproject lists; a file it does not see would be held to nothing."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    graph = grimp.build_graph(*settings["root_packages"], cache_dir=None)
    files = {f"telerig.{name(p).removesuffix('.py').replace('/', '.')}" for p in modules(*FOLDERS)}
    assert {f.removesuffix(".__init__") for f in files} - graph.modules == set()
    assert graph.find_modules_that_directly_import("telerig.hardware.errors")


def unsafe(path: Path) -> Iterator[str]:
    """What in a file could run code that came with data."""
    for module, line in imports(tree(path)):
        if module.partition(".")[0] in UNSAFE_MODULES or module in {"torch.load", "torch.save"}:
            yield f"{name(path)}:{line} imports {module}"
    for node in nodes(path):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            allow = [k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"]
            if called in UNSAFE_CALLS or allow:
                yield f"{name(path)}:{node.lineno} calls {called}{' with allow_pickle' if allow else ''}"


def test_nothing_unpickles_or_evaluates() -> None:
    assert [line for path in modules(*FOLDERS, "tests") for line in unsafe(path)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "from torch import load",
        "np.load('x', allow_pickle=True)",
        "eval('1')",
        "exec('1')",
    ],
)
def test_the_ban_bites(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "module.py").write_text(source)
    assert len(list(unsafe(tmp_path / "module.py"))) >= 1
