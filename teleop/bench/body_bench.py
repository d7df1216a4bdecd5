"""``telerig bench body``: how long a body policy thinks.

A step is what the robot's worker pays each time: the observation, the reference, one call of the network, targets within
their ranges.  As in that worker: at its priority and the policy's own rate, asleep in between but for the robot's
measurements, so that caches are as cold as they are in a session.  The robot that it sees wobbles and is asked for
something else all the time; nothing is simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from telerig.hardware.clock import RealClock
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.legs import BODY_RATE_HZ, LegMeasure, legs_of
from telerig.teleop import realtime
from telerig.teleop.bench.loop_bench import percentiles
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin
from telerig.teleop.body_build import load_drive
from telerig.teleop.body_rig import BodyRig, settings_of

ROBOT, UPPER = "g1_like", ("robot", "upper")
WARM_UP = 20  # steps that are not counted: the first ones allocate
WOBBLE_RAD, WOBBLE_RAD_S, TILT = 0.05, 0.3, 0.03
PROGRESS_STEPS = 10


@dataclass(frozen=True)
class BodyBench:
    """What to run.  ``policy``: a body policy by name, or its manifest's path;  ``seed``: of what it sees."""

    policy: str
    seconds: float = 10.0
    seed: int = 0


def measure(bench: BodyBench, progress: Callable[[float], None] = lambda fraction: None) -> dict[str, Any]:
    """``step_ms`` p50, p99 and the largest (bar: p99 ≤ 0.5), of ``steps`` at ``rate_hz``; ``network_ms`` (the same bar): the
    network's share of them, one ONNX Runtime call.

    :raises ConfigError: no such policy, or it does not fit the robot.
    """
    origin()
    embodiment = load_embodiment(ROBOT)
    upper = embodiment.target(*UPPER)
    drive = load_drive(settings_of(BodyRig("robot", bench.policy), Path.cwd()), ROBOT, upper.names)
    sees = _seen(bench.seed, np.array(legs_of(embodiment).home), np.array(upper.home))
    clock, took = RealClock(), list[float]()
    network = _timed(drive, clock)
    looks = max(1, round(BODY_RATE_HZ / drive.rate_hz))  # measurements a step
    period, steps = round(1e9 / drive.rate_hz / looks), WARM_UP + round(bench.seconds * drive.rate_hz)
    low, high = drive.heights
    drive.reset()
    with realtime.raised(realtime.ACTUATOR):
        due = clock.now()
        for k in range(steps):
            wish = np.array([0.4 * np.sin(k / 40), 0.0, 0.4 * np.cos(k / 60), low + (high - low) * (k % 100) / 100])
            for _ in range(looks):
                due += period
                clock.sleep_until(due)
                measured = sees()
            began = clock.now()
            drive.step(measured, wish, 1, False)
            took.append((clock.now() - began) / 1e6)
            if k % PROGRESS_STEPS == 0:
                progress(k / steps)
    step_ms, network_ms = (np.array(times[WARM_UP:]) for times in (took, network))
    figures = {"step_ms": percentiles(step_ms), "network_ms": percentiles(network_ms)}
    return {
        "policy": drive.name,
        "rate_hz": drive.rate_hz,
        "steps": step_ms.size,
        **figures,
        **origin(),
        "machine": machine(),
    }


def _timed(drive: Any, clock: RealClock) -> list[float]:
    """Times of its network's calls from now on, ms."""
    took, infer = list[float](), drive.policy.infer

    def timed(values: Any) -> Any:
        began = clock.now()
        found = infer(values)
        took.append((clock.now() - began) / 1e6)
        return found

    drive.policy.infer = timed
    return took


def _seen(seed: int, legs: np.ndarray[Any, Any], arms: np.ndarray[Any, Any]) -> Callable[[], LegMeasure]:
    rng = np.random.default_rng(seed)

    def measured() -> LegMeasure:
        lean = rng.normal(0.0, TILT, 3)
        attitude = np.array([1.0, *lean])
        return LegMeasure(
            legs + rng.normal(0.0, WOBBLE_RAD, legs.size),
            rng.normal(0.0, WOBBLE_RAD_S, legs.size),
            arms + rng.normal(0.0, WOBBLE_RAD, arms.size),
            rng.normal(0.0, WOBBLE_RAD_S, arms.size),
            arms,
            attitude / np.linalg.norm(attitude),
            rng.normal(0.0, WOBBLE_RAD_S, 3),
        )

    return measured


def run_body_bench(bench: BodyBench, as_json: bool) -> None:
    """``telerig bench body``."""
    from telerig.teleop.bench.report import progress, show

    with progress("bench body") as advance:
        result = measure(bench, advance)
    show("telerig bench body", result, as_json)
