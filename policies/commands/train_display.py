"""What ``telerig train`` shows while it works: progress on stderr, a summary at the end."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import Any

from rich.console import Console

from telerig.hardware.clock import RealClock
from telerig.policies import train
from telerig.policies.commands.training_display import show_end, stoppable, training_bar
from telerig.policies.training_run import Hooks, RunConfig, train_checkpoint


def run_with_display(run: RunConfig, config: train.TrainConfig, as_json: bool) -> dict[str, Any]:
    """Train with a progress bar; the first Ctrl-C ends training properly, the second at once."""
    bar = training_bar(Console(stderr=True))
    with stoppable(signal.SIGINT) as stopped, ExitStack() as shown:
        reading = bar.add_task("reading", total=None, note="")
        training = bar.add_task("training", total=1.0, start=False, note="")

        def on_reading(done: int, total: int) -> None:
            if not bar.live.is_started:  # not before: what is refused is refused in one line, without an empty bar
                shown.enter_context(bar)
            bar.update(reading, completed=done, total=total, note=f"{done} of {total} episodes")

        def on_training(p: train.Progress) -> None:
            if not bar.tasks[1].started:
                bar.start_task(training)
            held_out = "" if p.validation is None else f", held out {p.validation:.4f}"
            bar.update(training, completed=p.done, note=f"step {p.step}, loss {p.loss:.4f}{held_out}")

        result = train_checkpoint(run, config, RealClock(), Hooks(on_reading, on_training, stopped))
    figures = f"{result['steps']} steps in {result['seconds']:.0f} s, loss {result['loss']:.4f}"
    show_end(result, figures, run.out, as_json)
    return result
