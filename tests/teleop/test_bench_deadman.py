"""telerig bench deadman: its rows, and that the system does not fail."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from telerig.hardware.errors import ConfigError
from telerig.teleop.bench import deadman, deadman_moment
from telerig.teleop.bench.deadman_stand import Stand


def test_the_rows_are_what_is_asked_for() -> None:
    every = [deadman.row(t, n) for t, n in deadman.DeadmanBench().plan]
    assert set(every) == {*deadman.CAUSES, *(f"{t}/{s}" for t in deadman.TARGETS for s in deadman.SIGNALS)}
    bench = deadman.DeadmanBench(targets=("cli",), signals=("KILL",), causes=("estop",))
    assert bench.plan == [("", "estop"), ("cli", "KILL")]
    assert deadman.DeadmanBench(rows=("loop/KILL", "pedals")).plan == [("", "pedals"), ("loop", "KILL")]


def test_what_nobody_can_stop_is_refused() -> None:
    for key in ("targets", "signals", "causes", "rows"):
        with pytest.raises(ConfigError, match=f"--{key} nonsense"):
            deadman.DeadmanBench(**{key: ("nonsense",)})


@pytest.mark.realtime
@pytest.mark.timeout(240)
def test_the_simulated_robot_stops_whatever_stops(tmp_path: Path) -> None:
    """Order and causes; times have their limits in the benchmark, on a machine that does nothing else."""
    stand, rng = Stand(tmp_path), random.Random(0)
    try:
        rows = (("", "estop"), ("", "exo_right"), ("recorder", "STOP"), ("loop", "STOP"), ("cli", "KILL"))
        for target, name in rows:
            verdict = deadman_moment.strike(stand, rng, target, name).verdict
            assert not verdict.resumed, target
            assert verdict.continued is (True if name == "STOP" else None), target
            assert verdict.latched is (True if name == "estop" else None), target
            if name == "exo_right":
                assert max(verdict.told_ms or math.inf, verdict.back_ms or math.inf) < math.inf
            assert verdict.speed > 0.05, target
            assert verdict.stopped_ms < verdict.damped_ms < math.inf, target
            assert verdict.orphans == 0, target
    finally:
        stand.close()
