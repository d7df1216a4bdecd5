"""The rig's virtual operator, by name: ``[operator]`` in the rig file, found through the driver table."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from telerig.drivers import table
from telerig.hardware.errors import ConfigError
from telerig.teleop.hand_process import Hand
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import Rig

LIMIT_S = 8.0  # for a task, where its operator says no other


def operator_settings(rig: Rig, seed: int) -> dict[str, Any]:
    """``{"factory": "module:Class", "config": {…}}`` of the rig's virtual operator.

    :raises ConfigError: the rig has none, or an unknown one, a key it does not know, or a world that shows less than it
        has to see.
    """
    told = dict(rig.file.operator)
    if "name" not in told:
        raise ConfigError(f"{rig.path}: operator.name: missing; a virtual operator needs [operator] name = one of: "
                          f"{', '.join(table.names(table.OPERATORS, 'telerig.operators'))}")  # fmt: skip
    cls = table.operator(str(told.pop("name")))
    known = set(inspect.signature(cls).parameters)
    if unknown := sorted(set(told) - known):
        raise ConfigError(
            f"{rig.path}: operator.{unknown[0]}: unknown key; known: {', '.join(sorted(known - {'seed'}))}"
        )
    _check_sight(rig, cls, str(told.get("world", "world")))
    return {"factory": f"{cls.__module__}:{cls.__qualname__}", "config": {**told, "seed": seed}}


def _check_sight(rig: Rig, cls: type[Any], world: str) -> None:
    """What the operator ``sees``, the world tells: a robot whose pelvis is held has none to be seen."""
    streams = {s.name: s for plan in plan_devices(rig).values() for s in plan.streams}
    if (truth := streams.get(f"{world}/truth")) is None:
        raise ConfigError(f"{rig.path}: operator.world: no simulated world is called '{world}'")
    shown = {a.name for a in truth.arrays}
    if unseen := [name for name in getattr(cls, "sees", ()) if name not in shown]:
        raise ConfigError(f"{rig.path}: operator.name: it has to see {', '.join(unseen)}, which {world}/truth does not "
                          "tell; it is for another task, or for a robot on its own feet")  # fmt: skip


def rig_hand(rig: Rig, seed: int) -> Hand:
    """The rig's virtual operator, built."""
    from telerig.teleop.hand_process import load_hand

    return load_hand(operator_settings(rig, seed))


def task_limit(rig: Rig) -> float:
    """Seconds that the rig's task may take whoever does it: what its operator may, :data:`LIMIT_S` without one."""
    return operator_limit(rig) if rig.file.operator else LIMIT_S


def operator_limit(rig: Rig) -> float:
    """Seconds that the rig's virtual operator may take for its task.  :raises ConfigError: as :func:`operator_settings`."""
    told = operator_settings(rig, 0)
    module, _, name = told["factory"].partition(":")
    return float(getattr(getattr(import_module(module), name), "limit_s", LIMIT_S))
