"""What ``telerig replay`` does: a session whose agent is a recording."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerig.datasets.find import choose_episodes
from telerig.hardware.errors import ConfigError, DataError
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import operate, running
from telerig.teleop.plan import plan_devices
from telerig.teleop.replay import check, replay_rig
from telerig.teleop.replay_record import ReplayEpisode
from telerig.teleop.replay_source import load_trajectory
from telerig.teleop.replay_tracking import Tracker
from telerig.teleop.rig import Rig, load_rig

FACTORY = "telerig.teleop.replay:build"


@dataclass(frozen=True)
class ReplayRequest:
    """The command's arguments."""

    path: Path
    rig: Path | None
    episode: int | None
    commands: str
    speed: float
    emulate: bool
    unattended: bool
    home: bool
    view: bool
    as_json: bool
    record: Path | None = None


def replay(request: ReplayRequest) -> dict[str, Any]:
    """Run the replay until it is through, or the operator ends it; returns what ``--json`` prints.

    :raises DataError: no such recording, or it does not fit the rig.  :raises ConfigError: a rig that cannot work.
    """
    path = one_episode(request.path, request.episode)
    if request.commands not in ("sent", "intended"):
        raise ConfigError(f"--commands is '{request.commands}'; sent or intended is right")
    if not 0.0 < request.speed <= 2.0:
        raise ConfigError(f"--speed is {request.speed}; above 0 and at most 2 is right")
    trajectory = load_trajectory(path, request.commands)
    watched = request.view or request.record is not None
    rig = replay_rig(load_rig(request.rig or frozen_rig(path), request.emulate), watched)
    chosen = check(rig, trajectory)
    told = {"episode": str(path.resolve()), "commands": request.commands, "speed": request.speed}
    options = LiveOptions(
        agent={"factory": FACTORY, **told},
        record=request.record,
        task=trajectory.task,
        home=request.home,
        unattended=request.unattended,
        extra=_view(request.view),
        facts={"replay": told},
    )
    targets = {t.name: t for p in plan_devices(rig).values() for t in p.targets}
    print(_what(path, trajectory.length, request), file=sys.stderr)
    with running(rig, options) as (session, steward):
        readers = {name: session.reader(name) for name in session.memories}
        tracker = Tracker(trajectory, chosen, targets, readers, request.speed)
        episode = ReplayEpisode(session, steward) if request.record is not None else None

        def done() -> bool:
            tracker.step()
            return tracker.finished if episode is None else episode.step(tracker)

        operate(rig, session, steward, str(request.record or ""), done, threading.Event())
        tracker.step()
        result = tracker.report()
    show(result)
    if request.as_json:
        print(json.dumps(result), flush=True)
    return result


def one_episode(path: Path, number: int | None) -> Path:
    """The one recording to replay.  :raises DataError: none, or several to choose from."""
    found = choose_episodes(path, () if number is None else (number,))
    if len(found) > 1:
        names = f"{found[0].name.split('.', 1)[0]} to {found[-1].name.split('.', 1)[0]}"
        raise DataError(f"{path}: holds {len(found)} episodes ({names}); choose one with --episode N")
    return found[0]


def frozen_rig(path: Path) -> Path:
    """The rig file that was frozen with a recording.  :raises ConfigError: there is none."""
    for folder in path.resolve().parents[:2]:
        if (folder / "session.json").exists() and (folder / "rig.toml").exists():
            return folder / "rig.toml"
    raise ConfigError(f"{path}: no rig was frozen with it; name one: --rig RIG.toml")


def _view(wanted: bool) -> tuple[Any, ...]:
    if not wanted:
        return ()
    from telerig.teleop.view.live_process import view_process

    return (view_process(),)


def _what(path: Path, length: int, request: ReplayRequest) -> str:
    how = "" if request.speed == 1.0 else f" at {request.speed:g} times the speed"
    enable = (
        "" if request.unattended else "; hold enable (or press space): the robot first goes to the episode's first pose"
    )
    return f"replaying {path.name}, {length / 1e9:.1f} s{how}{enable}"


def show(result: dict[str, Any]) -> None:
    """The tracking errors as a table, on stderr."""
    from rich.console import Console
    from rich.table import Table

    state = (
        "complete" if result["completed"] else f"stopped after {result['replayed_s']:.1f} of {result['length_s']:.1f} s"
    )
    table = Table(title=f"replay {state}: error in rad", title_justify="left")
    table.add_column("joint")
    for head in ("against command: rms", "max", "against recording: rms", "max"):
        table.add_column(head, justify="right")
    keys = ("tracking_rms", "tracking_max", "repeat_rms", "repeat_max")
    for joint, errors in result["joints"].items():
        table.add_row(joint, *(f"{errors[k]:.4f}" for k in keys))
    if result["joints"]:
        table.add_section()
        table.add_row("all", *(f"{result[f'{k}_rad']:.4f}" for k in keys))
    Console(stderr=True).print(table)


def virtual_rig(rig: Rig, episode: Path, commands: str = "sent", watched: bool = False) -> Rig:
    """The rig for replaying in virtual time.  :raises DataError: the recording does not fit it."""
    reduced = replay_rig(rig, watched)
    check(reduced, load_trajectory(episode, commands))
    return reduced
