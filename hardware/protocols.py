"""What devices, actuators, agents, clocks, ports and stream readers promise each other.

Everything here is structural: a class that has the methods is one.  A driver is built as ``Driver(config, context)``:
``config`` is its frozen dataclass (fields are the rig file's keys), ``context`` a :class:`DeviceContext`.
Drivers are *sans-IO*: they take the time from ``context.clock`` and bytes from ``context.open_port()``, so the same code
runs on a serial port in real time and against an in-process emulator in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from telerig.hardware.commands import Command, TargetSpec
from telerig.hardware.events import Event
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec


class Clock(Protocol):
    """See :mod:`telerig.hardware.clock`."""

    @property
    def virtual(self) -> bool: ...
    @property
    def offset_ns(self) -> int: ...
    def now(self) -> int: ...
    def sleep_until(self, t: int) -> None: ...


class Port(Protocol):
    """A byte pipe to a device: a serial port, a socket, or an emulator in the same process.

    ``read`` returns what is there as soon as anything is, b"" after ``timeout_s`` of nothing;
    both raise :class:`~telerig.hardware.errors.DeviceLost` when the other end is gone.
    """

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes: ...
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Emulator(Protocol):
    """A device's other half, sans-IO: bytes in, bytes out, as a function of time.

    ``step`` is called with everything the host has written since and returns everything the device has sent by ``now``.
    ``next_due`` is when it would send by itself (None: only when spoken to), so that a shell can sleep.
    ``set_values`` moves the emulated sensor (what a hand, an arm or a foot does).  ``fault`` makes it misbehave.
    Every sample it sends goes through ``journal`` (set by the shell): the oracle of every loss figure.
    """

    journal: Callable[[int, int], None] | None  # (t_ns, sequence number of the sample sent)

    def step(self, now: int, data: bytes) -> bytes: ...
    def next_due(self, now: int) -> int | None: ...
    def set_values(self, values: Mapping[str, Sequence[float]]) -> None: ...
    def fault(self, kind: str, **how: float) -> None: ...


class StreamReader(Protocol):
    """One stream as its readers see it; reading never blocks the writer."""

    @property
    def spec(self) -> StreamSpec: ...
    def latest(self) -> Sample | None: ...
    def window(self, t0: int, t1: int) -> list[Sample]: ...


def _ignore(event: Event) -> None:
    """Default for contexts whose owner does not listen to events."""


@dataclass(frozen=True, slots=True)
class DeviceContext:
    """What a driver gets from whoever runs it.

    :param name: the device's name in the rig; its streams are ``NAME/…``.
    :param open_port: opens the byte pipe; None for drivers that have none.
    :param inputs: streams the driver asked for in ``inputs`` (a simulated camera reads the world's state), by name.
    :param emit: reports an event.
    :param phase: 0…1, the part of its period by which a device that is polled (``exo_arm``) is shifted on the clock's
        grid, so that devices of one rate do not all poll at the same instant; None: it begins when it is opened.  An
        actuator gets none: it is read when its command has come.
    """

    name: str
    clock: Clock
    open_port: Callable[[], Port] | None = None
    inputs: Mapping[str, StreamReader] = field(default_factory=dict)
    emit: Callable[[Event], None] = _ignore
    phase: float | None = None


class Device(Protocol):
    """A source of samples.

    ``streams`` and ``inputs`` are known before ``open``.  ``read`` returns all that arrived, of any of the device's
    streams, in order, waiting at most ``timeout_s`` for the first; with 0 it returns what is due now.  It raises
    :class:`DeviceLost` when the device is gone; the worker then calls ``close`` and tries ``open`` every 200 ms.
    """

    @property
    def streams(self) -> tuple[StreamSpec, ...]: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    def open(self) -> None: ...
    def read(self, timeout_s: float) -> Sequence[Sample]: ...
    def close(self) -> None: ...


class Actuator(Device, Protocol):
    """A device that moves.  Only its worker's watchdog half of the guard calls ``send``, ``hold`` and ``damp``.

    ``open`` leaves the robot limp or holding, never moving.  ``close`` damps what was told anything, then torque off.
    A robot that would fall without torque, was found holding and was told nothing is left as it was found, and that is
    said (an event): a session that sends nothing must drop nothing.
    """

    @property
    def targets(self) -> tuple[TargetSpec, ...]: ...
    def send(self, command: Command) -> None: ...
    def hold(self) -> None: ...
    def damp(self) -> None: ...


Observation = Mapping[str, StreamReader]


class Agent(Protocol):
    """Turns what is sensed into commands: an operator's cockpit, a policy, a replay.

    ``requires``: streams without which it must not move (the loop holds when one is stale).
    ``act`` is called once a control period and returns at most one command a target.
    """

    @property
    def requires(self) -> tuple[str, ...]: ...
    def reset(self) -> None: ...
    def act(self, observation: Observation, now: int) -> Sequence[Command]: ...
