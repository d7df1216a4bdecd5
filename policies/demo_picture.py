"""The demo's picture: one rollout of the policy, recorded like any episode, as a file for the viewer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from telerig.policies.rollout import RolloutSpec, rollout
from telerig.teleop.states import State
from telerig.teleop.view.command import convert_one
from telerig.teleop.virtual import VirtualSession

ROLLOUT_SHARE = 0.8  # of the time goes into rolling out, the rest into drawing


def save_rollout(
    spec: RolloutSpec, seconds: float, folder: Path, advance: Callable[[float], None] = lambda done: None
) -> Path:
    """Roll it out once more, which gives the same, and write ``rollout.rrd``.

    :param seconds: how long it took, engaged, the first time.
    :param advance: told the fraction done, from 0 to 1.
    :returns: the file.
    """
    engaged_at: int | None = None

    def on_step(session: VirtualSession) -> None:
        nonlocal engaged_at
        now = session.clock.now()
        if engaged_at is None and session.loop.status.state is State.ENGAGED:
            engaged_at = now
        if engaged_at is not None and seconds > 0:
            advance(ROLLOUT_SHARE * min(1.0, (now - engaged_at) / 1e9 / seconds))

    out = folder / "rollout.rrd"
    with tempfile.TemporaryDirectory(prefix="telerig-picture-") as scratch:
        session = Path(scratch) / "session"
        rollout(replace(spec, record=str(session)), on_step)
        log = sorted((session / "episodes").glob("*.mcap"))[0]
        convert_one(log, out, lambda done: advance(ROLLOUT_SHARE + (1 - ROLLOUT_SHARE) * done))
        advance(1.0)
    return out
