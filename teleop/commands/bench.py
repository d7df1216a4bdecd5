"""``telerig bench``: figures anybody can measure again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

bench = typer.Typer(help="Measure speed, latency, losses and safety on this machine.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


@bench.command("loop")
def loop(
    seconds: Annotated[float, typer.Option(help="How long to measure.", min=5.0)] = 60.0,
    keep: Annotated[Optional[Path], typer.Option(help="Keep the recorded session in this new folder.")] = None,  # noqa: UP045
    renderer: Annotated[bool, typer.Option(help="Render the simulated cameras too (reported, no bar).")] = False,
    as_json: Json = False,
) -> None:
    """Loop rate, jitter, latency and losses of the full cockpit at 200 Hz, everything recorded.

    Two exoskeleton arms, two gloves and the pedal box on pseudo-terminals, two synthetic 640x480 cameras at 30 fps, a
    simulated robot.  Latency is from the arrival of the newest exoskeleton sample used to the write on the robot's bus;
    losses are the emulators' journals minus what the mcap package's own reader finds in the log.
    """
    from telerig.teleop.bench.report import run_loop_bench

    run_loop_bench(seconds, keep, renderer, as_json)
