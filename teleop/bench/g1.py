"""``telerig bench g1``: the G1's driver and its emulator, each in a process of its own, over DDS on loopback.

The driver is worked as an actuator's worker works it (a goal 200 times a second, all states read), so that what is
measured is the driver's own threads and DDS, both ways.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from telerig.drivers import table
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.errors import DeviceError
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.teleop import realtime
from telerig.teleop.bench.loop_bench import percentiles
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin
from telerig.teleop.config_values import build_config

GOALS_HZ = 200
WAVE = (0.15, 0.5)  # rad, Hz


@dataclass(frozen=True)
class G1Bench:
    """What to run.  ``rate_hz``: of the commands;  ``state_hz``: of the emulator's states."""

    seconds: float
    rate_hz: float = 550.0
    state_hz: float = 550.0
    domain: int = 93
    realtime: bool = True


class Emulated:
    """An emulated G1 in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout
        self.pid = process.pid

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request, read its answer.  :raises DeviceError: the process is gone, or said that it cannot."""
        if request:
            self._in.write(json.dumps(request) + "\n")
            self._in.flush()
        line = self._out.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the emulator ended"}
        if "error" in answer:
            raise DeviceError(answer["error"])
        return answer


@contextmanager
def emulated(**config: Any) -> Iterator[Emulated]:
    """An emulator that takes part in DDS; it ends with the block.  :raises DeviceError: it cannot."""
    command = [sys.executable, "-m", "telerig.teleop.bench.g1_host", json.dumps(config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            other = Emulated(process)
            other.ask()
            yield other
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def measure(bench: G1Bench, progress: Callable[[float], None] = lambda fraction: None) -> dict[str, Any]:
    """Run it and return the figures (docs/benchmarks.md says what each means)."""
    origin()
    clock, events = RealClock(), list[Event]()
    driver = table.driver("unitree_g1")
    config = {"emulated": True, "domain": bench.domain, "rate_hz": bench.rate_hz}
    with emulated(domain=bench.domain, rate_hz=bench.state_hz) as other:
        context = DeviceContext("robot", clock, emit=events.append)
        robot = driver(build_config(driver.Config, config, "robot"), context)
        with realtime.raised(realtime.ACTUATOR if bench.realtime else 0):
            robot.open()
            try:
                return _work(bench, robot, other, clock, progress) | {"events": sorted({e.code for e in events})}
            finally:
                robot.close()


def _work(
    bench: G1Bench, robot: Any, other: Emulated, clock: RealClock, progress: Callable[[float], None]
) -> dict[str, Any]:
    target = robot.targets[0]
    low, high = np.array(target.low), np.array(target.high)
    mean = np.clip(np.array(target.home), low + WAVE[0], high - WAVE[0])
    robot.hold()
    robot.read(0.0)
    before, start, sent, missed = other.ask(do="count"), clock.now(), robot.link.sent, robot.link.missed
    arrivals, ticks = list[int](), list[int]()
    n = round(bench.seconds * GOALS_HZ)
    for k in range(n):
        clock.sleep_until(start + k * 1_000_000_000 // GOALS_HZ)
        goal = mean + WAVE[0] * np.sin(2 * np.pi * WAVE[1] * k / GOALS_HZ)
        now = clock.now()
        robot.send(Command(k, target.name, Mode.JOINT_POSITION, goal, Source.OPERATOR, now, (now, now)))
        for sample in robot.read(0.0):
            if sample.stream.endswith("/state"):
                arrivals.append(sample.t_arrival)
                ticks.append(sample.seq_device)
        if k % GOALS_HZ == 0:
            progress(k / n)
    span = (clock.now() - start) / 1e9
    link, after = robot.link, other.ask(do="count")
    heard = (after["t"] - before["t"]) / 1e9
    return _figures(np.array(arrivals, np.int64), np.array(ticks, np.int64)) | {
        "seconds": round(span, 2),
        "commands_sent_hz": round((link.sent - sent) / span, 2),
        "commands_obeyed_hz": round((after["taken"] - before["taken"]) / heard, 2),
        "hand_commands_hz": round((after["hands"] - before["hands"]) / heard / 2, 2),
        "states_sent_hz": round((after["sent"] - before["sent"]) / heard, 2),
        "commands_missed": link.missed - missed,
        "refused": {**link.gate.refused, **after["refused"]},
        "emulator_overruns": after["overruns"] - before["overruns"],
        "emulator_trips": after["trips"] - before["trips"],
        **origin(),
        "machine": machine(),
    }


def _figures(arrivals: NDArray[np.int64], ticks: NDArray[np.int64]) -> dict[str, Any]:
    gaps = np.diff(arrivals) / 1e6
    return {
        "states_hz": round((arrivals.size - 1) / ((arrivals[-1] - arrivals[0]) / 1e9), 2),
        "states": int(arrivals.size),
        "state_gap_ms": percentiles(gaps),
        "tick_gap_ms_max": int(np.diff(ticks).max()),
    }


def run_g1_bench(bench: G1Bench, as_json: bool) -> None:
    """``telerig bench g1``."""
    from telerig.teleop.bench.report import progress, show

    with progress("bench g1") as advance:
        result = measure(bench, advance)
    show("telerig bench g1", result, as_json)
