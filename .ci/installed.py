"""Inside an environment that holds only the core: is all there that should be, and nothing that should not?

``installed.py REPOSITORY``
"""

import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path

import telerig
from telerig.hardware.embodiment import embodiment_names, load_embodiment

ABSENT = (
    "torch",
    "mujoco",
    "open3d",
    "safetensors",
    "onnxruntime",
    "rerun",
    "pyrealsense2",
    "cv2",
    "scipy",
    "cyclonedds",
)


def problems(repository: Path) -> list[str]:
    """What is wrong, a line each."""
    here = Path(next(iter(telerig.__path__)))
    found = []
    if Path(sys.prefix) not in here.parents:
        found.append(f"telerig comes from {here}, not from the wheel")
    found += [f"{name} came with the core" for name in ABSENT if importlib.util.find_spec(name)]
    for folder in ("hardware", "drivers", "datasets", "teleop", "policies"):
        files = (
            p.relative_to(repository) for p in (repository / folder).rglob("*") if p.is_file() and p.suffix != ".pyc"
        )
        found += [f"{file} is not in the wheel" for file in files if not (here / file).is_file()]
    models = {name: load_embodiment(name).model_path for name in embodiment_names()}
    found += [f"{name}: its model is not in the wheel" for name, model in models.items() if not model.is_file()]
    for command in entry_points(group="telerig.commands"):
        try:
            command.load()
        except Exception as error:
            if not command.value.startswith("telerig.policies."):  # these may need an extra
                found.append(f"telerig {command.name}: {error}")
    return found


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(bool(wrong))
