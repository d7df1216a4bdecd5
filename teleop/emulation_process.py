"""The process that hosts a session's emulated devices on pseudo-terminals (the shell is in drivers/emulation.py)."""

from __future__ import annotations

from pathlib import Path

from telerig.drivers import table
from telerig.drivers.emulation import EmulationHost
from telerig.teleop.child import Child
from telerig.teleop.config_values import build_config


def run(child: Child) -> None:
    """Serve every emulated device until the session ends, then a moment longer for the last commands."""
    emulators = {}
    for name, told in child.settings["devices"].items():
        config = build_config(table.driver(told["driver"]).Config, told["config"], name)
        emulators[name] = table.emulator(told["driver"])(config)
    controls = {name: child.reader(f"{name}/controls") for name in emulators}
    folder = Path(child.settings["ports"])
    host = EmulationHost(emulators, child.clock, folder, Path(child.settings["journals"]), controls)
    child.go_realtime()
    end: list[int] = []

    def stop() -> bool:
        child.beat()
        if child.stopping and not end:
            end.append(child.clock.now() + 1_600_000_000)
        return bool(end) and child.clock.now() > end[0]

    host.run(stop)
