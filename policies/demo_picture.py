"""The demo's picture: one rollout of the policy, recorded like any episode, as a file for the viewer."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from telerig.policies.rollout import RolloutSpec, rollout
from telerig.teleop.view.command import convert_one


def save_rollout(spec: RolloutSpec, folder: Path) -> Path:
    """Roll it out once more, which gives the same, and write ``rollout.rrd``.  :returns: the file."""
    out = folder / "rollout.rrd"
    with tempfile.TemporaryDirectory(prefix="telerig-picture-") as scratch:
        session = Path(scratch) / "session"
        rollout(replace(spec, record=str(session)))
        log = sorted((session / "episodes").glob("*.mcap"))[0]
        convert_one(log, out)
    return out
