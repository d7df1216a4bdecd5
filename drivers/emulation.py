"""The shell around emulated devices: any number of them in one process, each on a pseudo-terminal of its own.

The emulators are sans-IO; here are their cables (with faults), their time, their journals, and the socket through
which they are told to misbehave.  One ``select`` waits for all, until the instant at which the next one wants to send;
nothing blocks, so that a stopped or dead host never holds up another device.
"""

from __future__ import annotations

import math
import select
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from telerig.drivers.emulation_control import ControlServer, ask, send_fault
from telerig.drivers.emulation_journal import JournalWriter, read_journal
from telerig.drivers.emulation_pty import Pipe
from telerig.hardware.errors import ConfigError
from telerig.hardware.protocols import Clock, Emulator, StreamReader

__all__ = ["EmulationHost", "ask", "read_journal", "send_fault"]

CONTROLS_NS = 4_000_000  # how often emulated sensors are moved
FLUSH_NS = 250_000_000


class Hosted:
    """One emulator on its pipe.  What it sends while unplugged is neither delivered nor journaled."""

    def __init__(self, name: str, emulator: Emulator, folder: Path, journals: Path) -> None:
        self.emulator = emulator
        self.pipe = Pipe(folder / name, zlib.crc32(name.encode()))
        self.journal = JournalWriter(journals / f"{name}.journal")
        emulator.journal = self._note

    def _note(self, t_ns: int, seq: int) -> None:
        if self.pipe.plugged:
            self.journal(t_ns, seq)

    def next_due(self, now: int) -> int | None:
        """When something happens by itself."""
        due, pipe = self.emulator.next_due(now), self.pipe.next_due()
        if due is None or pipe is None:
            return pipe if due is None else due
        return min(due, pipe)

    def serve(self, now: int, readable: bool) -> None:
        """Bytes in, bytes out, as far as they are due."""
        self.pipe.update(now)
        data = self.pipe.receive() if readable else b""
        if not data:
            due = self.emulator.next_due(now)
            if due is None or due > now:
                return
        out = self.emulator.step(now, data)
        if out:
            self.pipe.send(now, out)

    def fault(self, kind: str, how: Mapping[str, float]) -> None:
        """A fault of the pipe or, where the pipe knows none of that kind, of the device; ``clear`` ends both's."""
        if kind in self.pipe.FAULTS or kind == "clear":
            self.pipe.faults.order(kind, how)
        if kind not in self.pipe.FAULTS:
            self.emulator.fault(kind, **how)

    def status(self) -> dict[str, int]:
        """Counters, for tests and the curious."""
        pipe = self.pipe
        return {
            "plugged": int(pipe.plugged), "unplugged": pipe.unplugged, "bytes_in": pipe.bytes_in,
            "bytes_out": pipe.bytes_out, "bytes_dropped": pipe.bytes_dropped, "journaled": self.journal.count,
        }  # fmt: skip


class EmulationHost:
    """Hosts emulators until it is told to stop.

    :param emulators: by device name; each appears as the serial port ``folder/NAME``.
    :param folder: gets the ports and the control socket (:func:`~telerig.drivers.emulation_control.send_fault`).
    :param journal_folder: gets ``NAME.journal`` (:func:`~telerig.drivers.emulation_journal.read_journal`).
    :param controls: streams whose samples move the emulated sensors, by device name.
    """

    def __init__(
        self,
        emulators: Mapping[str, Emulator],
        clock: Clock,
        folder: Path,
        journal_folder: Path,
        controls: Mapping[str, StreamReader] | None = None,
    ) -> None:
        self._emulators, self._clock = dict(emulators), clock
        self._folder, self._journals = folder, journal_folder
        self._controls = dict(controls or {})
        self._seen: dict[str, int] = {}
        self._next_controls = self._next_flush = 0
        self._hosted: dict[str, Hosted] = {}
        self._server: ControlServer | None = None

    def open(self) -> None:
        """Make the ports, the journals and, last, the control socket: when that is there, all is."""
        for folder in (self._folder, self._journals):
            folder.mkdir(parents=True, exist_ok=True)
        for name, emulator in self._emulators.items():
            self._hosted[name] = Hosted(name, emulator, self._folder, self._journals)
        self._server = ControlServer(self._folder, self._handle)

    def close(self) -> None:
        """Unplug everything; journals are complete afterwards."""
        for hosted in self._hosted.values():
            hosted.pipe.close()
            hosted.journal.close()
            hosted.emulator.journal = None
        self._hosted.clear()
        if self._server is not None:
            self._server.close()
            self._server = None

    def run(self, stop: Callable[[], bool]) -> None:
        """Open, serve until ``stop()`` says so (asked every 20 ms), close."""
        self.open()
        try:
            while not stop():
                self.poll(0.02)
        finally:
            self.close()

    def poll(self, timeout_s: float) -> None:
        """Serve all devices for so long; with 0, whatever is due now."""
        end = self._clock.now() + int(timeout_s * 1e9)
        while True:
            self._turn(end)
            if self._clock.now() >= end:
                return

    def _turn(self, end: int) -> None:
        """Wait for bytes, for the next device to be due, or for ``end``; then serve what there is."""
        now = self._clock.now()
        dues = [(due, h) for h in self._hosted.values() if (due := h.next_due(now)) is not None]
        until = min((due for due, _ in dues), default=end)
        until = min(end, until)  # sensors move when something else wakes this up, a hundred times a second or more
        ports = {fd: h for h in self._hosted.values() if (fd := h.pipe.fd) is not None}
        asked = self._server.filenos() if self._server is not None else []
        ready, _, _ = select.select([*ports, *asked], [], [], max(0.0, (until - now) / 1e9))
        now = self._clock.now()
        self._move(now)
        for fd in ready:
            if fd in ports:
                ports[fd].serve(now, True)
        for due, hosted in dues:
            if due <= now:
                hosted.serve(now, False)
        if self._server is not None and not set(ready).isdisjoint(asked):
            self._server.serve(ready)
            for hosted in self._hosted.values():  # a fault that was just ordered begins now
                hosted.serve(self._clock.now(), False)
        if now >= self._next_flush:
            self._next_flush = now + FLUSH_NS
            for hosted in self._hosted.values():
                hosted.journal.flush()

    def _move(self, now: int) -> None:
        """Give emulated sensors the newest values their control streams hold."""
        if not self._controls or now < self._next_controls:
            return
        self._next_controls = now + CONTROLS_NS
        for name, reader in self._controls.items():
            sample = reader.latest()
            if sample is not None and sample.seq != self._seen.get(name):
                self._seen[name] = sample.seq
                values = {a.name: sample.array(a.name).tolist() for a in reader.spec.arrays}
                self._hosted[name].emulator.set_values(values)

    def _handle(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request on the control socket.  :raises ConfigError: it makes no sense here."""
        if request.get("query") == "status":
            return {"devices": {name: h.status() for name, h in self._hosted.items()}}
        name, kind = str(request.get("device", "")), str(request.get("fault", ""))
        if name not in self._hosted:
            raise ConfigError(f"device '{name}' is not emulated here; there are: {', '.join(sorted(self._hosted))}")
        how = {k: v for k, v in request.items() if k not in ("device", "fault")}
        for key, value in how.items():
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ConfigError(f"{kind}: {key} = {value!r} is not a number")
        self._hosted[name].fault(kind, how)
        return {}
