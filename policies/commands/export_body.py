"""``telerig export-body``: from a training run to an ONNX file with its manifest and provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def export_body(
    run: Annotated[Path, typer.Argument(help="The folder of `telerig train-body`.")],
    out: Annotated[Path, typer.Option(help="Where NAME.onnx, NAME.toml and NAME.json go; new or empty.")],
    name: Annotated[str, typer.Option(help="What the policy is called.")] = "telerig_g1",
    steps: Annotated[Optional[int], typer.Option(help="The milestone after so many steps; else the newest.")] = None,  # noqa: UP045
    table: Annotated[Optional[Path], typer.Option(help="Output of `eval-body --json`, for the provenance.")] = None,  # noqa: UP045
    measure: Annotated[
        bool, typer.Option("--measure/--plain", help="Measure what it achieves of its commands, and give it what does.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the provenance as one JSON object, last line.")] = False,
) -> None:
    """Make a trained body policy fit to be run, evaluated and shipped.

    telerig export-body runs/body --out my-policy
    telerig eval-body my-policy/telerig_g1.toml
    """
    import json as text

    from telerig.hardware.errors import DataError
    from telerig.policies.body.train.export import check_empty, measured_responses, read_run
    from telerig.policies.body.train.export import export_body as export
    from telerig.teleop.bench.report import progress

    judged = None
    if table is not None:
        try:
            judged = text.loads(table.read_text(encoding="utf-8").splitlines()[-1])
        except (OSError, ValueError, IndexError) as error:
            raise DataError(f"{table}: not what `telerig eval-body --json` prints: {error}")
    check_empty(out)  # before the minute that measuring takes
    trained, responses = read_run(run, steps), None
    if measure:
        with progress("measuring responses") as advance:
            responses = measured_responses(trained, done=advance)
    origin = export(trained, out, name, judged, responses)
    if json:
        print(text.dumps(origin))
    else:
        print(f"{out / name}.toml: {origin['steps']} steps, {origin['bytes']} bytes, sha256 {origin['sha256'][:12]}…")
