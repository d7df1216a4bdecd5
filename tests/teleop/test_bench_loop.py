"""What ``bench loop`` makes of a log, and what it says of the machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.rawlog_writer import EpisodeWriter
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import Command, Mode, Source, TargetSpec, applied_stream, command_stream, to_sample
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.bench.loop_bench import every_process, latencies_ms
from telerig.teleop.bench.machine import cpu_seconds, stolen_seconds, timer_floor_ms
from telerig.teleop.session import Session

MS = 1_000_000
ARM = TargetSpec("robot/upper", Mode.JOINT_POSITION, ("a",), (-1.0,), (1.0,), (1.0,), (9.0,), (0.0,))
EXO, GLOVE = (StreamSpec(f"{n}/joints", (ArraySpec("position", (1,)),), 250.0) for n in ("exo", "glove"))


def _log(folder: Path, inputs: int, source: Source = Source.OPERATOR) -> Path:
    """Exoskeleton at 90 and 94 ms, glove at 99 ms, command issued at 100 ms, on the bus at 103 ms."""
    sent, applied = command_stream(ARM, "sent", 200.0), applied_stream(ARM, 200.0)
    command = Command(7, ARM.name, ARM.mode, np.zeros(1), source, 100 * MS, (90 * MS, inputs))
    done = {"data": np.zeros(1), "action": np.uint8(1), "command_seq": np.int64(7), "clamped": np.uint8(0)}
    path = folder / "log.mcap"
    with EpisodeWriter(path, [EXO, GLOVE, sent, applied], {}) as log:
        for spec, t in ((EXO, 90), (EXO, 94), (EXO, 101), (GLOVE, 99)):
            log.write(spec.name, Sample(spec.name, t * MS, t * MS, {"position": np.zeros(1)}, seq=t))
        log.write(sent.name, to_sample(command, sent.name)._replace(seq=0))
        log.write(applied.name, Sample(applied.name, 103 * MS, 103 * MS, done, seq=0))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(("inputs", "latency"), [(99, 9.0), (101, 2.0)], ids=["a glove is newer", "just arrived"])
def test_latency_counts_from_the_newest_exoskeleton_sample_used(tmp_path: Path, inputs: int, latency: float) -> None:
    with RawLog(_log(tmp_path, inputs * MS)) as raw:
        assert latencies_ms(raw, ARM.name, [EXO.name]).tolist() == [latency]


def test_what_the_guard_does_by_itself_has_no_latency(tmp_path: Path) -> None:
    with RawLog(_log(tmp_path, 99 * MS, Source.GUARD)) as raw:
        assert latencies_ms(raw, ARM.name, [EXO.name]).size == 0


def test_the_machine_s_own_floor_is_measured() -> None:
    floor = timer_floor_ms(RealClock(), 0.1)
    assert 0.0 <= floor["p99"] <= floor["max"]
    assert stolen_seconds() >= 0.0


def test_the_command_line_s_own_cpu_time_counts() -> None:
    class Empty:
        def pids(self) -> dict[str, int]:
            return {"loop": 2**22 + 1}  # above any process id

    pids = every_process(cast(Session, Empty()))
    assert pids["cli"] == os.getpid()
    used = cpu_seconds(pids)
    assert used["loop"] == 0.0
    assert used["cli"] > 0.0
