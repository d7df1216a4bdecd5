"""``telerig bench loop``: a real session for a minute, and what it really did, read back from its own log."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.rawlog_reader import RawLog
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import Source
from telerig.hardware.errors import DeviceError
from telerig.teleop import kernel_workers
from telerig.teleop.bench.losses import lost_samples, recorded_counts
from telerig.teleop.bench.machine import cpu_seconds, machine, stolen_seconds, timer_floor_ms
from telerig.teleop.bench.origin import origin
from telerig.teleop.episodes import EpisodeCommand, RecorderState
from telerig.teleop.live import LiveOptions, Steward
from telerig.teleop.operate import running
from telerig.teleop.rig import Rig
from telerig.teleop.session import ProcessSpec, Session
from telerig.teleop.states import State

ENGAGE_LIMIT_S = 45.0


@dataclass(frozen=True)
class LoopBench:
    """What to run: a rig, the hand that wears it, for how long."""

    rig: Rig
    hand: dict[str, Any]
    seconds: float
    target: str
    keep: Path | None = None


def hand_process(hand: dict[str, Any]) -> ProcessSpec:
    """The process in which a hand moves the emulated sensors."""
    return ProcessSpec("hand", "telerig.teleop.hand_process:run", hand, fifo=10, order=4)


def wait_for(session: Session, condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Look 50 times a second until a condition holds.  :raises DeviceError: it does not in time; what the loop says."""
    pause, deadline = threading.Event(), session.clock.now() + int(limit_s * 1e9)
    while not condition():
        if session.failed or session.clock.now() > deadline:
            state = session.reader("session/state").latest()
            shown = "no state" if state is None else State(int(state.array("state"))).name
            raise DeviceError(session.failed or f"{what}: not within {limit_s:.0f} s (state {shown})")
        pause.wait(0.02)


def in_state(session: Session, state: State) -> bool:
    """Whether the loop is in a state now."""
    sample = session.reader("session/state").latest()
    return sample is not None and int(sample.array("state")) == state


def recorder_state(session: Session) -> RecorderState:
    """The recorder's newest report."""
    sample = session.reader("recorder/state").latest()
    return RecorderState() if sample is None else RecorderState.from_sample(sample)


def measure(bench: LoopBench, progress: Callable[[float], None] = lambda fraction: None) -> dict[str, Any]:
    """Run it and return the figures (docs/benchmarks.md says what each means)."""
    measured, floor = origin(), timer_floor_ms(RealClock())
    with tempfile.TemporaryDirectory(prefix="telerig-bench-") as scratch:
        folder = Path(scratch) / "run"
        record = bench.keep or Path(scratch) / "session"
        options = LiveOptions(record=record, task="bench", extra=(hand_process(bench.hand),))
        with running(bench.rig, options, folder) as (session, steward):
            wait_for(session, lambda: in_state(session, State.ENGAGED), ENGAGE_LIMIT_S, "the hand did not engage")
            used = _record(session, steward, bench.seconds, progress)
            serial = {"serial_threads": kernel_workers.count()}
        log = sorted((record / "episodes").glob("*.mcap"))[0]
        stolen = round(used.pop("stolen") / used["wall"], 4)
        found = figures(log, bench, folder / "journals", used)
        return found | measured | {"machine": machine() | serial | {"stolen_cores": stolen, "timer_floor_ms": floor}}


def every_process(session: Session) -> dict[str, int]:
    """Process ids of the session by name, and ``cli``: the command line's own, which beats, supervises and shows."""
    return {**session.pids(), "cli": os.getpid()}


def _record(session: Session, steward: Steward, seconds: float, progress: Callable[[float], None]) -> dict[str, float]:
    """Record one episode of so many seconds; the CPU seconds each process used meanwhile."""
    steward.episode(EpisodeCommand.START)
    wait_for(session, lambda: recorder_state(session).recording, 5.0, "the recorder did not start")
    before, start, stolen = cpu_seconds(every_process(session)), session.clock.now(), stolen_seconds()
    pause = threading.Event()
    while (elapsed := (session.clock.now() - start) / 1e9) < seconds and not session.failed:
        progress(elapsed / seconds)
        pause.wait(0.1)
    after, stolen = cpu_seconds(every_process(session)), stolen_seconds() - stolen
    wall = (session.clock.now() - start) / 1e9
    steward.episode(EpisodeCommand.KEEP)
    wait_for(session, lambda: recorder_state(session).kept == 1, 10.0, "the recorder did not keep the episode")
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    return used | {"stolen": stolen, "wall": wall}


def figures(log: Path, bench: LoopBench, journals: Path, used: dict[str, float]) -> dict[str, Any]:
    """Everything the bench reports, from one episode's log."""
    with RawLog(log) as raw:
        ticks = raw.columns("loop/ticks").fields
        counts = raw.counts
        latency = latencies_ms(raw, bench.target, arm_streams(bench.rig))
        images = [s for s in counts if s.endswith("/color")]
        sizes = [len(s.blob("jpeg")) for name in images for s in raw.samples(name)]
    streams = {n: _main_stream(bench.rig, n, counts) for n, d in bench.rig.devices.items() if d.rig.emulate}
    lost = lost_samples(journals, streams, log)
    found = recorded_counts(log)
    started, due = ticks["started"].astype(np.int64).ravel(), ticks["due"].astype(np.int64).ravel()
    error = (started - due) / 1e6
    frames = sum(counts[s] for s in images)
    cameras = sum(used.get(s.split("/")[0], 0.0) for s in images)
    return {
        "seconds": round(used["wall"], 2),
        "rate_hz": round((started.size - 1) / ((started[-1] - started[0]) / 1e9), 3),
        "period_error_ms": percentiles(np.abs(error)),
        "latency_ms": percentiles(latency) | {"n": int(latency.size)},
        "overruns": int(ticks["overruns"].ravel()[-1] - ticks["overruns"].ravel()[0]),
        "samples": int(sum(found.values())),
        "lost_samples": int(sum(lost.values())),
        "lost_by_device": lost,
        "frames": frames,
        "jpeg_bytes_min": min(sizes, default=0),
        "cpu_ms_per_frame": round(1e3 * cameras / frames, 3) if frames else None,
        "recorder_cpu_ms_per_frame": round(1e3 * used.get("recorder", 0.0) / frames, 3) if frames else None,
        "cpu_cores": round(sum(v for k, v in used.items() if k != "wall") / used["wall"], 3),
        "cpu_cores_by_process": {k: round(v / used["wall"], 3) for k, v in used.items() if k != "wall"},
    }


def _main_stream(rig: Rig, device: str, counts: dict[str, int]) -> str:
    names = [
        n
        for n in counts
        if n.startswith(f"{device}/") and not n.endswith(("/events", "/intended", "/sent", "/applied"))
    ]
    return names[0] if names else f"{device}/state"


def arm_streams(rig: Rig) -> tuple[str, ...]:
    """The streams of the arms that the operator wears: those to which latency is measured."""
    return tuple(f"{arm['device']}/joints" for arm in rig.file.cockpit.get("arms", ()))


def latencies_ms(raw: RawLog, target: str, arms: Sequence[str]) -> NDArray[np.float64]:
    """Applied − arrival of the newest exoskeleton sample used, of every steered command found applied, ms.

    Used is what had arrived when the command was issued, or was newer still (it arrived while the command was made).

    :param arms: streams of the exoskeletons; gloves, which come as often, would flatter the figure.
    """
    commands = raw.columns(f"{target}/sent")
    sent, applied = commands.fields, raw.columns(f"{target}/applied")
    arrivals = np.sort(np.concatenate([raw.columns(name).t_arrival for name in arms if raw.counts.get(name)]))
    limit = np.maximum(commands.t_arrival, sent["t_inputs"][:, 1])
    at = np.searchsorted(arrivals, limit, side="right") - 1
    steered = (sent["source"].ravel() != Source.GUARD) & (at >= 0)
    newest = dict(zip(sent["command_seq"].ravel()[steered].tolist(), arrivals[at[steered]].tolist(), strict=True))
    pairs = zip(applied.fields["command_seq"].ravel().tolist(), applied.t_sample.tolist(), strict=True)
    return np.array([(t - newest[seq]) / 1e6 for seq, t in pairs if seq in newest])


def percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    """p50, p99 and the largest."""
    if values.size == 0:
        return {"p50": float("nan"), "p99": float("nan"), "max": float("nan")}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 4), "p99": round(float(p99), 4), "max": round(float(values.max()), 4)}
