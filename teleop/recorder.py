"""The recorder: every sample of every stream, into one log an episode.  Taps and commands here; bytes in ``datasets/``.

:class:`Recording` is the same in real and virtual time; :func:`run` is its process, which gives way to everything that
moves and whose queues are the streams' own rings: bounded, their losses counted and written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from telerig.datasets.recording import RecorderCore
from telerig.datasets.session_folder import SessionInfo, boot_id, versions
from telerig.hardware.clock import clock_pair
from telerig.hardware.events import Event
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.teleop.child import Child
from telerig.teleop.episodes import EpisodeCommand, RecorderState
from telerig.teleop.plan import rig_facts, rig_from_told
from telerig.teleop.pulse import Pulse
from telerig.teleop.rig import Rig
from telerig.teleop.stream import Tap

CLOCK_PAIR_NS = 10_000_000_000
CYCLE_NS = 20_000_000
COMMANDS = ("loop/episode", "session/episode")


def session_info(rig: Rig, offset_ns: int, simulated: bool, extra: Mapping[str, Any] | None = None) -> SessionInfo:
    """What a session of this rig freezes: its text, its calibration, the robot's embodiment, what stands around it."""
    import json
    import socket

    facts = rig_facts(rig)
    calibration = json.loads(rig.calibration_path.read_text()) if rig.calibration_path.exists() else {}
    return SessionInfo(
        rig.name, facts["embodiment"], offset_ns, rig.text, calibration, boot_id(), socket.gethostname(),
        simulated, versions(), facts["surroundings"], extra or {},
    )  # fmt: skip


class Recording:
    """Drains taps into the core and carries out episode commands.

    :param taps: every stream to record, by name;  ``commands``: taps of the episode streams.
    """

    def __init__(self, core: RecorderCore, taps: Mapping[str, Tap], commands: list[Tap], task: str = "") -> None:
        self.core, self._taps, self._commands = core, taps, commands
        self._task = task
        self.samples = self.bytes = 0

    def drain(self) -> None:
        """Everything new on every stream."""
        for name, tap in self._taps.items():
            samples, lost = tap.read()
            if samples or lost:
                self.core.take(name, samples, lost)
                if self.core.recording:
                    self.samples += len(samples)
                    self.bytes += sum(_size(s) for s in samples)

    def step(self, now: int) -> None:
        """Drain, then do what was asked."""
        self.drain()
        for tap in self._commands:
            for sample in tap.read()[0]:
                self.obey(EpisodeCommand(int(sample.array("command"))), sample.blob("text").decode(), sample.t_arrival)

    def obey(self, command: EpisodeCommand, text: str, now: int) -> None:
        """One episode command; one that does not fit the present state is ignored."""
        core = self.core
        if command is EpisodeCommand.START_OR_KEEP:
            command = EpisodeCommand.KEEP if core.recording else EpisodeCommand.START
        if command is EpisodeCommand.START and not core.recording:
            core.start(now, text or self._task)
        elif command is EpisodeCommand.KEEP and core.recording:
            self.drain()
            core.keep(now, {"success": True, "failure": False}.get(text))
        elif command is EpisodeCommand.DISCARD and core.recording:
            core.discard(now)
        elif command in (EpisodeCommand.LABEL_SUCCESS, EpisodeCommand.LABEL_FAILURE):
            core.label(command is EpisodeCommand.LABEL_SUCCESS, now)
        elif command is EpisodeCommand.TASK:
            self._task = text
            core.task(text)

    def state(self, now: int) -> RecorderState:
        """For the operator's screen."""
        core = self.core
        number = core.kept + core.discarded + int(core.recording)
        seconds = (now - core.t_start) / 1e9 if core.t_start is not None else 0.0
        lost = sum(core.lost.values())
        return RecorderState(core.recording, number, core.kept, core.discarded, self.samples, lost, self.bytes, seconds)


def _size(sample: Sample) -> int:
    return sum(len(v) if isinstance(v, bytes) else v.nbytes for v in sample.data.values())


def run(child: Child) -> None:
    """Record until the session ends."""
    settings = child.settings
    rig = rig_from_told(settings["rig"])
    info = session_info(rig, child.clock.offset_ns, bool(settings["simulated"]), settings.get("extra"))
    readers = {name: child.reader(name) for name in settings["streams"]}
    specs: list[StreamSpec] = [r.spec for r in readers.values()]
    say: Callable[[Event], None] = child.emit
    core = RecorderCore(Path(settings["folder"]), specs, info, child.clock.now(), say)
    # a recorder that was started again goes on from the newest sample: what was written before is on disk already
    recording = Recording(
        core, {n: r.tap() for n, r in readers.items()}, [child.reader(c).tap() for c in COMMANDS], settings["task"]
    )
    state, next_pair, ended = child.writer("recorder/state"), 0, 0
    pulse = Pulse(child)
    pulse.start()
    child.go_realtime()
    while ended < 2:
        now = child.clock.now()
        pulse.on(now)
        if now >= next_pair:
            core.clock_pair(*clock_pair(), now)
            next_pair = now + CLOCK_PAIR_NS
        ended += int(child.terminated or (child.stopping and not child.alive("loop", 0.3)))
        recording.step(now)
        state.write(recording.state(now).to_sample(now))
        child.clock.sleep_until(now + CYCLE_NS)
    core.close(child.clock.now())
