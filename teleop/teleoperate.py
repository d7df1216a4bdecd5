"""What ``telerig teleop`` does."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError
from telerig.teleop.body_rig import body_rig
from telerig.teleop.live import LiveOptions, Steward, is_simulated
from telerig.teleop.operate import operate, running
from telerig.teleop.operators import operator_limit, operator_settings
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import Rig, load_rig
from telerig.teleop.session import ProcessSpec, Session
from telerig.teleop.trials import Trials, world_of

TRIALS = 20


@dataclass(frozen=True)
class TeleopRequest:
    """The command's arguments."""

    rig: Path
    record: Path | None = None
    task: str = ""
    emulate: bool = False
    dry_run: bool = False
    speed: float = 1.0
    home: bool = True
    operator: str = "human"
    trials: int | None = None  # with a virtual operator only; None is TRIALS
    seed: int | None = None  # likewise; None is 0
    seconds: float = 0.0
    view: bool = False
    as_json: bool = False
    folder: Path | None = None  # run folder (ports, logs, journals); None: a temporary one
    body: str = ""  # a body policy instead of the rig's


def teleoperate(request: TeleopRequest) -> dict[str, Any]:
    """Run a session until the operator ends it; returns what ``--json`` prints.

    :raises ConfigError: a rig that cannot work, an unknown operator, trials of a human one.
    """
    if request.operator not in ("human", "virtual"):
        raise ConfigError(f"--operator is '{request.operator}'; human or virtual is right")
    given = [name for name in ("trials", "seed") if getattr(request, name) is not None]
    if request.operator == "human" and given:
        raise ConfigError(f"--{given[0]} is for --operator virtual; a person ends with q, or with --seconds")
    rig = load_rig(request.rig, request.emulate, request.body)
    virtual = request.operator == "virtual"
    options = LiveOptions(
        record=request.record,
        task=request.task,
        dry_run=request.dry_run,
        speed=request.speed,
        home=request.home,
        extra=_extra(request, rig),
    )
    with running(rig, options, request.folder) as (session, steward):
        end = session.clock.now() + int(request.seconds * 1e9) if request.seconds else None
        trials = _trials(request, rig, session, steward) if virtual else None

        def done() -> bool:
            over = end is not None and session.clock.now() >= end
            return over or (trials is not None and trials.step())

        operate(rig, session, steward, str(request.record or ""), done, threading.Event())
        result = _result(session, trials)
    if virtual:  # said when the session is over: a terminal may block
        print(f"virtual operator: {result['operator_success'][0]} of {result['operator_success'][1]}", file=sys.stderr)
    if request.as_json:
        print(json.dumps(result), flush=True)
    return result


def _extra(request: TeleopRequest, rig: Rig) -> tuple[ProcessSpec, ...]:
    """Processes beside the rig's own: a virtual operator, a live view."""
    extra = [operator_process(rig, request.seed or 0)] if request.operator == "virtual" else []
    if request.view:
        from telerig.teleop.view.live_process import view_process

        extra.append(view_process())
    return tuple(extra)


def operator_process(rig: Rig, seed: int) -> ProcessSpec:
    """The rig's virtual operator in a process of its own."""
    return ProcessSpec("operator", "telerig.teleop.hand_process:run", operator_settings(rig, seed), fifo=10, order=4)


def _trials(request: TeleopRequest, rig: Rig, session: Session, steward: Steward) -> Trials:
    plans = plan_devices(rig)
    first = request.seed or 0
    seeds = list(range(first, first + (TRIALS if request.trials is None else request.trials)))
    body = body_rig(rig)
    return Trials(
        session, steward, world_of(plans), seeds, request.record is not None, operator_limit(rig),
        "" if body is None else body.device, is_simulated(plans),
    )  # fmt: skip


def _result(session: Session, trials: Trials | None) -> dict[str, Any]:
    result: dict[str, Any] = {"samples": {name: session.reader(name).written for name in session.memories}}
    if trials is not None:
        result["operator_success"] = [sum(t.success for t in trials.results), len(trials.results)]
        result["trials"] = [asdict(t) for t in trials.results]
    return result
