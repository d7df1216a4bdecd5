"""Policies by name.  Others' packages add theirs through the entry-point group ``telerig.policies``."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from telerig.hardware.errors import ConfigError

if TYPE_CHECKING:
    from telerig.policies.flow.policy import FlowPolicy

POLICIES = {
    "flow": "telerig.policies.flow.policy:FlowPolicy",
    "regress": "telerig.policies.regress:RegressPolicy",
}


def policy_names() -> list[str]:
    """Every known policy, sorted."""
    return sorted({*POLICIES, *(e.name for e in entry_points(group="telerig.policies"))})


def policy(name: str) -> type[FlowPolicy]:
    """The policy class of that name: built as ``Class(spec, options, stats)``.  :raises ConfigError: there is none."""
    if name in POLICIES:
        module, _, attribute = POLICIES[name].partition(":")
        found: type[FlowPolicy] = getattr(import_module(module), attribute)
        return found
    for entry in entry_points(group="telerig.policies"):
        if entry.name == name:
            loaded: type[FlowPolicy] = entry.load()
            return loaded
    raise ConfigError(f"policy '{name}' is unknown; known: {', '.join(policy_names())}")
