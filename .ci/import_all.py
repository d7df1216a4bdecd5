"""Import every telerig module, as a core installation would, and print what is missing as one JSON object.

``import_all.py [HIDDEN,LIBRARIES]``: these libraries are made unfindable first.  ``wrong`` lists every module that does
not import, save those that may need an extra just to be imported.  Exit code 1 if there is one.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import telerig

# Where an extra may be needed at import, and which.
MAY_NEED = {
    "telerig.drivers.mujoco": {"mujoco"},
    "telerig.drivers.unitree_g1.idl": {"cyclonedds"},
    "telerig.policies": {"torch", "safetensors"},
}


class Absent:
    """An import hook for which some libraries do not exist."""

    def __init__(self, libraries: set[str]) -> None:
        self.libraries = libraries

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.libraries:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def walk(paths: Sequence[str], prefix: str) -> Iterator[str]:
    """Names of all modules; folders without ``__init__.py`` count, which pkgutil alone does not do."""
    for found in pkgutil.iter_modules(paths):
        yield prefix + found.name
    for folder in (f for path in paths for f in Path(path).iterdir()):
        if folder.is_dir() and folder.name.isidentifier() and folder.name != "__pycache__":
            yield from walk([str(folder)], f"{prefix}{folder.name}.")


def main() -> int:
    """:returns: exit code."""
    if len(sys.argv) > 1:
        sys.meta_path.insert(0, Absent(set(sys.argv[1].split(","))))  # type: ignore[arg-type]
    names = sorted(set(walk(list(telerig.__path__), "telerig.")))
    wrong = {}
    for name in names:
        allowed = next((v for k, v in MAY_NEED.items() if name.startswith(k)), set())
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module raises is the answer
            if (getattr(error, "name", None) or "").partition(".")[0] not in allowed:
                wrong[name] = f"{type(error).__name__}: {error}"
    print(json.dumps({"names": names, "wrong": wrong}))
    print(*(f"{name}: {reason}" for name, reason in wrong.items()), sep="\n", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
