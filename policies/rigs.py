"""The rig a policy runs on: the operator's, without what only an operator wears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from telerig.hardware.commands import TargetSpec
from telerig.hardware.errors import DataError
from telerig.policies.agent import PolicyAgent
from telerig.policies.checkpoint import load_spec
from telerig.policies.spec import PolicySpec, require_fit
from telerig.teleop.plan import DevicePlan, plan_devices
from telerig.teleop.rig import Rig


def policy_rig(rig: Rig, spec: PolicySpec) -> Rig:
    """Keep robots, worlds, pedals (enable is a person's, with a policy too) and what the policy looks at.

    :raises DataError: the checkpoint does not fit this rig; the first difference, one line.
    """
    plans = plan_devices(rig)
    check_fit(rig, plans, spec)
    needed = set(spec.streams)
    keep = {n for n, p in plans.items() if _keeps(p, needed)}
    keep |= {s.split("/")[0] for n in keep for s in plans[n].inputs} & plans.keys()
    return replace(rig, devices={n: d for n, d in rig.devices.items() if n in keep})


def _keeps(plan: DevicePlan, needed: set[str]) -> bool:
    return plan.moves or plan.serves or bool(plan.pedals) or bool(needed & {s.name for s in plan.streams})


def check_fit(rig: Rig, plans: Mapping[str, DevicePlan], spec: PolicySpec) -> None:
    """:raises DataError: the checkpoint is for another robot, other joints or other cameras."""
    from telerig.hardware.embodiment import load_embodiment

    targets = {t.name: (p, t) for p in plans.values() for t in p.targets}
    if spec.target not in targets:
        raise DataError(f"checkpoint drives '{spec.target}', which {rig.path} has not (it has {', '.join(targets)})")
    plan, target = targets[spec.target]
    embodiment = load_embodiment(plan.device.config_values["embodiment"])
    streams = {s.name for p in plans.values() for s in p.streams}
    require_fit(spec, embodiment.name, embodiment.version, target.names, streams)


def build_agent(rig: Rig, targets: tuple[TargetSpec, ...], told: Mapping[str, Any]) -> PolicyAgent:
    """The agent factory of ``telerig run`` and ``telerig eval``: loads the checkpoint's spec only, no torch."""
    return PolicyAgent(load_spec(Path(told["checkpoint"])))
