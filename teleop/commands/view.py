"""``telerig view``: look at a recording, or at a running session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def view(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A session, an .mcap log, a dataset or an .hdf5 episode; with --live a run folder or socket."
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Attach to a running session; without PATH, the one running here.")
    ] = False,
    episode: Annotated[list[int] | None, typer.Option(help="Only this episode; may be given several times.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write an .rrd file instead of opening a window.")] = None,
    web: Annotated[bool, typer.Option("--web", help="Show it in a browser, on this machine only.")] = False,
    seconds: Annotated[float, typer.Option(help="With --live: end after so long; 0: with the session.", min=0.0)] = 0.0,
) -> None:
    """Cameras, depth, the robot moving, what was intended, sent and measured, stream health, states and events.

    telerig view SESSION                     telerig view DATASET --episode 3

    telerig view SESSION --save out.rrd      telerig view --live
    """
    from telerig.teleop.view.command import ViewRequest
    from telerig.teleop.view.command import view as run

    run(ViewRequest(path, live, tuple(episode or ()), save, web, seconds))
