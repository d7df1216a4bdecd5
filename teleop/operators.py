"""The rig's virtual operator, by name: ``[operator]`` in the rig file, found through the driver table."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from telerig.drivers import table
from telerig.hardware.errors import ConfigError
from telerig.teleop.hand_process import Hand
from telerig.teleop.rig import Rig

LIMIT_S = 8.0  # for a task, where its operator says no other


def operator_settings(rig: Rig, seed: int) -> dict[str, Any]:
    """``{"factory": "module:Class", "config": {…}}`` of the rig's virtual operator.

    :raises ConfigError: the rig has none, or an unknown one, or a key it does not know.
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
    return {"factory": f"{cls.__module__}:{cls.__qualname__}", "config": {**told, "seed": seed}}


def rig_hand(rig: Rig, seed: int) -> Hand:
    """The rig's virtual operator, built."""
    from telerig.teleop.hand_process import load_hand

    return load_hand(operator_settings(rig, seed))


def operator_limit(rig: Rig) -> float:
    """Seconds that the rig's virtual operator may take for its task.  :raises ConfigError: as :func:`operator_settings`."""
    told = operator_settings(rig, 0)
    module, _, name = told["factory"].partition(":")
    return float(getattr(getattr(import_module(module), name), "limit_s", LIMIT_S))
