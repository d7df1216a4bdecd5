"""``telerig demo``: everything once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Where everything goes: a new folder.")] = Path("demo-out"),
    rig: Annotated[Path, typer.Option(help="The rig.")] = Path("rigs/homie_g1.toml"),
    episodes: Annotated[int, typer.Option(help="Demonstrations by the virtual operator.", min=1)] = 30,
    train_minutes: Annotated[float, typer.Option(help="Training time.", min=0.05)] = 2.5,
    rollouts: Annotated[int, typer.Option(help="Rollouts of the policy on unseen seeds.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the first demonstration and of training.")] = 0,
    ci: Annotated[bool, typer.Option("--ci", help="The same in miniature: two episodes, seconds of training.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Wear, record, build, train, evaluate: the whole way on this machine, in about ten minutes, no hardware.

    A virtual operator wears an emulated cockpit (serial ports, real bytes) and drives a simulated humanoid in real time;
    the recording becomes a dataset; a policy trained on it drives the same robot through the same guard on unseen seeds.
    """
    from telerig.policies.demo import DemoRequest
    from telerig.policies.demo import demo as run

    run(DemoRequest(rig, out, episodes, train_minutes, rollouts, seed, ci, as_json))
