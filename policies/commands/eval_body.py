"""``telerig eval-body``: how well a body policy stands, squats, walks and turns, in the full model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def eval_body(
    policy: Annotated[str, typer.Argument(help="A body policy's name, or the path of its manifest.")] = "telerig_g1",
    model: Annotated[Optional[Path], typer.Option(help="Its ONNX file, if not where the manifest says.")] = None,  # noqa: UP045
    cases: Annotated[str, typer.Option(help="Some cases only, with commas between.")] = "",
    seeds: Annotated[int, typer.Option(help="Robots a case.", min=1)] = 20,
    first_seed: Annotated[int, typer.Option(help="Seed of the first; the others follow.", min=0)] = 0,
    processes: Annotated[int, typer.Option(help="Processes; 0: one a core.", min=0)] = 0,
    rrd: Annotated[Optional[Path], typer.Option(help="One rollout a case as files for rerun in this folder.")] = None,  # noqa: UP045
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Judge a body policy on the whole humanoid: floor and self-collision, 5 ms steps, arms sweeping up to 1 rad.

    telerig eval-body
    telerig eval-body my-policy/telerig_g1.toml --cases stand,forward_0.5 --seeds 5
    telerig eval-body homie_g1 --model deploy.onnx
    """
    from telerig.policies.body.evaluation.cases import choose
    from telerig.policies.body.evaluation.command import run
    from telerig.policies.body.evaluation.evaluate import Request

    chosen = choose([name.strip() for name in cases.split(",") if name.strip()])
    run(Request(policy, model, chosen, seeds, first_seed, processes, rrd is not None), rrd, json)
