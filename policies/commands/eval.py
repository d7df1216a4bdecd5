"""``telerig eval``: how often an agent succeeds, in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def evaluate(
    rig: Annotated[Path, typer.Argument(help="The rig file, with a simulated world.")],
    agent: Annotated[str, typer.Option(help="operator, a checkpoint folder, or replay:RECORDING.")] = "operator",
    episodes: Annotated[int, typer.Option("--episodes", "-n", help="How many rollouts.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the first; the others follow.")] = 10_000,
    processes: Annotated[int, typer.Option(help="Processes; 0: one a core.", min=0)] = 0,
    ablate: Annotated[Optional[list[str]], typer.Option(help="images: show the training mean instead.")] = None,  # noqa: UP045
    freeze: Annotated[Optional[list[str]], typer.Option(help="Devices whose emulator freezes.")] = None,  # noqa: UP045
    unplug: Annotated[Optional[list[str]], typer.Option(help="Devices unplugged once engaged.")] = None,  # noqa: UP045
    limit: Annotated[float | None, typer.Option(help="Seconds for an episode; its operator's, or 8.", min=1.0)] = None,
    record: Annotated[Optional[Path], typer.Option(help="Keep every rollout as a session in this folder.")] = None,  # noqa: UP045
    body: Annotated[str, typer.Option(help="A body policy by name or manifest, instead of the rig's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Roll out an agent on unseen seeds in virtual time: same drivers, cockpit, guard; no waiting; repeats bit for bit.

    telerig eval rigs/homie_g1.toml --agent operator -n 100
    telerig eval rigs/homie_g1.toml --agent my-checkpoint --ablate images
    """
    from telerig.policies.evaluate_command import EvalRequest, run

    run(
        EvalRequest(
            rig, agent, episodes, seed, processes, tuple(ablate or ()), tuple(freeze or ()), tuple(unplug or ()),
            limit, record, as_json, body,
        )
    )  # fmt: skip
