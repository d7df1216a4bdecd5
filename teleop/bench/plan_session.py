"""A session whose agent is a planner in a process of its own, under the same screen and keys as ``telerig teleop``.

``python -m telerig.teleop.bench.plan_session RIG FOLDER [STREAM…]``: the rig to run, the folder to record into, streams
that the agent requires.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import TelerigError
from telerig.teleop.bench import wave_plan
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import operate, running
from telerig.teleop.rig import load_rig
from telerig.teleop.session import ProcessSpec

WAVE = {"amplitude": 0.3, "hz": 0.8}


def options(record: Path, requires: Sequence[str]) -> LiveOptions:
    """A planner that waves both arms of the humanoid."""
    told = {"target": "upper", "embodiment": "g1_like", "groups": ["left_arm", "right_arm"], **WAVE}
    factory = "telerig.teleop.bench.wave_plan:build"
    return LiveOptions(
        agent={"factory": factory, "target": "robot/upper", "requires": list(requires)},
        record=record,
        task="bench",
        home=False,
        extra=(ProcessSpec("agent", "telerig.teleop.bench.wave_plan:run", told, order=4),),
        extra_streams=(wave_plan.plan_stream(load_embodiment("g1_like").target("robot", "upper").size),),
        needs=("agent",),
    )


def main(arguments: Sequence[str]) -> None:
    """Run until ``q``."""
    rig_file, record, *requires = arguments
    rig = load_rig(Path(rig_file))
    with running(rig, options(Path(record), requires)) as (session, steward):
        operate(rig, session, steward, record, lambda: False, threading.Event())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except TelerigError as error:
        sys.exit(f"error: {error}")
