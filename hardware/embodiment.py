"""Embodiments: what a robot is, in names, units and limits.  Nothing generic knows a robot's name; it asks this.

An embodiment is a TOML file in ``hardware/embodiments/`` (others' packages add theirs through the entry-point group
``telerig.embodiments``: a callable that returns a path).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from telerig.hardware.commands import Mode, TargetSpec
from telerig.hardware.errors import ConfigError

FOLDER = Path(__file__).parent / "embodiments"
MODELS = Path(__file__).parent / "models"
SLOTS_VERSION = 1
N_SLOTS = 128


@dataclass(frozen=True, slots=True)
class JointGroup:
    """Joints that belong together (an arm, a hand), in order.  SI units, radians.

    :param slots: index of each joint in the shared 128-slot vector (see docs/slots.md).
    """

    name: str
    joints: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    effort: tuple[float, ...]
    home: tuple[float, ...]
    slots: tuple[int, ...]

    def __post_init__(self) -> None:
        for key in ("low", "high", "velocity", "acceleration", "effort", "home", "slots"):
            if len(getattr(self, key)) != len(self.joints):
                raise ConfigError(
                    f"group {self.name}: {key} has {len(getattr(self, key))} values, {len(self.joints)} joints"
                )
        for joint, low, home, high in zip(self.joints, self.low, self.home, self.high, strict=True):
            if not low <= home <= high:
                raise ConfigError(f"group {self.name}: home of {joint} is {home}, outside [{low}, {high}]")


@dataclass(frozen=True, slots=True)
class EndEffector:
    """A frame that does things: the body it is fixed to, its offset (m) and the joint group that carries it."""

    name: str
    body: str
    offset: tuple[float, float, float]
    group: str
    gripper: str | None = None


@dataclass(frozen=True, slots=True)
class Embodiment:
    """A robot: named joint groups, end effectors and the commands it takes.

    ``targets`` maps a command group's name to the joint groups it concatenates (``upper`` → arms and hands);
    ``base`` is the walking base's limits as (names, low, high, velocity limit, acceleration limit, home), or None.
    """

    name: str
    version: int
    model: str
    groups: tuple[JointGroup, ...]
    end_effectors: tuple[EndEffector, ...]
    targets: Mapping[str, tuple[str, ...]]
    base: Mapping[str, Any] | None = None

    def group(self, name: str) -> JointGroup:
        """:raises ConfigError: there is none of that name."""
        for g in self.groups:
            if g.name == name:
                return g
        raise ConfigError(
            f"embodiment {self.name} has no group '{name}' (it has {', '.join(g.name for g in self.groups)})"
        )

    @property
    def model_path(self) -> Path:
        """The MJCF file."""
        path = Path(self.model)
        return path if path.is_absolute() else MODELS / path

    def joints(self, groups: Sequence[str]) -> tuple[str, ...]:
        """Joint names of several groups, concatenated."""
        return tuple(j for g in groups for j in self.group(g).joints)

    def target(self, device: str, name: str) -> TargetSpec:
        """The command target ``DEVICE/NAME``.  :raises ConfigError: the embodiment has no such target."""
        if name == "base":
            return self._base_target(device)
        if name not in self.targets:
            raise ConfigError(f"embodiment {self.name} has no target '{name}' (it has {', '.join(self.targets)})")
        groups = [self.group(g) for g in self.targets[name]]
        grippers = {e.gripper for e in self.end_effectors}

        def cat(key: str) -> tuple[Any, ...]:
            return tuple(v for g in groups for v in getattr(g, key))

        return TargetSpec(
            f"{device}/{name}",
            Mode.JOINT_POSITION,
            cat("joints"),
            cat("low"),
            cat("high"),
            cat("velocity"),
            cat("acceleration"),
            cat("home"),
            "rad",
            (f"{device}/state", "position"),
            self.joints([g.name for g in groups if g.name in grippers]),
        )

    def _base_target(self, device: str) -> TargetSpec:
        if self.base is None:
            raise ConfigError(f"embodiment {self.name} has no base")
        b = self.base
        return TargetSpec(
            f"{device}/base",
            Mode.BASE_VELOCITY_HEIGHT,
            tuple(b["names"]),
            tuple(b["low"]),
            tuple(b["high"]),
            tuple(b["velocity"]),
            tuple(b["acceleration"]),
            tuple(b["home"]),
            "m/s, m/s, rad/s, m",
            None,
        )


def embodiment_names() -> tuple[str, ...]:
    """All known embodiments, own ones and plug-ins', sorted."""
    own = {p.stem for p in FOLDER.glob("*.toml")}
    return tuple(sorted(own | {e.name for e in entry_points(group="telerig.embodiments")}))


def embodiment_tables(name: str) -> dict[str, Any]:
    """An embodiment's TOML tables by name; what a recording freezes.  :raises ConfigError: unknown, or not TOML."""
    path = FOLDER / f"{name}.toml"
    if not path.exists():
        found = [e for e in entry_points(group="telerig.embodiments") if e.name == name]
        if not found:
            raise ConfigError(f"embodiment '{name}' is unknown; known: {', '.join(embodiment_names())}")
        path = Path(found[0].load()())
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not an embodiment: {error}")


def load_embodiment(name: str) -> Embodiment:
    """Read an embodiment by name.  :raises ConfigError: unknown name, or the file does not hold together."""
    tables = embodiment_tables(name)
    try:
        return parse_embodiment(tables)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"embodiment {name}: does not hold together: {error}")


def parse_embodiment(raw: Mapping[str, Any]) -> Embodiment:
    """An embodiment from its TOML tables (also how a session's frozen copy is read back)."""
    groups = tuple(JointGroup(name, **{k: tuple(v) for k, v in table.items()}) for name, table in raw["groups"].items())
    effectors = tuple(
        EndEffector(name, t["body"], tuple(t.get("offset", (0.0, 0.0, 0.0))), t["group"], t.get("gripper"))
        for name, t in raw.get("end_effectors", {}).items()
    )
    targets = {name: tuple(names) for name, names in raw["targets"].items()}
    embodiment = Embodiment(raw["name"], int(raw["version"]), raw["model"], groups, effectors, targets, raw.get("base"))
    for names in targets.values():
        embodiment.joints(names)
    return embodiment
