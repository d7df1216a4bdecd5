"""What ``telerig teleop`` does."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import operate, running
from telerig.teleop.rig import load_rig


@dataclass(frozen=True)
class TeleopRequest:
    """The command's arguments."""

    rig: Path
    record: Path | None
    task: str
    emulate: bool
    dry_run: bool
    speed: float
    home: bool
    operator: str
    trials: int
    seed: int
    seconds: float
    view: bool
    as_json: bool


def teleoperate(request: TeleopRequest) -> dict[str, Any]:
    """Run a session until the operator ends it; returns what ``--json`` prints.

    :raises ConfigError: a rig that cannot work, an unknown operator.
    """
    if request.operator not in ("human", "virtual"):
        raise ConfigError(f"--operator is '{request.operator}'; human or virtual is right")
    rig = load_rig(request.rig, request.emulate)
    options = LiveOptions(
        record=request.record, task=request.task, dry_run=request.dry_run, speed=request.speed, home=request.home
    )
    stop = threading.Event()
    with running(rig, options) as (session, steward):
        end = session.clock.now() + int(request.seconds * 1e9) if request.seconds else None

        def done() -> bool:
            return end is not None and session.clock.now() >= end

        operate(rig, session, steward, str(request.record or ""), done, stop)
        counts = {name: session.reader(name).written for name in session.memories}
    result = {"seconds": request.seconds, "samples": counts}
    if request.as_json:
        print(json.dumps(result))
    return result
