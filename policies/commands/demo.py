"""``telerig demo``: everything once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Where everything goes: a new folder.")] = Path("demo-out"),
    rig: Annotated[Optional[Path], typer.Option(help="The rig; rigs/homie_g1.toml, or …_walk.toml.")] = None,  # noqa: UP045
    episodes: Annotated[Optional[int], typer.Option(help="Recorded in real time: 30, walking 20.", min=1)] = None,  # noqa: UP045
    train_minutes: Annotated[Optional[float], typer.Option(help="Training time: 2.5.", min=0.05)] = None,  # noqa: UP045
    rollouts: Annotated[Optional[int], typer.Option(help="In virtual time: 50, walking 20.", min=0)] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="Seed of the first demonstration and of training.")] = 0,
    walk: Annotated[
        bool, typer.Option("--walk", help="Walk, squat and carry a box instead; nothing is trained.")
    ] = False,
    body: Annotated[str, typer.Option(help="With --walk: a body policy by name or manifest; the rig's.")] = "",
    ci: Annotated[
        bool, typer.Option("--ci", help="The same in miniature, and fail if its table cannot be true.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Wear, record, build, train, evaluate: the whole way on this machine, in about ten minutes, no hardware.

    A virtual operator wears an emulated cockpit (serial ports, real bytes) and drives a simulated humanoid in real time;
    the recording becomes a dataset; a policy trained on it drives the same robot through the same guard on unseen seeds.

    With --walk the humanoid is on its own feet: the operator walks it to a shelf, squats, picks up a box with both palms,
    and puts it on a table, by pedals, exoskeletons and gloves alone; every episode is judged, and those that
    it ended itself are kept.
    """
    if walk:
        if train_minutes is not None:
            raise typer.BadParameter("--train-minutes is not for --walk: nothing is trained")
        from telerig.policies.demo_walk import WalkRequest, demo_walk

        demo_walk(
            WalkRequest(
                rig or Path("rigs/homie_g1_walk.toml"), out, episodes or 20, 20 if rollouts is None else rollouts, seed, body,
                ci, as_json,
            )
        )  # fmt: skip
        return
    if body or rollouts == 0:
        raise typer.BadParameter("--body and --rollouts 0 are for --walk")
    from telerig.policies.demo import DemoRequest
    from telerig.policies.demo import demo as run

    run(
        DemoRequest(
            rig or Path("rigs/homie_g1.toml"), out, episodes or 30, train_minutes or 2.5, rollouts or 50, seed, ci, as_json,
        )
    )  # fmt: skip
