"""``telerig bench deadman``: whatever dies, is stopped or unplugged while the arms wave, the robot comes to rest.

The judge is the simulator: its own log of joint speed and mode, which no process of telerig's control path can touch.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from telerig.drivers.emulation_control import send_fault
from telerig.drivers.mujoco.motion_log import read_motion_log
from telerig.hardware import events
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError, DeviceError
from telerig.hardware.samples import Sample
from telerig.teleop.bench import wave_plan
from telerig.teleop.bench.deadman_judge import BACK_LIMIT_MS, WATCH_S, Verdict, judge, summary
from telerig.teleop.bench.hosted import HostedSession, is_alive
from telerig.teleop.bench.loop_bench import hand_process
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.rigs import bench_rig
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.session import ProcessSpec
from telerig.teleop.states import State

TARGETS = ("loop", "agent", "recorder", "cli", "robot")
SIGNALS = ("STOP", "KILL")
UNPLUGGED = ("exo_left", "exo_right", "glove_left", "glove_right", "pedals")
CAUSES = ("estop", "released", *UNPLUGGED)
WAVE = {"amplitude": 0.3, "hz": 0.8}
MOVING_RAD_S = 0.3  # measured, when a blow falls
UNPLUGGED_S = 2.0
ORPHANS_S = 2.0
TRIES = 4
FRESH_NS = 1_000_000_000  # a recorder that gives way to everything may be slow; one that is dead has been so for longer


@dataclass(frozen=True)
class DeadmanBench:
    """What to do to the session, how often each.

    :param rows: only these, by their names in the result (``loop/KILL``, ``estop``); empty: whatever the other
        parameters name.
    :raises ConfigError: an unknown target, signal, cause or row.
    """

    moments: int = 20
    targets: tuple[str, ...] = TARGETS
    signals: tuple[str, ...] = SIGNALS
    causes: tuple[str, ...] = CAUSES
    seed: int = 0
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = (*CAUSES, *(f"{t}/{s}" for t in TARGETS for s in SIGNALS))
        for key, allowed in (("targets", TARGETS), ("signals", SIGNALS), ("causes", CAUSES), ("rows", known)):
            if unknown := [v for v in getattr(self, key) if v not in allowed]:
                raise ConfigError(f"--{key} {unknown[0]}: choose from {','.join(allowed)}")

    @property
    def plan(self) -> list[tuple[str, str]]:
        """Target and signal, or "" and cause, row by row; what ends a session comes last of what shares it."""
        order = sorted(TARGETS, key=("robot", "recorder", "cli", "loop", "agent").index)
        every = [("", c) for c in CAUSES] + [(t, s) for t in order for s in SIGNALS]
        if self.rows:
            return [(t, name) for t, name in every if row(t, name) in self.rows]
        return [(t, n) for t, n in every if (n in self.causes if not t else t in self.targets and n in self.signals)]


def row(target: str, name: str) -> str:
    """A row's name in the result."""
    return f"{target}/{name}" if target else name


class Stand:
    """One session at a time, engaged, waving and recording whenever :meth:`ready` returns it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._sessions = folder, 0
        self._hosted: HostedSession | None = None
        self._kind = ""
        self.log = folder / "none"

    def ready(self, kind: str) -> HostedSession:
        """An engaged session; a new one where the last one is of another kind or broken.

        :raises DeviceError: it does not start or does not engage.
        """
        if self._hosted is not None and (self._kind != kind or not self._hosted.usable):
            self.close()
        hosted = self._hosted = self._hosted or self._start(kind)
        self._kind = kind
        state = hosted.attached.readers["robot/state"]  # its worker may have been killed, and be on its way back
        hosted.wait(lambda: (s := state.latest()) is not None and _age(hosted, s) < FRESH_NS, 20.0, "a robot")
        hosted.engage()
        record(hosted)
        return hosted

    def _start(self, kind: str) -> HostedSession:
        self._sessions += 1
        folder = self._folder / f"{self._sessions:03d}"
        self.log = self._folder / f"{self._sessions:03d}.motion"
        rig, hand = bench_rig(cameras=False, motion_log=str(self.log), task="")
        hand = {"factory": "telerig.teleop.bench.hands:HeldHand", "config": {**hand["config"], **WAVE}}
        if kind == "cockpit":
            return HostedSession(rig, folder, [hand_process(hand)])
        told = {"target": "upper", "embodiment": "g1_like", "groups": ["left_arm", "right_arm"], **WAVE}
        planner = ProcessSpec("agent", "telerig.teleop.bench.wave_plan:run", told, order=4)
        size = load_embodiment("g1_like").target("robot", "upper").size
        agent = {"factory": "telerig.teleop.bench.wave_plan:build", "target": "robot/upper"}
        stream = wave_plan.plan_stream(size)
        return HostedSession(rig, folder, [hand_process(hand), planner], [stream], agent=agent, needs=["agent"])

    def close(self) -> None:
        """End the session."""
        if self._hosted is not None:
            self._hosted.close()
        self._hosted = None


def _age(hosted: HostedSession, sample: Sample) -> int:
    return hosted.clock.now() - sample.t_arrival


def record(hosted: HostedSession) -> None:
    """Make sure that an episode is being recorded.  :raises DeviceError: the recorder does not begin."""

    def told(recording: bool) -> bool:
        sample = hosted.attached.readers["recorder/state"].latest()
        fresh = sample is not None and _age(hosted, sample) < FRESH_NS
        return fresh and hosted.recorder().recording is recording

    hosted.wait(lambda: told(True) or told(False), 10.0, "a recorder")
    if told(False):
        hosted.episode(EpisodeCommand.START)
        hosted.wait(lambda: told(True), 5.0, "recording")


def moment(
    hosted: HostedSession, log: Path, rng: random.Random, blow: Callable[[], None]
) -> tuple[int, Verdict] | None:
    """Wait for a random instant at which the arms move, strike, and read the simulator's log.

    :returns: the instant and the verdict; None when the robot had stopped before by itself (a busy machine).
    """
    hosted.pass_time(rng.uniform(0.3, 2.5))
    robot = hosted.attached.readers["robot/state"]

    def moves() -> bool:
        sample = robot.latest()
        return sample is not None and float(np.abs(sample.array("velocity")).max()) > MOVING_RAD_S

    if not hosted.holds(moves, 2.0) or hosted.state() is not State.ENGAGED:
        return None
    at = hosted.clock.now()
    blow()
    hosted.pass_time(WATCH_S + 0.1)  # the log reaches the disk every 50 ms
    return at, judge(read_motion_log(log), at)


def strike(stand: Stand, rng: random.Random, target: str, name: str) -> Verdict:
    """One moment of a target and a signal, or of a cause (``target`` "").  :raises DeviceError: no session can be had."""
    kind = "plan" if target == "agent" else "cockpit"
    for _ in range(TRIES):
        hosted = stand.ready(kind)
        pids = hosted.pids()
        blow = _cause(hosted, name) if not target else _blow(pids[target], name)
        found = moment(hosted, stand.log, rng, blow)
        if found is None:
            continue
        at, verdict = found
        if (target, name) == ("cli", "KILL"):
            hosted.clock.sleep_until(at + int(ORPHANS_S * 1e9))
            verdict = replace(verdict, orphans=sum(is_alive(p) for p in pids.values()))
        elif target and name == "STOP":
            _blow(pids[target], "CONT")()
        elif name in UNPLUGGED:
            verdict = _came_back(hosted, name, at, verdict)
        return verdict
    raise DeviceError(f"{target or 'cause'} {name}: the robot stops by itself before anything is done to it")


def _came_back(hosted: HostedSession, device: str, at: int, verdict: Verdict) -> Verdict:
    """What became of a device unplugged at ``at``: when the operator was told, when it was back, whether that moved."""
    again = at + int(UNPLUGGED_S * 1e9)
    hosted.clock.sleep_until(again + int((BACK_LIMIT_MS / 1e3 + 0.5) * 1e9))
    heard = [events.from_sample(s) for s in hosted.attached.readers[f"{device}/events"].window(at, hosted.clock.now())]
    lost = next((e.t for e in heard if e.code == "device.lost"), None)
    back = next((e.t for e in heard if e.code == "device.open" and e.t > (lost or at)), None)
    return replace(
        verdict,
        told_ms=math.inf if lost is None else (lost - at) / 1e6,
        back_ms=math.inf if back is None else (back - again) / 1e6,
        resumed=hosted.state() in (State.MATCHING, State.ENGAGED),
    )


def _blow(pid: int, name: str) -> Callable[[], None]:
    def blow() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, f"SIG{name}"))

    return blow


def _cause(hosted: HostedSession, name: str) -> Callable[[], None]:
    if name == "estop":
        return hosted.attached.control.press_estop
    if name == "released":
        return lambda: hosted.enable(False)
    return lambda: send_fault(hosted.run / "ports", name, "unplug", seconds=UNPLUGGED_S)


def measure(bench: DeadmanBench, progress: Callable[[float], None] = lambda fraction: None) -> dict[str, Any]:
    """Every target with every signal, then every cause, so many times each (docs/benchmarks.md says what is reported)."""
    rng = random.Random(bench.seed)
    plan = bench.plan
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="telerig-deadman-") as scratch:
        stand = Stand(Path(scratch))
        try:
            for i, (target, name) in enumerate(plan):
                verdicts = []
                for k in range(bench.moments):
                    verdicts.append(strike(stand, rng, target, name))
                    progress((i + (k + 1) / bench.moments) / len(plan))
                rows[row(target, name)] = summary(verdicts)
        finally:
            stand.close()
    return _figures(rows, bench)


def _figures(rows: dict[str, Any], bench: DeadmanBench) -> dict[str, Any]:
    def worst(key: str, among: Iterable[dict[str, Any]] = rows.values()) -> float | None:
        values = [row[key] for row in among]
        return None if None in values else max(values, default=0.0)

    devices = [r for r in rows.values() if "told_ms" in r]
    return {
        **rows,
        "moments": bench.moments,
        **{key: worst(key, devices) for key in ("told_ms", "back_ms") if devices},
        "resumed": sum(row["resumed"] for row in rows.values()),
        "stopped_ms": worst("stopped_ms"),
        "damped_ms": worst("damped_ms"),
        "orphans": sum(row["orphans"] for row in rows.values()),
        "failures": sum(row["failures"] for row in rows.values()),
        "machine": machine(),
    }


def names(text: str) -> tuple[str, ...]:
    """``a,b`` → ("a", "b"); "" → ()."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def run_deadman_bench(bench: DeadmanBench, as_json: bool) -> None:
    """``telerig bench deadman``."""
    from telerig.teleop.bench.report import progress, show

    with progress("bench deadman") as advance:
        result = measure(bench, advance)
    show("telerig bench deadman", result, as_json)
