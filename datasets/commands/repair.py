"""``telerig repair``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def repair(
    paths: Annotated[list[Path], typer.Argument(help="Raw logs (.mcap, .partial) or session folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Close recordings that were cut short (crash, full disk, power cut).  The originals are kept as .broken."""
    import json

    from telerig.datasets.find import expand_sessions
    from telerig.datasets.progress import bar
    from telerig.datasets.repair import RepairReport, repair_session
    from telerig.datasets.repair import repair as repair_file
    from telerig.datasets.session_folder import SessionFolder

    reports: list[RepairReport] = []
    targets = [p for path in paths for p in (expand_sessions([path]) if path.is_dir() else [path])]
    for path in bar("repairing", lambda p: p.name)(targets):
        reports += repair_session(SessionFolder.open(path)) if path.is_dir() else [repair_file(path)]
    if as_json:
        keys = ("records", "messages", "dropped", "seconds")
        files = [
            {"path": str(r.path), "broken": None if r.broken is None else str(r.broken)}
            | {k: getattr(r, k) for k in keys}
            for r in reports
        ]
        typer.echo(json.dumps({"files": files}))
        return
    for report in reports:
        typer.echo(report.line())
    if not reports:
        typer.echo("nothing to repair")
