"""``telerig teleop``: drive the robot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def teleop(
    rig: Annotated[Path, typer.Argument(help="The rig file, e.g. rigs/follower.toml.")],
    record: Annotated[Optional[Path], typer.Option(help="Record a session into this new folder.")] = None,  # noqa: UP045
    task: Annotated[str, typer.Option(help='The instruction of the episodes, e.g. "put the can on the mat".')] = "",
    emulate: Annotated[bool, typer.Option(help="Run every device that has an emulator against it.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Decide everything, send nothing to the robot.")] = False,
    speed: Annotated[float, typer.Option(help="Scale of the robot's speed limits.", min=0.05, max=1.0)] = 1.0,
    home: Annotated[bool, typer.Option(help="Slew the robot to its home pose at the start.")] = True,
    operator: Annotated[str, typer.Option(help="human, or virtual: moves the emulated devices.")] = "human",
    trials: Annotated[int | None, typer.Option(help="With --operator virtual: how many trials (20).", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="With --operator virtual: seed of the first trial (0).")] = None,
    seconds: Annotated[float, typer.Option(help="End by itself after so long; 0: never.", min=0.0)] = 0.0,
    view: Annotated[bool, typer.Option(help="Open the live view (rerun).")] = False,
    body: Annotated[str, typer.Option(help="A body policy by name or manifest, instead of the rig's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, last line.")] = False,
) -> None:
    """Drive a robot with your cockpit, at 200 Hz, and record it if you like.

    The robot goes home, you hold *enable*, take its pose until it matches, and drive.  Release *enable* and it holds,
    one second later it damps.  Ctrl-C or q ends in that order, then takes the torque off.

    Try it without hardware:  telerig teleop rigs/follower.toml --emulate
    """
    from telerig.teleop.teleoperate import TeleopRequest, teleoperate

    teleoperate(
        TeleopRequest(
            rig, record, task, emulate, dry_run, speed, home, operator, trials, seed, seconds, view, as_json, body=body
        )
    )
