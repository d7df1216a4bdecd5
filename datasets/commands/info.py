"""``telerig info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def info(
    path: Annotated[Path, typer.Argument(help="A session, a raw log, a dataset or one episode of it.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """What a session, a raw log or a dataset holds."""
    import json

    from rich.console import Console

    from telerig.datasets.describe import describe, tables

    found = describe(path)
    if as_json:
        typer.echo(json.dumps(found))
        return
    console = Console()
    typer.echo(found["path"])
    for table in tables(found):
        console.print(table)
