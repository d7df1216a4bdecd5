"""``telerig calibrate``: measure what a device's numbers mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    rig: Annotated[Path, typer.Argument(help="The rig file, e.g. rigs/follower.toml.")],
    device: Annotated[str, typer.Argument(help="The device's name in it: an exoskeleton arm, a glove or the pedals.")],
    signs: Annotated[bool, typer.Option(help="Check in which direction every joint turns.")] = True,
    emulate: Annotated[bool, typer.Option(help="Rehearse with the device's emulator; nothing is saved.")] = False,
) -> None:
    """Calibrate one device, step by step; the values go to RIG.calibration.json beside the rig file.

    You are asked to take a pose or to move, and to press Enter.  A step that is not good enough is refused with figures
    and asked again.  With an emulated device it is a rehearsal: a simulated wearer moves, and nothing is saved.

    Try it without hardware:  telerig calibrate rigs/homie_g1.toml exo_right
    """
    from telerig.teleop.calibrate_device import calibrate as run

    run(rig, device, signs, emulate)
