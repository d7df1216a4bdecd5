"""Body policies by name: manifest found, checked in itself, against the robot and against its ONNX file, then built.

Every mismatch is one ``ConfigError`` line that names what differs, before anything moves.  Nothing here runs code that came
with a file: manifests are TOML, models are opened from bytes without custom operators, packages are located, not imported.
Others' packages add manifests through the entry-point group ``telerig.body_policies``: a callable that returns a path.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from telerig.hardware.embodiment import Embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.checks import check, check_embodiment
from telerig.policies.body.manifest import Manifest, read_manifest
from telerig.policies.body.model_file import find_model, open_model
from telerig.policies.body.runtime import BodyPolicy

FOLDER = Path(__file__).parent / "manifests"
GROUP = "telerig.body_policies"


def body_policy_names() -> tuple[str, ...]:
    """Every body policy known by name, sorted; their model files may still have to be obtained."""
    own = {p.stem for p in FOLDER.glob("*.toml")}
    return tuple(sorted(own | {e.name for e in entry_points(group=GROUP)}))


def manifest_path(name: str) -> Path:
    """A manifest's file, by the policy's name or by a path ending in ``.toml``.  :raises ConfigError: unknown."""
    if name.endswith(".toml"):
        return Path(name)
    path = FOLDER / f"{name}.toml"
    if name.isidentifier() and path.is_file():
        return path
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return Path(entry.load()())
    raise ConfigError(f"body policy '{name}' is unknown; known: {', '.join(body_policy_names())}, or a .toml file")


def load_manifest(name: str) -> tuple[Manifest, Path]:
    """A manifest that holds together, and the folder it lies in.  :raises ConfigError: it does not."""
    path = manifest_path(name)
    manifest = read_manifest(path)
    check(manifest)
    return manifest, path.parent


def body_policy(
    name: str,
    embodiment: Embodiment,
    model: Path | None = None,
    joints: Sequence[str] | None = None,
    overridden: Collection[str] = (),
) -> BodyPolicy:
    """A body policy for a robot, ready to be stepped.

    :param name: of a manifest, or a path to one.
    :param model: the ONNX file; without it, where the manifest says.
    :param joints: the joints in the caller's arrays, in order; without it, the joints that the manifest lists.
    :param overridden: joints that somebody else drives (the arms, under a cockpit).
    :raises ConfigError: anything does not fit anything; one line that names it.
    :raises MissingExtra: onnxruntime is not installed.
    """
    manifest, folder = load_manifest(name)
    check_embodiment(manifest, embodiment)
    groups = [g.joints for g in embodiment.groups]
    infer = open_model(manifest, find_model(manifest, folder, model), groups)
    names = tuple(joints if joints is not None else manifest.joint_names)
    limits = {j: (low, high) for g in embodiment.groups for j, low, high in zip(g.joints, g.low, g.high, strict=True)}
    if unknown := [j for j in names if j not in limits]:
        raise ConfigError(f"body policy {manifest.name}: {embodiment.name} has no joint {', '.join(unknown)}")
    low, high = zip(*(limits[j] for j in names), strict=True)
    return BodyPolicy(manifest, infer, names, low, high, overridden)
