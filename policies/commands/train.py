"""``telerig train``: learn a policy from a dataset."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder made by `telerig build`.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    policy: Annotated[str, typer.Option(help="Name of the policy: flow, regress or a plug-in's.")] = "flow",
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this many minutes, reading included.", min=0.0)
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after this many steps.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Same seed, data and steps: same weights, bit for bit.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the checkpoint in --out.")] = False,
    batch: Annotated[int, typer.Option(help="Samples a step.", min=1)] = 64,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.", min=0.0)] = 1e-3,
    horizon: Annotated[int, typer.Option(help="Steps in a chunk.", min=1)] = 16,
    stride: Annotated[int, typer.Option(help="Dataset rows between two steps of a chunk.", min=1)] = 1,
    relative: Annotated[
        bool, typer.Option("--relative/--absolute", help="Learn targets relative to the measured joints, or absolute.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A policy option, e.g. width=128.")] = None,
    validation: Annotated[
        float, typer.Option(help="Share of episodes held out for the validation loss.", min=0.0, max=0.9)
    ] = 0.05,
    threads: Annotated[int, typer.Option(help="Processor threads.", min=1)] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print a summary as one JSON object, last line.")] = False,
) -> None:
    """Train a policy on a dataset and write a checkpoint.  Ctrl-C keeps what is learnt; --resume goes on with it."""
    from telerig.policies.commands.train_display import run_with_display
    from telerig.policies.options import parse_options
    from telerig.policies.train import TrainConfig
    from telerig.policies.training_run import RunConfig

    options = parse_options([*(set_ or []), *(["relative=true"] if relative else [])])
    config = TrainConfig(policy, seed, max_steps, minutes, batch, learning_rate, validation=validation, options=options)
    run = RunConfig(dataset, out, resume, horizon, stride, threads=threads)
    run_with_display(run, config, json)
