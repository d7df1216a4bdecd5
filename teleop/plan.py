"""From a rig to streams and processes: who runs, at which priority, with which settings."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerig.drivers import table
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import TargetSpec, applied_stream, command_stream
from telerig.hardware.embodiment import embodiment_tables
from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.specs import StreamSpec
from telerig.hardware.surroundings import surroundings_of
from telerig.teleop import realtime
from telerig.teleop.actuator import end_s
from telerig.teleop.body_rig import body_settings
from telerig.teleop.episodes import RECORDER_STATE, episode_stream
from telerig.teleop.keyboard_drive import DRIVE
from telerig.teleop.loop import TICKS
from telerig.teleop.operator_input import OPERATOR
from telerig.teleop.rig import Device, Rig, parse_rig
from telerig.teleop.session import END_S, ProcessSpec
from telerig.teleop.session_state import SESSION_STATE

IMAGE_PATIENCE_S = 10.0  # a camera that had to wait for its turn is not a camera that hangs
LEGGED_LINGER_S = 2.4  # a robot on its own feet goes down first
WORLD_LINGER_S = 1.6  # a simulated world logs its robot's last second after everybody else has gone


@dataclass(frozen=True)
class DevicePlan:
    """What is known of a device before it opens."""

    device: Device
    streams: tuple[StreamSpec, ...]
    inputs: tuple[str, ...]
    targets: tuple[TargetSpec, ...]

    @property
    def name(self) -> str:
        """The device's name in the rig."""
        return self.device.name

    @property
    def moves(self) -> bool:
        """Whether it is an actuator."""
        return bool(self.targets)

    @property
    def serves(self) -> bool:
        """Whether other devices reach it over a socket (a simulated world)."""
        return "socket" in {f.name for f in dataclasses.fields(self.device.driver.Config)}

    @property
    def pedals(self) -> str:
        """The stream of a pedal box, whose switches enable and stop; "" for other devices."""
        name = f"{self.name}/pedals"
        return name if any(s.name == name for s in self.streams) else ""

    @property
    def images(self) -> bool:
        """Whether it encodes or renders images, which must give way to everything else."""
        return any(s.blobs for s in self.streams)


def pedals_of(plans: Mapping[str, DevicePlan]) -> str:
    """The stream whose switches enable and stop; "" in a rig without.

    :raises ConfigError: two devices have such switches: those of one would do nothing.
    """
    found = [p.pedals for p in plans.values() if p.pedals]
    if len(found) > 1:
        raise ConfigError(f"{' and '.join(found)} each enable and stop: a rig takes one of them")
    return found[0] if found else ""


def plan_devices(rig: Rig) -> dict[str, DevicePlan]:
    """Ask every driver what it will stream.

    Several devices may move, as long as they are of one embodiment: a recording names one.

    :raises ConfigError: an input nobody makes, nothing that moves, robots of two embodiments.
    """
    plans: dict[str, DevicePlan] = {}
    clock = RealClock(0)
    for name, device in rig.devices.items():
        probe = device.driver(device.config, DeviceContext(name, clock))
        targets = tuple(probe.targets) if hasattr(probe, "targets") else ()
        plans[name] = DevicePlan(device, tuple(probe.streams), tuple(probe.inputs), targets)
    made = {s.name for p in plans.values() for s in p.streams} | {s.name for s in own_streams()}
    for plan in plans.values():
        for needed in plan.inputs:
            if needed not in made:
                raise ConfigError(
                    f"{rig.path}: devices.{plan.name} needs stream {needed}, which no device of this rig makes"
                )
    if not any(p.moves for p in plans.values()):
        raise ConfigError(f"{rig.path}: no device of this rig moves; add an actuator")
    robots = {name: p.device.name for p in plans.values() if p.moves and (name := embodiment_of(p.device))}
    if len(robots) > 1:
        both = ", ".join(f"devices.{device} ({name})" for name, device in robots.items())
        raise ConfigError(f"{rig.path}: robots of {len(robots)} embodiments, and a session has one: {both}")
    return plans


def stale_limits(rig: Rig, plans: Mapping[str, DevicePlan]) -> dict[str, float]:
    """The rig's own staleness limits, in seconds, by stream: ``stale_ms`` of a device holds for all of its streams."""
    return {s.name: ms / 1e3 for n, p in plans.items() if (ms := rig.devices[n].rig.stale_ms) for s in p.streams}


def embodiment_of(device: Device) -> str:
    """The name of a robot's embodiment, "" for devices without."""
    return str(getattr(device.config, "embodiment", ""))


def own_streams() -> list[StreamSpec]:
    """Streams that the session itself makes, whatever the rig."""
    from telerig.hardware.scene import SCENE

    return [SESSION_STATE, TICKS, OPERATOR, RECORDER_STATE, SCENE, episode_stream("loop"), episode_stream("session")]


def target_streams(target: TargetSpec, rate_hz: float) -> list[StreamSpec]:
    """The three command streams of a target."""
    return [
        command_stream(target, "intended", rate_hz),
        command_stream(target, "sent", rate_hz),
        applied_stream(target, rate_hz),
    ]


def control_streams(rig: Rig) -> list[StreamSpec]:
    """``NAME/controls`` of every emulated device."""
    found = []
    for name, device in rig.devices.items():
        if device.rig.emulate:
            spec: StreamSpec = table.emulator(device.rig.driver)(device.config).controls
            found.append(dataclasses.replace(spec, name=f"{name}/controls"))
    return found


def all_streams(rig: Rig, plans: dict[str, DevicePlan]) -> list[StreamSpec]:
    """Every stream of a session."""
    rate = rig.file.session.rate_hz
    streams = [s for p in plans.values() for s in p.streams]
    streams += [s for p in plans.values() for t in p.targets for s in target_streams(t, rate)]
    streams += [DRIVE] if "keyboard" in rig.file.cockpit else []
    return streams + own_streams() + control_streams(rig)


def device_process(rig: Rig, plan: DevicePlan, folder: Path) -> ProcessSpec:
    """The worker of one device."""
    device = plan.device
    config = device.config_values
    settings: dict[str, Any] = {"driver": device.rig.driver, "config": config, "baud": device.baud}
    settings["rate_hz"] = rig.file.session.rate_hz
    if not plan.moves:  # an actuator is read when its command has come, whatever the grid
        alike = [name for name, other in rig.devices.items() if other.driver is device.driver]
        settings["phase"] = alike.index(plan.name) / len(alike)
    if plan.serves:
        config["socket"] = str(folder / f"{plan.name}.sock")
        settings["linger_s"] = WORLD_LINGER_S if config.get("hold_pelvis", True) else LEGGED_LINGER_S
    elif config.get("world") and plan.moves:
        settings["socket"] = str(folder / f"{config['world']}.sock")
    if device.rig.emulate:
        settings["port"] = str(folder / "ports" / plan.name)
    elif device.rig.port:
        settings["file" if getattr(device.driver, "reads_file", False) else "port"] = device.rig.port
    if plan.moves:
        settings["writes"] = [s.name for s in plan.streams] + [f"{t.name}/applied" for t in plan.targets]
        settings["body"] = body_settings(rig, plan.name)
        longest = end_s(settings["body"] is not None, getattr(device.config, "settle_s", 0.0))
        role = "telerig.teleop.actuator:run"
        return ProcessSpec(plan.name, role, settings, fifo=realtime.ACTUATOR, order=3, end_s=max(END_S, longest))
    role = "telerig.teleop.worker:run"
    if plan.serves:
        return ProcessSpec(plan.name, role, settings, fifo=realtime.EMULATED, order=1)
    if plan.images:
        settings["patience_s"] = IMAGE_PATIENCE_S
        # more than the recorder: where both cannot be had, a frame less is a lesser loss than samples
        return ProcessSpec(plan.name, role, settings, nice=10, order=4)
    return ProcessSpec(plan.name, role, settings, fifo=realtime.BUS, order=4)


def emulation_process(rig: Rig, folder: Path) -> ProcessSpec | None:
    """One process for all emulated serial devices; None where nothing is emulated."""
    emulated = {
        name: {"driver": d.rig.driver, "config": d.config_values} for name, d in rig.devices.items() if d.rig.emulate
    }
    if not emulated:
        return None
    settings = {"devices": emulated, "ports": str(folder / "ports"), "journals": str(folder / "journals")}
    return ProcessSpec("emulation", "telerig.teleop.emulation_process:run", settings, fifo=realtime.EMULATED, order=0)


def rig_facts(rig: Rig) -> dict[str, Any]:
    """What viewers and recordings need to know of a rig beside its streams, as JSON values.

    ``embodiment``: the robot's tables; ``surroundings``: what stands still around it.  {} where unknown.
    """
    names = (embodiment_of(d) for d in rig.devices.values() if hasattr(d.driver, "send"))
    name = next(filter(None, names), "")
    around = surroundings_of([(d.driver, d.config) for d in rig.devices.values()])
    return {"embodiment": embodiment_tables(name) if name else {}, "surroundings": around}


def rig_as_told(rig: Rig) -> dict[str, Any]:
    """A rig as plain values, for child processes (:func:`rig_from_told` reads it back)."""
    emulated = [n for n, d in rig.devices.items() if d.rig.emulate]
    return {"path": str(rig.path), "text": rig.text, "emulate": emulated, "devices": list(rig.devices)}


def rig_from_told(told: dict[str, Any]) -> Rig:
    """The inverse of :func:`rig_as_told`."""
    raw = tomllib.loads(told["text"])
    for name in told["emulate"]:
        raw["devices"][name]["emulate"] = True
    rig = parse_rig(raw, Path(told["path"]), told["text"])
    return dataclasses.replace(rig, devices={n: rig.devices[n] for n in told["devices"]})
