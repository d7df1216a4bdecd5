"""Recordings of a training's evaluations, drawn in a process of their own.

Rerun keeps two threads for every file that a process has written, for as long as the process lives.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from pathlib import Path

from telerig.policies.body.evaluation.picture import save_tracks
from telerig.policies.body.evaluation.track import Track


def draw(tracks: Mapping[str, Track], embodiment: str, folder: Path) -> bool:
    """A file ``NAME.rrd`` each.  :returns: whether all are there; what went wrong stands on stderr."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=save_tracks, args=(dict(tracks), embodiment, folder), name="pictures")
    process.start()
    process.join()
    return process.exitcode == 0
