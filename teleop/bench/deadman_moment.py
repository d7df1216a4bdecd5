"""One moment of the dead man's test: wait until the arms move, strike, see what becomes of it."""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.emulation_control import send_fault
from telerig.drivers.mujoco.motion_log import read_motion_log
from telerig.hardware import events
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import DeviceError
from telerig.hardware.events import Event
from telerig.teleop.bench.deadman_judge import (
    BACK_LIMIT_MS,
    STOP_LIMIT_MS,
    WATCH_S,
    Verdict,
    driven_all_along,
    judge,
    moved_again,
)
from telerig.teleop.bench.deadman_stand import CAMERA, Stand, is_fresh, is_moving
from telerig.teleop.bench.plan_session import WAVE
from telerig.teleop.bench.screen_log import event_shown, state_shown
from telerig.teleop.bench.terminal import TerminalSession
from telerig.teleop.bench.watched import is_alive
from telerig.teleop.bench.wave_plan import STREAM as PLAN
from telerig.teleop.states import State

UNPLUGGED = {
    **{name: name for name in ("exo_left", "exo_right", "glove_left", "glove_right", "pedals")},
    "camera": CAMERA,
    "camera_required": CAMERA,
}  # row → device
SILENT = "glove_left"
MOVING_RAD_S = 0.3  # measured, when a blow falls
NEAR_HOME_RAD = WAVE["amplitude"] + 0.15  # every joint, so that no blow falls while the arms come home
COMES_HOME_S = 6.0
GONE_S = (2.0, 2.2)  # the 200 ms between two tries to open a device: which of them meets its return is chance
CONTINUED_S = (0.3, 0.8)  # after the stop: later than that, whoever is suspended is about to be killed
RESUME_S = 0.5  # what is wrongly let go moves within a period or two
ORPHANS_S = 2.0
RESTARTED = {"robot": "robot/state", "recorder": "recorder/state", "agent": PLAN}  # by the session, and what they write
LATCHING = ("estop", "pedals")  # causes that are e-stops
BACK_AGAIN_S = 10.0  # a process that is started again imports its libraries
LOG_TRIES = 5
TRIES = 4


@dataclass
class Struck:
    """What came of one moment.  ``spontaneous``: why the robot had stopped before anything was done to it, if it had."""

    verdict: Verdict
    spontaneous: list[str] = field(default_factory=list)


def strike(stand: Stand, rng: random.Random, target: str, name: str, early: bool = True) -> Struck:
    """One moment of a target and a signal, or of a cause (``target`` "").

    :param early: a process that is stopped goes on soon after, before anybody kills it; else it may be killed.
    :raises DeviceError: no session can be had, or the robot stops by itself again and again.
    """
    spontaneous: list[str] = []
    for _ in range(TRIES):
        session = stand.ready("plan" if target == "agent" or name == "camera_required" else "cockpit")
        pids = session.pids()
        gone = rng.uniform(*(GONE_S if not target else CONTINUED_S))
        blow = _cause(stand, session, name, gone) if not target else _blow(pids[target], name)
        if (why := _wait_for_motion(session, rng)) is not None:
            spontaneous.append(why)
            continue
        stand.hand.foot_stays = (
            name != "released"
        )  # to the end: neither a key nor what comes back may need it to let go
        at = session.clock.now()
        blow()
        if not target:
            return Struck(_after_cause(stand, session, name, at, gone), spontaneous)
        if name == "STOP":
            return Struck(_after_stop(stand, session, target, pids[target], at, gone if early else None), spontaneous)
        return Struck(_after_kill(stand, session, target, pids, at), spontaneous)
    raise DeviceError(f"{target or 'cause'} {name}: the robot stops by itself: {'; '.join(spontaneous)}")


def _wait_for_motion(session: TerminalSession, rng: random.Random) -> str | None:
    """Until a random instant at which the arms move; or why the robot has stopped by itself.

    They wave about home, not where they sank to when they were damped: there a thumb rubs against a thigh, and goes on
    moving by itself when it comes free.
    """
    home = np.array(load_embodiment("g1_like").target("robot", "upper").home)
    start = session.clock.now()
    session.pass_time(rng.uniform(0.3, 0.3 + 1.0 / WAVE["hz"]))  # anywhere in a swing
    robot = session.attached.readers["robot/state"]

    def moves() -> bool:
        sample = robot.latest()
        if sample is None or float(np.abs(sample.array("position") - home).max()) > NEAR_HOME_RAD:
            return False
        return float(np.abs(sample.array("velocity")).max()) > MOVING_RAD_S

    moving = session.holds(moves, COMES_HOME_S)
    if moving and session.state() is State.ENGAGED:
        return None
    return next((e.text for e in _heard(session, "loop", start)), "engaged, but the arms do not move")


def _motion(stand: Stand, session: TerminalSession) -> NDArray[Any]:
    """The simulator's log up to this instant at least (it reaches the disk every 50 ms), if the simulator still runs."""
    now = session.clock.now()
    log = read_motion_log(stand.log)
    for _ in range(LOG_TRIES):
        if log.size and int(log["t"][-1]) >= now:
            break
        session.pass_time(0.06)
        log = read_motion_log(stand.log)
    return log


def _blow(pid: int, name: str) -> Callable[[], None]:
    def blow() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, f"SIG{name}"))

    return blow


# --- processes ---------------------------------------------------------------------------------------------------


def _after_stop(stand: Stand, session: TerminalSession, target: str, pid: int, at: int, gone: float | None) -> Verdict:
    """A suspended process goes on after ``gone`` s; None: after the watch, if nobody has killed it by then."""
    session.clock.sleep_until(at + int((WATCH_S if gone is None else gone) * 1e9))
    continued = is_alive(
        pid
    )  # the supervisor kills what gives no sign of life for a second; nobody kills the supervisor
    _blow(pid, "CONT")()
    again = session.clock.now()
    loop_goes_on = continued and target == "loop"
    watch_s = WATCH_S + ((again - at) / 1e9 if loop_goes_on else 0.0)
    session.clock.sleep_until(max(at + int(watch_s * 1e9), again + int(RESUME_S * 1e9) if continued else 0))
    if not continued:
        again = _back_again(session, target, at)
    log = _motion(stand, session)
    verdict = judge(log, at, watch_s, again if loop_goes_on else None)
    return replace(verdict, resumed=_resumed(session, log, again), continued=continued)


def _after_kill(stand: Stand, session: TerminalSession, target: str, pids: Mapping[str, int], at: int) -> Verdict:
    """A dead process: what is left of its session, or whether its return moves the robot."""
    orphans = 0
    session.clock.sleep_until(at + int((ORPHANS_S if target == "cli" else WATCH_S) * 1e9))
    if target == "cli":
        orphans = sum(is_alive(p) for p in pids.values())
    again = _back_again(session, target, at)
    log = _motion(stand, session)
    return replace(judge(log, at), orphans=orphans, resumed=_resumed(session, log, again))


def _back_again(session: TerminalSession, target: str, at: int) -> int:
    """Wait until the session has started a process again, if it does; from when on nothing may move."""
    if target in RESTARTED and session.holds(lambda: is_fresh(session, RESTARTED[target]), BACK_AGAIN_S):
        session.pass_time(RESUME_S)
    return at + int(STOP_LIMIT_MS * 1e6)


def _resumed(session: TerminalSession, log: NDArray[Any], since: int) -> bool:
    """Whether the robot moved after an instant, or is about to; *enable* is held all the time, but not pressed anew."""
    return moved_again(log, since) or is_moving(session)


# --- causes ------------------------------------------------------------------------------------------------------


def _cause(stand: Stand, session: TerminalSession, name: str, gone: float) -> Callable[[], None]:
    if name in ("estop", "released"):
        return lambda: session.press("x" if name == "estop" else " ")
    device, ports = UNPLUGGED.get(name, SILENT), session.run / "ports"
    folder, fault = stand.cables if device == CAMERA else ports, "silent" if name == "silent" else "unplug"
    return lambda: send_fault(folder, device, fault, seconds=gone)


def _after_cause(stand: Stand, session: TerminalSession, name: str, at: int, gone: float) -> Verdict:
    """What the robot did, what the operator's screen said; of a device that went away, when it was back."""
    session.clock.sleep_until(at + int(WATCH_S * 1e9))
    device = UNPLUGGED.get(name, SILENT if name == "silent" else None)
    back, since = None, at + int(STOP_LIMIT_MS * 1e6)
    if device is not None:
        since = at + int(gone * 1e9)
        back = _came_back(session, device, since)
    end, state, moving = session.clock.now(), session.state(), is_moving(session)
    log = _motion(stand, session)
    verdict = replace(judge(log, at), told_ms=_told(session, name, at), back_ms=back)
    if name == "camera":
        return replace(verdict, went_on=state is State.ENGAGED and moving and driven_all_along(log, at, end))
    latched = (state is State.ESTOP) if name in LATCHING else None
    return replace(verdict, resumed=moving or moved_again(log, since), latched=latched)


def _told(session: TerminalSession, name: str, at: int) -> float:
    """ms until the operator's screen showed what happened; infinite: it did not."""
    screen = session.screen()
    shown = [] if name == "camera" else [state_shown(screen, at, "ESTOP" if name == "estop" else "")]
    if name in UNPLUGGED:
        lost = next((e for e in _heard(session, UNPLUGGED[name], at) if e.code == "device.lost"), None)
        shown.append(None if lost is None else event_shown(screen, at, lost.source, lost.text[:30]))
    return max(math.inf if t is None else (t - at) / 1e6 for t in shown)


def _heard(session: TerminalSession, source: str, at: int) -> list[Event]:
    samples = session.attached.readers[f"{source}/events"].window(at, session.clock.now())
    return [events.from_sample(s) for s in samples]


def _came_back(session: TerminalSession, device: str, again: int) -> float:
    """ms from a device's return to its first sample; waits long enough after that to see what its return does."""
    names = [n for n in session.attached.readers if n.startswith(f"{device}/")]
    stream = session.attached.readers[next(n for n in names if not n.endswith(("/events", "/controls")))]

    def is_back() -> bool:
        newest = stream.latest()
        return newest is not None and newest.t_arrival >= again

    session.clock.sleep_until(again)
    if not session.holds(is_back, BACK_LIMIT_MS / 1e3 + RESUME_S):
        return math.inf
    newest = stream.latest()
    session.pass_time(RESUME_S)
    return math.inf if newest is None else (newest.t_arrival - again) / 1e6
