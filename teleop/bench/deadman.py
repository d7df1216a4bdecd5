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
from telerig.teleop.bench.deadman_into import joined, read_rows, totals, write_result
from telerig.teleop.bench.deadman_judge import summary
from telerig.teleop.bench.deadman_moment import UNPLUGGED, strike
from telerig.teleop.bench.deadman_stand import Stand
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin

TARGETS = ("loop", "agent", "recorder", "cli", "robot")
SIGNALS = ("STOP", "KILL")
CAUSES = ("estop", "released", "silent", *UNPLUGGED)
ROWS = (*CAUSES, *(f"{t}/{s}" for t in TARGETS for s in SIGNALS))  # as row() names them


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
        for key, allowed in (("targets", TARGETS), ("signals", SIGNALS), ("causes", CAUSES), ("rows", ROWS)):
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
    return {**rows, "moments": bench.moments, **totals(rows), **origin(), "machine": machine()}


def names(text: str) -> tuple[str, ...]:
    """``a,b`` → ("a", "b"); "" → ()."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def run_deadman_bench(bench: DeadmanBench, as_json: bool, into: Path | None = None) -> None:
    """``telerig bench deadman``.

    :param into: a file of an earlier run: the rows measured now replace or join its own, and all of them are shown.
    :raises ConfigError: ``into`` is not such a file; told before anything is measured.
    """
    from telerig.teleop.bench.report import progress, show

    kept = {} if into is None else read_rows(into, ROWS)
    with progress("bench deadman") as advance:
        result = measure(bench, advance)
    if into is None:
        show("telerig bench deadman", result, as_json)
        return
    result = joined(kept, result, ROWS)
    show("telerig bench deadman", result, as_json)  # first: what was measured is not lost where the disk is full
    write_result(into, result)
