"""From a rig to its processes' settings, and from those to what a driver does."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telerig.drivers import table
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError
from telerig.teleop import plan, worker
from telerig.teleop.rig import load_rig, parse_rig

RIG = Path(__file__).parents[2] / "rigs" / "homie_g1.toml"
STEP_NS = 100_000


def test_devices_of_one_kind_are_polled_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the rig through the worker to the bus: half a period of the clock's grid between two arms."""
    rig = load_rig(RIG)
    plans = plan.plan_devices(rig)
    clock, polled = VirtualClock(), dict[str, set[int]]()
    for name in ("exo_left", "exo_right"):
        device = rig.devices[name]
        emulator = table.emulator(device.rig.driver)(device.config)
        monkeypatch.setattr(worker, "port_opener", lambda told, e=emulator: lambda: LoopbackPort(e, clock))
        settings = plan.device_process(rig, plans[name], tmp_path).settings
        child = SimpleNamespace(name=name, clock=clock, settings=settings, emit=lambda event: None)
        driver = worker.build_device(child)  # type: ignore[arg-type]
        clock.advance(777 * STEP_NS)  # whenever it is opened
        driver.open()
        period = round(1e9 / device.config.rate_hz)
        polled[name] = set()
        for _ in range(5 * period // STEP_NS):
            if driver.read(0.0):
                polled[name].add(clock.now() % period)
            clock.advance(STEP_NS)
        driver.close()
    assert polled == {"exo_left": {0}, "exo_right": {period // 2}}


@pytest.mark.parametrize(
    ("name", "keys", "longest"),
    [
        ("homie_g1.toml", {}, 1.2),
        ("homie_g1_walk.toml", {}, 2.0),
        ("g1_dds.toml", {"settle_s": 2.5}, 1.2 + 2.5),
        ("g1_dds_walk.toml", {}, 2.0 + 1.0),
    ],
)
def test_a_session_waits_for_its_robot_to_go_down_and_rest(
    tmp_path: Path, name: str, keys: dict[str, Any], longest: float
) -> None:
    raw = tomllib.loads((RIG.parent / name).read_text())
    raw["devices"]["robot"] |= keys
    rig = parse_rig(raw, RIG.parent / name, "")
    found = plan.device_process(rig, plan.plan_devices(rig)["robot"], tmp_path).end_s
    assert found == pytest.approx(max(3.0, longest + 0.3))


def test_an_actuator_has_no_place_on_the_grid(tmp_path: Path) -> None:
    """It is read when its command has come."""
    rig = load_rig(RIG)
    assert "phase" not in plan.device_process(rig, plan.plan_devices(rig)["robot"], tmp_path).settings


def test_one_device_of_a_rig_has_the_stop_switch() -> None:
    plans = plan.plan_devices(load_rig(RIG))
    assert plan.pedals_of(plans) == "pedals/pedals"
    with pytest.raises(ConfigError, match=r"pedals/pedals and gamepad/pedals each enable and stop"):
        plan.pedals_of({**plans, "gamepad": SimpleNamespace(pedals="gamepad/pedals")})  # type: ignore[dict-item]
