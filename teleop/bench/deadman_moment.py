"""One moment of the dead man's test: wait until the arms move, strike, see what becomes of it."""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from telerig.drivers.emulation_control import send_fault
from telerig.drivers.mujoco.motion_log import read_motion_log
from telerig.hardware import events
from telerig.hardware.errors import DeviceError
from telerig.hardware.events import Event
from telerig.teleop.bench.deadman_judge import BACK_LIMIT_MS, WATCH_S, Verdict, judge
from telerig.teleop.bench.deadman_stand import CAMERA, Stand, is_moving
from telerig.teleop.bench.screen_log import event_shown, state_shown
from telerig.teleop.bench.terminal import TerminalSession
from telerig.teleop.bench.watched import is_alive
from telerig.teleop.states import State

UNPLUGGED = {
    **{name: name for name in ("exo_left", "exo_right", "glove_left", "glove_right", "pedals")},
    "camera": CAMERA,
    "camera_required": CAMERA,
}  # row → device
SILENT = "glove_left"
MOVING_RAD_S = 0.3  # measured, when a blow falls
GONE_S = (2.0, 2.2)  # the 200 ms between two tries to open a device: which of them meets its return is chance
ORPHANS_S = 2.0
TRIES = 4


@dataclass
class Struck:
    """What came of one moment.  ``spontaneous``: why the robot had stopped before anything was done to it, if it had."""

    verdict: Verdict
    spontaneous: list[str] = field(default_factory=list)


def strike(stand: Stand, rng: random.Random, target: str, name: str) -> Struck:
    """One moment of a target and a signal, or of a cause (``target`` "").

    :raises DeviceError: no session can be had, or the robot stops by itself again and again.
    """
    spontaneous: list[str] = []
    for _ in range(TRIES):
        session = stand.ready("plan" if target == "agent" or name == "camera_required" else "cockpit")
        pids = session.pids()
        gone = rng.uniform(*GONE_S)
        blow = _cause(stand, session, name, gone) if not target else _blow(pids[target], name)
        if (why := _wait_for_motion(session, rng)) is not None:
            spontaneous.append(why)
            continue
        at = session.clock.now()
        blow()
        session.pass_time(WATCH_S + 0.1)  # the log reaches the disk every 50 ms
        verdict = judge(read_motion_log(stand.log), at)
        if not target:
            return Struck(_told(session, name, at, gone, verdict), spontaneous)
        if (target, name) == ("cli", "KILL"):
            session.clock.sleep_until(at + int(ORPHANS_S * 1e9))
            verdict = replace(verdict, orphans=sum(is_alive(p) for p in pids.values()))
        elif name == "STOP":
            _blow(pids[target], "CONT")()
            verdict = replace(verdict, resumed=_resumes(session))
        return Struck(verdict, spontaneous)
    raise DeviceError(f"{target or 'cause'} {name}: the robot stops by itself: {'; '.join(spontaneous)}")


def _wait_for_motion(session: TerminalSession, rng: random.Random) -> str | None:
    """Until a random instant at which the arms move; or why the robot has stopped by itself."""
    start = session.clock.now()
    session.pass_time(rng.uniform(0.3, 2.5))
    robot = session.attached.readers["robot/state"]

    def moves() -> bool:
        sample = robot.latest()
        return sample is not None and float(np.abs(sample.array("velocity")).max()) > MOVING_RAD_S

    moving = session.holds(moves, 2.0)
    if moving and session.state() is State.ENGAGED:
        return None
    return next((e.text for e in _heard(session, "loop", start)), "engaged, but the arms do not move")


def _resumes(session: TerminalSession) -> bool:
    """Whether within a second the robot moves, or is about to."""
    return session.holds(lambda: is_moving(session), 1.0)


def _blow(pid: int, name: str) -> Callable[[], None]:
    def blow() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, f"SIG{name}"))

    return blow


def _cause(stand: Stand, session: TerminalSession, name: str, gone: float) -> Callable[[], None]:
    if name in ("estop", "released"):
        return lambda: session.press("x" if name == "estop" else " ")
    device, ports = UNPLUGGED.get(name, SILENT), session.run / "ports"
    folder, fault = stand.cables if device == CAMERA else ports, "silent" if name == "silent" else "unplug"
    return lambda: send_fault(folder, device, fault, seconds=gone)


def _told(session: TerminalSession, name: str, at: int, gone: float, verdict: Verdict) -> Verdict:
    """What the operator's screen said, and of a device that went away: when it was back, whether that moved the robot."""
    if name == "camera":
        verdict = replace(verdict, went_on=session.state() is State.ENGAGED)
    device = UNPLUGGED.get(name, SILENT if name == "silent" else None)
    if device is not None:
        verdict = _came_back(session, device, at, gone, verdict)
    screen = session.screen()
    shown = [] if name == "camera" else [state_shown(screen, at)]
    if name in UNPLUGGED:
        lost = next((e for e in _heard(session, UNPLUGGED[name], at) if e.code == "device.lost"), None)
        shown.append(None if lost is None else event_shown(screen, at, lost.source, lost.text[:30]))
    return replace(verdict, told_ms=max(math.inf if t is None else (t - at) / 1e6 for t in shown))


def _heard(session: TerminalSession, source: str, at: int) -> list[Event]:
    samples = session.attached.readers[f"{source}/events"].window(at, session.clock.now())
    return [events.from_sample(s) for s in samples]


def _came_back(session: TerminalSession, device: str, at: int, gone: float, verdict: Verdict) -> Verdict:
    """When a device that went away at ``at``, for ``gone`` s, delivered again, and whether the robot moved by itself."""
    again = at + int(gone * 1e9)
    until = again + int((BACK_LIMIT_MS / 1e3 + 0.5) * 1e9)
    names = [n for n in session.attached.readers if n.startswith(f"{device}/")]
    stream = session.attached.readers[next(n for n in names if not n.endswith(("/events", "/controls")))]
    back, resumed = math.inf, False

    def over() -> bool:
        nonlocal back, resumed
        newest = stream.latest()
        if back == math.inf and newest is not None and newest.t_arrival >= again:
            back = (newest.t_arrival - again) / 1e6
        resumed = resumed or (verdict.went_on is None and is_moving(session))
        return session.clock.now() >= until

    session.holds(over, gone + BACK_LIMIT_MS / 1e3 + 1.0)
    return replace(verdict, back_ms=back, resumed=resumed)
