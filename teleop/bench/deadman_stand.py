"""The sessions of the dead man's test: real command lines on terminals, engaged, waving and recording."""

from __future__ import annotations

import sys
from pathlib import Path

from telerig.hardware.samples import Sample
from telerig.teleop.bench.hands import HeldHand
from telerig.teleop.bench.plan_session import WAVE
from telerig.teleop.bench.rigs import bench_rig
from telerig.teleop.bench.terminal import TerminalSession
from telerig.teleop.states import State

TELERIG = ("-c", "from telerig.teleop.cli.main import main; main()")  # what the script `telerig` does
PLANNER = ("-m", "telerig.teleop.bench.plan_session")
CAMERA = "camera_1"
FRESH_NS = 1_000_000_000  # a recorder that gives way to everything may be slow; one that is dead has been so for longer
MOVING = (State.HOMING, State.MATCHING, State.ENGAGED)


class Stand:
    """One session at a time, engaged, waving and recording whenever :meth:`ready` returns it.

    :ivar hand: wears the cockpit.  :ivar log: the simulator's own.  :ivar cables: where the camera's can be pulled.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._sessions = folder, 0
        self._session: TerminalSession | None = None
        self._kind = ""
        self.log, self.cables = folder / "none", folder / "none"

    def ready(self, kind: str) -> TerminalSession:
        """An engaged session; a new one where the last one is of another kind or broken.

        :param kind: ``cockpit``: ``telerig teleop``; ``plan``: an agent in a process of its own, that requires a camera.
        :raises DeviceError: it does not start or does not engage.
        """
        if self._session is not None and (self._kind != kind or not self._session.usable):
            self.close()
        session = self._session = self._session or self._start(kind)
        self._kind, self.hand.foot_stays = kind, False
        for stream in ("robot/state", f"{CAMERA}/color"):  # a worker may have been killed, and be on its way back
            session.wait(lambda s=stream: is_fresh(session, s), 20.0, stream)  # type: ignore[misc]
        session.engage()
        record(session)
        return session

    def _start(self, kind: str) -> TerminalSession:
        self._sessions += 1
        folder = self._folder / f"{self._sessions:03d}"
        folder.mkdir()
        self.log, self.cables = folder / "motion", folder / "cables"
        rig, hand = bench_rig(cameras=False, motion_log=str(self.log), task="", pulled=str(self.cables))
        file, session = folder / "bench.toml", str(folder / "session")
        file.write_text(rig.text)
        teleop = (*TELERIG, "teleop", str(file), "--record", session, "--task", "bench", "--no-home")
        planner = (*PLANNER, str(file), session, f"{CAMERA}/color")
        command = [sys.executable, *(teleop if kind == "cockpit" else planner)]
        self.hand = HeldHand(**{**hand["config"], **WAVE})
        return TerminalSession(command, folder, self.hand)

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()
        self._session = None


def _age(session: TerminalSession, sample: Sample) -> int:
    return session.clock.now() - sample.t_arrival


def is_fresh(session: TerminalSession, stream: str) -> bool:
    """Whether a stream has a sample of the last second."""
    sample = session.attached.readers[stream].latest()
    return sample is not None and _age(session, sample) < FRESH_NS


def is_moving(session: TerminalSession) -> bool:
    """Whether a living loop lets the robot move, or is about to."""
    return is_fresh(session, "session/state") and session.state() in MOVING


def record(session: TerminalSession) -> None:
    """Make sure that an episode is being recorded.  :raises DeviceError: the recorder does not begin."""

    def told(recording: bool) -> bool:
        return is_fresh(session, "recorder/state") and session.recorder().recording is recording

    session.wait(lambda: told(True) or told(False), 10.0, "a recorder")
    if told(False):
        session.press("n")
        session.wait(lambda: told(True), 5.0, "recording")
