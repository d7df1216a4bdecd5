"""What ``telerig train-body`` shows while it works: progress and evaluations on stderr, a summary at the end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from telerig.hardware.clock import RealClock
from telerig.policies.body.train import trainer
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.curves import FOLDER, RunCurves
from telerig.policies.commands.training_display import show_end, stoppable, training_bar


def run_with_display(
    run: trainer.RunConfig, config: TrainConfig, as_json: bool, tensorboard: bool = False
) -> dict[str, Any]:
    """Train with a progress bar; the first SIGINT or SIGTERM ends training properly, a second SIGINT at once."""
    curves = _Curves(run.out) if tensorboard else None
    console = Console(stderr=True)
    with stoppable(signal.SIGINT, signal.SIGTERM) as stopped, training_bar(console) as bar:
        task = bar.add_task("training", total=1.0, note="starting")

        def on_progress(p: trainer.Progress) -> None:
            bar.update(task, completed=p.done, note=_note(p))
            if curves is not None:
                curves.add(p.figures)

        def on_evaluation(update: int, cases: dict[str, Any]) -> None:
            console.print(evaluation_table(update, cases))
            if curves is not None:
                curves.add({"steps": update * config.samples, "cases": cases})

        def warn(text: str) -> None:
            console.print(f"warning: {text}", markup=False, highlight=False)

        result = trainer.train_body(run, config, RealClock(), trainer.Hooks(on_progress, on_evaluation, stopped, warn))
    show_end(result, f"{result['steps']} steps at {result['steps_per_s']:.0f} a second", run.out, as_json)
    return result


class _Curves:
    """Curves for TensorBoard, from the first update on: by then a resumed run has dropped what it computes anew."""

    def __init__(self, out: Path) -> None:
        self._out, self._seconds = out, 0.0
        self._curves: RunCurves | None = None

    def add(self, line: dict[str, Any]) -> None:
        """A line as in the run's files, which hold it already."""
        if self._curves is None:
            self._curves = RunCurves(self._out, self._out / FOLDER)
            return
        self._seconds = line.get("seconds", self._seconds)
        self._curves.add({"seconds": self._seconds, **line})


def _note(p: trainer.Progress) -> str:
    f = p.figures
    return (
        f"{p.steps / 1e6:.1f} M steps, {f['steps_per_s'] / 1000:.1f} k/s, reward {f['reward_stand']:.2f}/"
        f"{f['reward_walk']:.2f}, falls {f['stand_falls']:.1f}/{f['walk_falls']:.1f}"
    )


def evaluation_table(update: int, cases: dict[str, Any]) -> Table:
    """Cases as rows."""
    table = Table(title=f"after update {update}, training model", title_justify="left")
    for name in ("case", "up", "vx", "vy", "yaw rate", "height", "tilt"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for name, c in cases.items():
        values = (c["vx"], c["vy"], c["yaw_rate"], c["height"])
        shown = ("–" if v is None else f"{v:.3f}" for v in values)
        table.add_row(
            name, f"{c['up']}/{c['n']}", *shown, "–" if c["tilt_deg_max"] is None else f"{c['tilt_deg_max']}°"
        )
    return table
