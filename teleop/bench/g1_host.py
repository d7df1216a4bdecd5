"""An emulated G1 in a process of its own, for ``telerig bench g1`` and tests.

``python -m telerig.teleop.bench.g1_host '{"domain": 9, …}'``: the keys of a ``unitree_g1_emulator``.  Prints a JSON line when
it takes part in DDS.  Reads one JSON object a line: ``{"do": "count"}`` is answered with what it sent, obeyed and refused,
``{"do": "joints"}`` also with where every joint is (rad) and how stiff its motor (N m/rad),
``{"do": "fault", "kind": "silent"}`` makes it misbehave, ``{"do": "press", "buttons": ["L2", "B"]}`` works its remote
control.  Ends when its input does.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

from telerig.drivers import table
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import TelerigError
from telerig.hardware.protocols import DeviceContext
from telerig.teleop import realtime
from telerig.teleop.config_values import build_config


def main() -> None:
    """Host one emulator, obey, end."""
    realtime.die_with_parent(os.getppid())
    driver = table.driver("unitree_g1_emulator")
    try:
        config = build_config(driver.Config, {"embodiment": "g1_like", **json.loads(sys.argv[1])}, "world")
        world = driver(config, DeviceContext("world", RealClock()))
        world.open()
    except TelerigError as error:
        _say({"error": str(error)})
        sys.exit(2)
    fifo = realtime.fifo(realtime.EMULATED)
    realtime.quiet_interpreter()
    _say({"running": True, "fifo": fifo})
    try:
        while True:
            world.read(0.02)
            if select.select([sys.stdin], [], [], 0.0)[0]:
                line = sys.stdin.readline()
                if not line:
                    break
                _say(_obey(world, json.loads(line)))
    finally:
        world.close()


def _obey(world: Any, request: dict[str, Any]) -> dict[str, Any]:
    firmware = world.firmware
    if request["do"] == "fault":
        firmware.fault(request["kind"])
    elif request["do"] == "press":
        firmware.press(*request["buttons"])
    joints: dict[str, Any] = {}
    if request["do"] == "joints":
        now = zip(firmware.joints, firmware.position.tolist(), firmware.given.kp.tolist(), strict=True)
        joints = {"joints": {name: (q, kp) for name, q, kp in now}}
    return joints | {
        "t": world.context.clock.now(), "sent": world.sent, "taken": firmware.taken, "hands": firmware.hands,
        "refused": dict(firmware.refused), "trips": firmware.trips, "damped": firmware.damped,
        "overruns": world.overruns, "fastest": float(firmware.fastest),
    }  # fmt: skip


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
