"""``telerig train-body``: learn to stand, squat, walk and turn while the arms move."""

from pathlib import Path
from typing import Annotated

import typer


def train_body(
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, curves, evaluations.")],
    minutes: Annotated[float | None, typer.Option(help="Stop after this many minutes of the whole run.")] = None,
    updates: Annotated[int | None, typer.Option(help="Stop after this many updates of the whole run.")] = None,
    processes: Annotated[
        int, typer.Option(min=0, help="Worker processes (16 at most) and learner's threads; 0: one a core.")
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    seed: Annotated[int, typer.Option(help="Same seed, updates and processes: same weights, bit for bit.")] = 0,
    evaluate_every: Annotated[int, typer.Option(help="Updates between two evaluations; 0: never.")] = 50,
    mirror_samples: Annotated[
        bool, typer.Option("--mirror-samples/--no-mirror-samples", help="Learn from mirrored samples too.")
    ] = True,
    mirror_loss: Annotated[float, typer.Option(help="Weight of the mirror loss; 0: none.")] = 0.1,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Curves for TensorBoard too, in OUT/tensorboard.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="A rerun recording of every case of each evaluation, in OUT/pictures.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a summary as one JSON object, last line.")] = False,
) -> None:
    """Train the body policy in simulation, on processors alone.  Ctrl-C keeps what is learnt; --resume goes on with it."""
    import os
    from dataclasses import replace

    # torch's threads wait asleep: where others use the cores too, threads that spin cost more than they save
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from telerig.policies.body.train.config import PpoConfig, TrainConfig
    from telerig.policies.body.train.trainer import RunConfig
    from telerig.policies.commands.train_body_display import run_with_display

    ppo = replace(PpoConfig(), mirror_samples=mirror_samples, mirror_loss=mirror_loss)
    run = RunConfig(out, resume, minutes, updates, processes, evaluate_every, pictures)
    run_with_display(run, TrainConfig(seed=seed, ppo=ppo), json, tensorboard)
