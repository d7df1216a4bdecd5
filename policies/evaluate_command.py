"""What ``telerig eval`` does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from telerig.hardware.errors import ConfigError
from telerig.policies.evaluate import Report, evaluate_shown
from telerig.policies.rollout import REPLAY, RolloutSpec, rollout_spec
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin
from telerig.teleop.bench.report import show
from telerig.teleop.operators import operator_limit, task_limit
from telerig.teleop.replay_run import virtual_rig
from telerig.teleop.rig import Rig, load_rig


@dataclass(frozen=True)
class EvalRequest:
    """The command's arguments."""

    rig: Path
    agent: str
    episodes: int
    seed: int
    processes: int
    ablate: tuple[str, ...]
    freeze: tuple[str, ...]
    unplug: tuple[str, ...]
    limit: float | None  # None: the task's own
    record: Path | None
    as_json: bool
    body: str = ""


def _specs(request: EvalRequest, rig: Rig) -> list[RolloutSpec]:
    for device in (*request.freeze, *request.unplug):
        if device not in rig.devices:
            raise ConfigError(f"{rig.path}: has no device '{device}' (it has {', '.join(rig.devices)})")
    if deaf := [d for d in request.freeze if not rig.devices[d].rig.emulate]:
        raise ConfigError(f"--freeze {deaf[0]}: has no emulator that could freeze")
    if request.ablate and (request.agent == "operator" or request.agent.startswith(REPLAY)):
        raise ConfigError(f"--ablate {request.ablate[0]}: only a policy looks at anything; {request.agent} is none")
    if request.ablate:
        from telerig.policies.inference import check_ablations

        check_ablations(request.ablate)
    if request.agent.startswith(REPLAY):
        virtual_rig(rig, Path(request.agent.removeprefix(REPLAY)))  # fits, or says why not
    elif request.agent != "operator" and not (Path(request.agent) / "config.json").exists():
        raise ConfigError(f"--agent {request.agent}: 'operator', a checkpoint folder or replay:RECORDING is right")
    if request.record is not None and request.record.exists():
        raise ConfigError(f"--record {request.record}: exists; choose a new folder")
    limit = request.limit
    if limit is None:
        limit = operator_limit(rig) if request.agent == "operator" else task_limit(rig)
    faults: dict[str, tuple[str, dict[str, float]]] = {d: ("freeze", {}) for d in request.freeze}
    specs = []
    for seed in range(request.seed, request.seed + request.episodes):
        folder = "" if request.record is None else str(request.record / f"seed_{seed:06d}")
        specs.append(
            rollout_spec(
                rig, request.agent, seed, limit_s=limit, ablate=request.ablate, faults=faults,
                unplug=request.unplug, record=folder,
            )
        )  # fmt: skip
    return specs


def _handicaps(request: EvalRequest) -> dict[str, object]:
    """What was taken from the agent, or given to it, that the figures are worth nothing without."""
    told = {key: getattr(request, key) for key in ("ablate", "freeze", "unplug", "body", "limit")}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in told.items() if value}


def run(request: EvalRequest) -> Report:
    """Evaluate, show, print.  :raises ConfigError, DataError: a wrong rig, agent or option; nothing runs."""
    rig = load_rig(request.rig, body=request.body)
    specs, measured = _specs(request, rig), origin()
    report = evaluate_shown(specs, f"eval {request.agent}", request.processes)
    told = {"agent": request.agent, "rig": rig.name} | _handicaps(request)
    result = report.to_json() | told | {**measured, "machine": machine()}
    shown = {k: v for k, v in result.items() if k != "rollouts"}
    failed = [r["seed"] for r in result["rollouts"] if not r["success"]]
    show(f"telerig eval: {request.agent}", shown | {"failed_seeds": failed}, False)
    if request.as_json:
        print(json.dumps(result), flush=True)
    return report
