"""What ``telerig run`` does: a policy drives the robot in real time, through the path the operator uses."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError
from telerig.policies.checkpoint import load_spec
from telerig.policies.chunk import chunk_stream
from telerig.policies.policy_trials import PolicyTrials, all_emulated
from telerig.policies.rigs import policy_rig
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin
from telerig.teleop.live import LiveOptions, is_simulated
from telerig.teleop.operate import operate, running
from telerig.teleop.operators import task_limit
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import load_rig
from telerig.teleop.session import ProcessSpec
from telerig.teleop.trials import world_of


@dataclass(frozen=True)
class RunRequest:
    """The command's arguments."""

    rig: Path
    checkpoint: Path
    record: Path | None = None
    emulate: bool = False
    unattended: bool = False
    speed: float = 1.0
    seconds: float = 0.0
    trials: int = 0
    seed: int = 10_000
    ablate: tuple[str, ...] = ()
    as_json: bool = False


def run_policy(request: RunRequest) -> dict[str, Any]:
    """Run until q, Ctrl-C, the seconds or the trials are over; returns what ``--json`` prints.

    :raises DataError: the checkpoint does not fit the rig.
    :raises ConfigError: unattended with a real robot.
    """
    measured, spec = origin(), load_spec(request.checkpoint)
    rig = policy_rig(load_rig(request.rig, request.emulate), spec)
    plans = plan_devices(rig)
    if request.trials and not (request.unattended and is_simulated(plans)):
        raise ConfigError("--trials needs --unattended and a simulated robot: nobody could put the object back")
    settings = {"checkpoint": str(request.checkpoint.resolve()), "threads": 1, "seed": request.seed}
    inference = ProcessSpec(
        "policy", "telerig.policies.inference_process:run", settings | {"ablate": list(request.ablate)}, nice=2, order=4
    )
    limit_s = task_limit(rig) if request.trials else 0.0
    options = LiveOptions(
        agent={"factory": "telerig.policies.rigs:build_agent", "checkpoint": str(request.checkpoint.resolve())},
        record=request.record,
        speed=request.speed,
        unattended=request.unattended,
        extra=(inference,),
        needs=(inference.name,),
        extra_streams=(chunk_stream(spec.size, spec.horizon),),
        facts={"checkpoint": str(request.checkpoint)},
    )
    with running(rig, options) as (session, steward):
        end = session.clock.now() + int(request.seconds * 1e9) if request.seconds else None
        trials = None
        if request.trials:
            seeds = list(range(request.seed, request.seed + request.trials))
            recording, may_reset = request.record is not None, all_emulated(plans)
            trials = PolicyTrials(session, steward, world_of(plans), seeds, recording, limit_s, may_reset)

        def done() -> bool:
            over = end is not None and session.clock.now() >= end
            return over or (trials is not None and trials.step())

        operate(rig, session, steward, str(request.record or ""), done, threading.Event())
        result: dict[str, Any] = {"samples": {n: session.reader(n).written for n in session.memories}}
    result |= {**measured, "machine": machine()}
    if trials is not None:
        result["success"] = [sum(t.success for t in trials.results), len(trials.results)]
        result["trials"] = [asdict(t) for t in trials.results]
        print(f"policy: {result['success'][0]} of {result['success'][1]}", file=sys.stderr)
    if request.as_json:
        print(json.dumps(result), flush=True)
    return result
