"""``telerig build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def build(
    sessions: Annotated[
        list[Path], typer.Argument(help="Session folders; a folder of sessions counts as all of them.")
    ],
    out: Annotated[Path, typer.Option(help="The dataset's folder: new or empty.")],
    rate: Annotated[float, typer.Option(help="Rows a second.")] = 30.0,
    outcome: Annotated[str, typer.Option(help="'success': only episodes labelled so; 'all': every kept one.")] = "all",
    clock: Annotated[
        str, typer.Option(help="'sample': the newest measured by each row; 'arrival': the newest that had arrived.")
    ] = "sample",
    interpolate: Annotated[bool, typer.Option(help="Joint state linear between samples (looks ahead).")] = False,
    depth: Annotated[bool, typer.Option(help="Keep depth images, as 16 bit PNG.")] = True,
    target: Annotated[str | None, typer.Option(help="Which command target, if several were recorded.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Build a dataset from recorded sessions: aligned rows with ages, native-rate streams kept."""
    import json

    from telerig.datasets.assemble import BuildOptions
    from telerig.datasets.build import build as make
    from telerig.datasets.find import expand_sessions
    from telerig.datasets.progress import bar

    options = BuildOptions(rate, clock, interpolate, depth, target)
    report = make(expand_sessions(sessions), out, options, outcome, bar("building", lambda s: s.log.stem))
    if as_json:
        typer.echo(json.dumps(report.to_json()))
        return
    typer.echo(
        f"{report.out}: {report.episodes} episodes, {report.rows} rows, {report.seconds:.0f} s, {report.bytes / 1e6:.1f} MB"
    )
    for reason, count in report.skipped.items():
        typer.echo(f"left out: {count} {reason}")
    for line in report.failed:
        typer.echo(f"cannot be built: {line}")
    for line in report.warnings[:20]:
        typer.echo(f"warning: {line}")
    if len(report.warnings) > 20:
        typer.echo(f"… and {len(report.warnings) - 20} warnings more: telerig info {out}")
