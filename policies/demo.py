"""``telerig demo``: everything once, on this machine: record, build, train, evaluate, and a table of what came out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.demo_check import complaints
from telerig.policies.demo_figures import read_back
from telerig.policies.demo_table import show_demo
from telerig.policies.evaluate import Report, evaluate_shown
from telerig.policies.rollout import rollout_spec
from telerig.policies.statistics import wilson
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin
from telerig.teleop.bench.report import progress
from telerig.teleop.rig import Rig, load_rig
from telerig.teleop.teleoperate import TeleopRequest, teleoperate

EVAL_SEED = 10_000  # rollouts are on seeds that no demonstration had


@dataclass(frozen=True)
class DemoRequest:
    """The command's arguments; ``ci`` makes everything small."""

    rig: Path
    out: Path
    episodes: int = 30
    train_minutes: float = 2.5
    rollouts: int = 50
    seed: int = 0
    ci: bool = False
    as_json: bool = False

    def small(self) -> DemoRequest:
        """The same in miniature."""
        return DemoRequest(self.rig, self.out, 2, 0.2, 2, self.seed, True, self.as_json)


class Stopwatch:
    """Seconds a stage took."""

    def __init__(self) -> None:
        self._clock = RealClock()
        self._start = self._last = self._clock.now()
        self.stages: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = self._clock.now()
        self.stages[stage], self._last = round((now - self._last) / 1e9, 1), now

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return round((self._clock.now() - self._start) / 1e9, 1)


def demo(request: DemoRequest) -> dict[str, Any]:
    """Run all stages; returns what ``--json`` prints.

    :raises ConfigError: the output folder holds something already.
    :raises DataError: with ``ci``, the closing table cannot be true.
    """
    if request.ci:
        request = request.small()
    if request.out.exists() and any(request.out.iterdir()):
        raise ConfigError(f"{request.out}: already holds something; give a new folder with --out")
    rig = load_rig(request.rig)
    paths = {k: request.out / k for k in ("session", "run", "dataset", "checkpoint")}
    watch, measured = Stopwatch(), origin()
    operator = _record(request, paths["session"], paths["run"])
    watch.lap("record")
    figures = read_back(rig, paths["session"], paths["run"])
    watch.lap("read back")
    dataset = _build(paths["session"], paths["dataset"], "all" if request.ci else "success")
    watch.lap("build")
    training = _train(request, paths["dataset"], paths["checkpoint"])
    watch.lap("train")
    report = _evaluate(request, rig, paths["checkpoint"])
    watch.lap("evaluate")
    done = [t for t in operator["trials"] if t["success"]]
    result: dict[str, Any] = {
        "seconds": watch.total,
        **figures,
        "operator_success": [len(done), len(operator["trials"])],
        "policy_success": [report.successes, len(report.outcomes)],
        "operator_interval95": interval(len(done), len(operator["trials"])),
        "policy_interval95": interval(report.successes, len(report.outcomes)),
        "stages_s": watch.stages,
        "dataset": dataset,
        "training": training,
        "paths": {k: str(v) for k, v in paths.items()},
        **measured,
        "machine": machine(),
    }
    if (picture := _picture(request, rig, paths["checkpoint"], report)) is not None:
        result["paths"]["picture"] = str(picture)
    watch.lap("picture")
    result["seconds"] = watch.total
    (request.out / "demo.json").write_text(json.dumps(result, indent=1) + "\n")
    show_demo(result)
    if request.as_json:
        print(json.dumps(result), flush=True)
    wrong = complaints(result, rig.file.session.rate_hz, request.episodes, request.rollouts) if request.ci else []
    if wrong:
        raise DataError("demo: the table cannot be true: " + "; ".join(wrong))
    return result


def interval(k: int, n: int) -> list[float]:
    """Wilson's, for tables; [] without trials."""
    return [round(v, 3) for v in wilson(k, n)] if n else []


def _record(request: DemoRequest, session: Path, run: Path) -> dict[str, Any]:
    return teleoperate(
        TeleopRequest(request.rig, session, operator="virtual", trials=request.episodes, seed=request.seed, folder=run)
    )


def _build(session: Path, out: Path, outcome: str) -> dict[str, Any]:
    from telerig.datasets.assemble import BuildOptions
    from telerig.datasets.build import build
    from telerig.datasets.progress import bar

    report = build([session], out, BuildOptions(), outcome, bar("building", lambda s: s.log.stem))
    return {
        "episodes": report.episodes,
        "rows": report.rows,
        "seconds": round(report.seconds, 1),
        "bytes": report.bytes,
    }


def _train(request: DemoRequest, dataset: Path, out: Path) -> dict[str, Any]:
    from telerig.policies.commands.train_display import run_with_display
    from telerig.policies.train import TrainConfig
    from telerig.policies.training_run import RunConfig

    config = TrainConfig(minutes=request.train_minutes, seed=request.seed)
    return run_with_display(RunConfig(dataset, out), config, False)


def _evaluate(request: DemoRequest, rig: Rig, checkpoint: Path) -> Report:
    seeds = range(EVAL_SEED, EVAL_SEED + request.rollouts)
    return evaluate_shown([rollout_spec(rig, str(checkpoint), seed) for seed in seeds], "evaluating")


def _picture(request: DemoRequest, rig: Rig, checkpoint: Path, report: Report) -> Path | None:
    """One rollout as an .rrd file, a success if there is one; None where the viewer is not installed."""
    from importlib.util import find_spec

    if find_spec("rerun") is None:
        return None
    from telerig.policies.demo_picture import save_rollout

    shown = next((o for o in report.outcomes if o.success), report.outcomes[0])
    with progress("drawing a rollout") as advance:
        return save_rollout(rollout_spec(rig, str(checkpoint), shown.seed), shown.seconds, request.out, advance)
