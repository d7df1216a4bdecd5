"""A session in virtual time: one process, no shells, the same drivers, codecs, cockpit, guard and recorder.

Each control period the clock advances, then, in this order: physics, the operator's hand on the emulated sensors, every
device's ``read(0)``, hooks (a policy's inference), the loop's tick, the actuator's watchdog half, the recorder.  So an
evaluation measures the system that runs, and repeats bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from telerig.datasets.recording import RecorderCore
from telerig.drivers import table
from telerig.drivers.ports import LoopbackPort
from telerig.hardware import events
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import DeviceError
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import DeviceContext, Port
from telerig.hardware.samples import Sample
from telerig.hardware.scene import SceneRequest
from telerig.hardware.specs import StreamSpec
from telerig.teleop.actuator import ActuatorLoop
from telerig.teleop.balance_view import BalanceView
from telerig.teleop.body_build import body_maker
from telerig.teleop.body_rig import body_settings
from telerig.teleop.control import ControlBlock
from telerig.teleop.episodes import EpisodeCommand, episode_sample
from telerig.teleop.keyboard_drive import KeyDrive
from telerig.teleop.live import recorded_streams
from telerig.teleop.loop import LoopCore, LoopOptions
from telerig.teleop.loop_process import driven_targets, load_factory
from telerig.teleop.operator_input import OperatorInput, operator_sample
from telerig.teleop.plan import all_streams, pedals_of, plan_devices, stale_limits
from telerig.teleop.recorder import COMMANDS, Recording, session_info
from telerig.teleop.rig import Rig
from telerig.teleop.states import Status
from telerig.teleop.stream import LocalReader, LocalStream

Hand = Callable[[int, Mapping[str, LocalReader]], Mapping[str, Mapping[str, Sequence[float]]]]
Hook = Callable[[int, Mapping[str, LocalReader], Callable[[Sample], object]], None]


class VirtualSession:
    """Runs a rig in virtual time.  Use as a context manager.

    :param agent: ``{"factory": "module:function", …}`` as for a live session.
    :param hand: moves the emulated sensors: ``hand(now, readers)`` → device → field → values (a virtual operator).
    :param hooks: called each period between devices and loop with ``(now, readers, write)``.
    :param extra_streams: what hooks write.
    """

    def __init__(
        self,
        rig: Rig,
        agent: Mapping[str, Any],
        hand: Hand | None = None,
        hooks: Sequence[Hook] = (),
        extra_streams: Sequence[StreamSpec] = (),
        unattended: bool = False,
        record: Path | None = None,
        task: str = "",
        options: LoopOptions | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.rig, self.clock, self.control = rig, VirtualClock(), ControlBlock()
        self._hand, self._hooks, self._on_event = hand, list(hooks), on_event
        self.plans = plan_devices(rig)
        specs = [*all_streams(rig, self.plans), *extra_streams]
        sources = [*self.plans, "loop", "session", "recorder"]
        specs += [events.event_stream(n) for n in sources]
        self._streams = {s.name: LocalStream(s) for s in specs}
        self.readers = {name: LocalReader(stream) for name, stream in self._streams.items()}
        self.period_ns = round(1e9 / rig.file.session.rate_hz)
        self.enable = unattended
        self.unplugged: set[str] = set()
        self.drive: KeyDrive | None = None  # the keyboard as pedals; None: nobody at it
        self._open: set[str] = set()
        self._away: set[str] = set()
        self._emulators = {n: table.emulator(d.rig.driver)(d.config) for n, d in rig.devices.items() if d.rig.emulate}
        self.devices = self._build_devices()
        targets = tuple(t for p in self.plans.values() for t in p.targets)
        self.agent = load_factory(agent["factory"])(rig, targets, dict(agent))
        pedals = pedals_of(self.plans)
        balance, told = BalanceView.of(rig, self.readers), {"pedals": pedals, "unattended": unattended}
        operator = OperatorInput(told, self.readers, self.control, stands=balance is not None)
        options = replace(options or LoopOptions(), stale_s=stale_limits(rig, self.plans))
        self.loop = LoopCore(
            self.agent, targets, rig.file.session.rate_hz, self.readers, self.write, self.emit, operator, self.clock,
            options, driven_targets(self.agent, targets), balance,
            lambda stream: stream.partition("/")[0] in self._away,
        )  # fmt: skip
        self._actuators = self._build_actuators()
        plans = self.plans
        self._worlds = [n for n in self.devices if plans[n].serves]
        self._sensors = [n for n in self.devices if not plans[n].serves and not plans[n].moves]
        self._robots = [n for n in self.devices if plans[n].moves]
        self.recording = self._build_recording(record, task) if record is not None else None

    # --- building ------------------------------------------------------------------------------------------------

    def _build_devices(self) -> dict[str, Any]:
        devices: dict[str, Any] = {}
        order = sorted(self.plans.values(), key=lambda p: (not p.serves, p.moves))  # worlds first, robots last
        for plan in order:
            name, device = plan.name, plan.device
            inputs = {s: self.readers[s] for s in plan.inputs}
            context = DeviceContext(name, self.clock, self._opener(name, devices), inputs, self.emit)
            devices[name] = device.driver(device.config, context)
        return devices

    def _opener(self, name: str, devices: Mapping[str, Any]) -> Callable[[], Port] | None:
        device = self.rig.devices[name]
        if name in self._emulators:
            emulator = self._emulators[name]
        elif self.plans[name].moves and "world" in device.config_values:
            emulator = devices[device.config_values["world"]].robot_emulator
        else:
            return None
        return lambda: LoopbackPort(emulator, self.clock, lambda: name not in self.unplugged)

    def _build_actuators(self) -> dict[str, ActuatorLoop]:
        found = {}
        for name, plan in self.plans.items():
            if plan.moves:
                sent = {t.name: self.readers[f"{t.name}/sent"] for t in plan.targets}
                body = body_maker(body_settings(self.rig, name), name, self.devices[name], self.control.press_estop)
                found[name] = ActuatorLoop(self.devices[name], sent, self.write, self.emit, self.clock, body)
        return found

    def _build_recording(self, folder: Path, task: str) -> Recording:
        names = recorded_streams(self.rig, self.plans, list(self._streams))
        info = session_info(self.rig, 0, True, {"virtual_time": True})
        core = RecorderCore(folder, [self._streams[n].spec for n in names], info, self.clock.now())
        taps = {n: self.readers[n].tap() for n in names}
        return Recording(core, taps, [self.readers[c].tap() for c in COMMANDS], task)

    # --- running -------------------------------------------------------------------------------------------------

    def __enter__(self) -> VirtualSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, sample: Sample) -> int:
        """Publish a sample on its stream; returns its number."""
        return self._streams[sample.stream].write(sample)

    def emit(self, event: Event) -> None:
        """Report an event."""
        source = event.source if f"{event.source}/events" in self._streams else "session"
        self._streams[f"{source}/events"].write(events.to_sample(event))
        self._on_event(event)

    def step(self) -> Status:
        """One control period."""
        now = self.clock.advance(self.period_ns)
        self._read_devices(self._worlds)
        if self._hand is not None:
            for name, values in self._hand(now, self.readers).items():
                self._emulators[name].set_values(values)
        self._read_devices(self._sensors)
        for hook in self._hooks:
            hook(now, self.readers, self.write)
        self.write(operator_sample(self.enable, self.control.resets, now))
        if self.drive is not None:
            self.write(self.drive.sample(now))
        status = self.loop.tick(now, now)
        for name, actuator in self._actuators.items():
            if self._ensure_open(name):
                self._guarded(name, lambda a=actuator: a.command(self.control.estop))  # type: ignore[misc]
        for name in [n for n in self._robots if n in self._open]:
            self._guarded(name, lambda n=name: self._heard(n, self._actuators[n].read()))  # type: ignore[misc]
        if self.recording is not None:
            self.recording.step(now)
            self.write(self.recording.state(now).to_sample(now))
        return status

    def _read_devices(self, names: Sequence[str]) -> None:
        for name in names:
            if self._ensure_open(name):
                device = self.devices[name]
                self._guarded(name, lambda n=name, d=device: self._publish(n, d.read(0.0)))  # type: ignore[misc]

    def _publish(self, name: str, samples: Sequence[Sample]) -> None:
        for sample in samples:
            self.write(sample)
        self._heard(name, bool(samples))

    def _heard(self, name: str, anything: bool) -> None:
        if anything:
            self._away.discard(name)

    def _ensure_open(self, name: str) -> bool:
        if name not in self._open and name not in self.unplugged:
            self.devices[name].open()
            self._open.add(name)
        return name in self._open

    def _guarded(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except DeviceError as error:
            self.emit(Event(self.clock.now(), Level.WARNING, name, "device.lost", str(error)))
            self._open.discard(name)
            self._away.add(name)
            self.devices[name].close()
            if name in self._actuators:
                self._actuators[name].forget()

    # --- what a person at the rig would do -----------------------------------------------------------------------

    def scene(self, episode: int, seed: int, reset_robot: bool = False) -> None:
        """Ask the simulated world for a new placement."""
        now = self.clock.now()
        self.write(SceneRequest(episode, seed, reset_robot).to_sample(now))

    def episode(self, command: EpisodeCommand, text: str = "") -> None:
        """Ask something of the recorder."""
        self.write(episode_sample("session", command, self.clock.now(), text))

    def emulator(self, device: str) -> Any:
        """A device's emulator, to make it misbehave."""
        return self._emulators[device]

    def close(self) -> None:
        """Close recorder and devices, robots first."""
        if self.recording is not None:
            self.recording.drain()
            self.recording.core.close(self.clock.now())
            self.recording = None
        for name in [n for n, p in self.plans.items() if p.moves] + list(self.devices):
            if name in self._open:
                self._open.discard(name)
                self.devices[name].close()
