"""``telerig body-curves``: a body training's curves as TensorBoard shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def body_curves(
    run: Annotated[Path, typer.Argument(help="The folder of `telerig train-body`.")],
    out: Annotated[Optional[Path], typer.Option(help="Where the event file goes; RUN/tensorboard.")] = None,  # noqa: UP045
) -> None:
    """Write a run's curves and evaluations as an event file for TensorBoard, which telerig itself does not need.

    telerig body-curves runs/body
    pip install tensorboard; tensorboard --logdir runs/body
    """
    from telerig.policies.body.train.curves import FOLDER, RunCurves

    curves = RunCurves(run, out or run / FOLDER)
    print(f"{curves.path}; look at it with: tensorboard --logdir {curves.path.parent}  (pip install tensorboard)")
