"""``telerig bench deadman``: whatever dies, is stopped or unplugged while the arms wave, the robot comes to rest.

The judge is the simulator: its own log of joint speed and mode, which no process of telerig's control path can touch; and
the terminal, which shows what the operator was told.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError
from telerig.teleop.bench.deadman_judge import summary
from telerig.teleop.bench.deadman_moment import UNPLUGGED, strike
from telerig.teleop.bench.deadman_stand import Stand
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin

TARGETS = ("loop", "agent", "recorder", "cli", "robot")
SIGNALS = ("STOP", "KILL")
CAUSES = ("estop", "released", "silent", *UNPLUGGED)


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
        planner = [("", "camera_required"), *(("agent", s) for s in SIGNALS)]  # a session of its own kind
        every = [("", c) for c in CAUSES] + [(t, s) for t in order for s in SIGNALS]
        every = [r for r in every if r not in planner] + planner
        if self.rows:
            return [(t, name) for t, name in every if row(t, name) in self.rows]
        return [(t, n) for t, n in every if (n in self.causes if not t else t in self.targets and n in self.signals)]


def row(target: str, name: str) -> str:
    """A row's name in the result."""
    return f"{target}/{name}" if target else name


def measure(bench: DeadmanBench, progress: Callable[[float], None] = lambda fraction: None) -> dict[str, Any]:
    """Every target with every signal, then every cause, so many times each (docs/benchmarks.md says what is reported)."""
    origin()  # before it moves on
    rng = random.Random(bench.seed)
    plan = bench.plan
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="telerig-deadman-") as scratch:
        stand = Stand(Path(scratch))
        try:
            for i, (target, name) in enumerate(plan):
                struck = []
                for k in range(bench.moments):
                    struck.append(strike(stand, rng, target, name, early=k % 2 == 0))
                    progress((i + (k + 1) / bench.moments) / len(plan))
                rows[row(target, name)] = summary(
                    [s.verdict for s in struck], [why for s in struck for why in s.spontaneous]
                )
        finally:
            stand.close()
    return _figures(rows, bench)


def _figures(rows: dict[str, Any], bench: DeadmanBench) -> dict[str, Any]:
    def worst(key: str) -> float | None:
        values = [row[key] for row in rows.values() if key in row]
        return None if None in values else max(values, default=0.0)

    def total(key: str) -> int:
        return sum(row[key] for row in rows.values())

    return {
        **rows,
        "moments": bench.moments,
        **{
            k: worst(k) for k in ("stopped_ms", "damped_ms", "told_ms", "back_ms") if any(k in r for r in rows.values())
        },
        **{k: total(k) for k in ("resumed", "orphans", "spontaneous", "failures")},
        **origin(),
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
