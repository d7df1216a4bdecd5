"""``telerig run``: let a policy drive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def run(
    rig: Annotated[Path, typer.Argument(help="The rig file the policy's data were recorded with.")],
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder made by `telerig train`.")],
    record: Annotated[Optional[Path], typer.Option(help="Record a session into this new folder.")] = None,  # noqa: UP045
    emulate: Annotated[bool, typer.Option(help="Run every device that has an emulator against it.")] = False,
    unattended: Annotated[bool, typer.Option(help="Nobody holds enable: simulated robots only.")] = False,
    speed: Annotated[float, typer.Option(help="Scale of the robot's speed limits.", min=0.05, max=1.0)] = 1.0,
    seconds: Annotated[float, typer.Option(help="End by itself after so long; 0: never.", min=0.0)] = 0.0,
    trials: Annotated[int, typer.Option(help="With --unattended: so many scenes, and how often it succeeds.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the first trial.")] = 10_000,
    ablate: Annotated[Optional[list[str]], typer.Option(help="images: show the training mean instead.")] = None,  # noqa: UP045
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, last line.")] = False,
) -> None:
    """Let a policy drive the robot, in real time, through the operator's own path.

    The same enable pedal, the same matching, limits and watchdogs as in `telerig teleop`: hold enable and the policy
    drives, release it and the robot holds.  Inference runs in a process of its own; when it stops, the robot stops.
    """
    from telerig.policies.run_policy import RunRequest, run_policy

    run_policy(
        RunRequest(
            rig, checkpoint, record, emulate, unattended, speed, seconds, trials, seed, tuple(ablate or ()), as_json
        )
    )
