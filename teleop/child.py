"""Inside a session's process: what it was told, its streams, its clock, its heartbeat.

Started by :mod:`telerig.teleop.session` as ``python -m telerig.teleop.child FD``; the descriptor holds a JSON object.
Workers ignore what a terminal sends to everybody in it (Ctrl-C, Ctrl-\\, Ctrl-Z, a closed window): it is the command
line's, and they do what follows from its end or silence.  They take SIGTERM as "end in order" and die with their parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from telerig.hardware import events
from telerig.hardware.clock import RealClock
from telerig.hardware.events import Event, Level
from telerig.hardware.specs import StreamSpec
from telerig.teleop import realtime
from telerig.teleop.control import ControlBlock
from telerig.teleop.stream import SharedReader, StreamMemory, StreamWriter

# Ctrl-\ and Ctrl-Z too: else they would take the watchdog half beside the robot together with the loop
TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP)


class Child:
    """One process's view of its session.

    :ivar settings: what this role was told (JSON values); ``facts``: what everybody was.
    :ivar fifo: whether the real-time priority asked for was granted.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.name: str = told["name"]
        self.settings: dict[str, Any] = told["settings"]
        self.facts: dict[str, Any] = told["facts"]
        self.clock = RealClock(told["offset_ns"])
        self.control = ControlBlock(told["control_fd"])
        self.beats: dict[str, int] = told["beats"]
        self._entries: dict[str, dict[str, Any]] = told["streams"]
        self._memories: dict[str, StreamMemory] = {}
        self._writers: dict[str, StreamWriter] = {}
        self._terminated = False
        self._priority = int(told["fifo"])
        self.fifo = False
        if told["nice"]:
            realtime.nice(told["nice"])

    def go_realtime(self) -> bool:
        """Take the real-time priority this role asked for, once every process of the session is prepared.

        A process that imports and compiles at such a priority, or beside others that have theirs already, would keep the
        rest from starting for a minute.  False where the priority is refused, or none was asked for.
        """
        if not self._priority or self.fifo:
            return self.fifo
        while not self.control.going and not self.stopping:
            self.beat()
            self.clock.sleep_until(self.clock.now() + 5_000_000)
        self.fifo = realtime.fifo(self._priority)
        realtime.quiet_interpreter()
        return self.fifo

    @property
    def streams(self) -> list[str]:
        """Names of all streams this process can reach."""
        return list(self._entries)

    def _memory(self, stream: str) -> StreamMemory:
        if stream not in self._memories:
            entry = self._entries[stream]
            self._memories[stream] = StreamMemory(StreamSpec.from_json(entry["spec"]), entry["fd"])
        return self._memories[stream]

    def spec(self, stream: str) -> StreamSpec:
        """A stream's layout.  :raises KeyError: the session has no such stream."""
        return StreamSpec.from_json(self._entries[stream]["spec"])

    def reader(self, stream: str) -> SharedReader:
        """The reading end of a stream.  :raises KeyError: the session has no such stream."""
        return SharedReader(self._memory(stream))

    def writer(self, stream: str) -> StreamWriter:
        """The writing end; a stream has one writer."""
        if stream not in self._writers:
            self._writers[stream] = StreamWriter(self._memory(stream))
        return self._writers[stream]

    def emit(self, event: Event) -> None:
        """Report an event on this process's own event stream."""
        name = f"{self.name}/events"
        sample = events.to_sample(event)
        self.writer(name).write(sample)

    def say(self, level: Level, code: str, text: str, **data: Any) -> None:
        """Report an event that happens now."""
        self.emit(Event(self.clock.now(), level, self.name, code, text, data))

    def beat(self, busy_s: float = 0.0) -> None:
        """Say that this process lives, and may be busy for so long (opening a device) without saying it again."""
        self.control.beat(self.beats[self.name], self.clock.now() + round(busy_s * 1e9))

    def note_away(self, away: bool) -> None:
        """Say that this process's device went away, or gives samples again: who needs them need not wait for none."""
        self.control.note_away(self.beats[self.name], away)

    def is_away(self, stream: str) -> bool:
        """Whether the device that a stream comes from (``DEVICE/…``) went away."""
        index = self.beats.get(stream.partition("/")[0])
        return index is not None and self.control.is_away(index)

    def alive(self, process: str, within_s: float) -> bool:
        """Whether another process said within that time that it lives (or has not begun to yet)."""
        index = self.beats[process]
        if self.control.is_gone(index):
            return False
        last = self.control.last_beat(index)
        return last == 0 or self.clock.now() - last < within_s * 1e9

    @property
    def stopping(self) -> bool:
        """Whether this process should end in order."""
        return self._terminated or self.control.stopping

    @property
    def terminated(self) -> bool:
        """Whether this very process was asked to end (SIGTERM, or the parent died)."""
        return self._terminated

    def terminate(self, *_: object) -> None:
        """The signal handler."""
        self._terminated = True


class ChildReaders(dict[str, SharedReader]):
    """A child's readers by stream name, made when first asked for."""

    def __init__(self, child: Child) -> None:
        super().__init__()
        self._child = child

    def __missing__(self, name: str) -> SharedReader:
        self[name] = self._child.reader(name)
        return self[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The reader, or ``default`` where the session has no such stream."""
        return self[name] if name in self._child.streams else default


def main() -> None:
    """Read the JSON object, become the role it names, run it."""
    fd = int(sys.argv[1])
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        told = json.loads(file.read())
    realtime.name_process(told["name"])
    realtime.die_with_parent(told["parent"])
    for number in TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    child = Child(told)
    signal.signal(signal.SIGTERM, child.terminate)
    module, _, function = told["role"].partition(":")
    run: Callable[[Child], None] = getattr(import_module(module), function)
    run(child)


if __name__ == "__main__":
    main()
