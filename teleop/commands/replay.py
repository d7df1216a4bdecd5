"""``telerig replay``: let the robot repeat a recorded episode."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def replay(
    path: Annotated[Path, typer.Argument(help="A session, an .mcap log, a dataset or an .hdf5 episode.")],
    rig: Annotated[
        Path | None, typer.Option(help="The rig to replay on; else the one frozen with the session.")
    ] = None,
    episode: Annotated[int | None, typer.Option(help="Which episode, where there are several.")] = None,
    commands: Annotated[str, typer.Option(help="sent: what the robot was sent; intended: before the guard.")] = "sent",
    speed: Annotated[float, typer.Option(help="0.5: half as fast as recorded.", min=0.05, max=2.0)] = 1.0,
    emulate: Annotated[bool, typer.Option(help="Run every device that has an emulator against it.")] = False,
    unattended: Annotated[bool, typer.Option(help="No enable needed; for simulated robots only.")] = False,
    home: Annotated[bool, typer.Option(help="Slew the robot to its home pose at the start.")] = True,
    record: Annotated[Optional[Path], typer.Option(help="Record the replay into this new folder.")] = None,  # noqa: UP045
    view: Annotated[bool, typer.Option(help="Open the live view (rerun).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, last line.")] = False,
) -> None:
    """Replay an episode's commands through the same guard, and report how well the robot followed.

    The robot goes home, you hold *enable*, it goes slowly to the episode's first pose, then the replay's time begins.
    Release *enable* and it holds, time stands still; press again and it goes on from there.  x or Esc is e-stop.

    Try it:  telerig replay SESSION --episode 1 --rig rigs/homie_g1.toml --unattended
    """
    from telerig.teleop.replay_run import ReplayRequest
    from telerig.teleop.replay_run import replay as run

    run(ReplayRequest(path, rig, episode, commands, speed, emulate, unattended, home, view, as_json, record))
