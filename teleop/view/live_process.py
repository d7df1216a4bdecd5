"""The live view as a process of its own, which gives way to everything: inside a session, or attached to one."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError, MissingExtra
from telerig.hardware.events import Level
from telerig.hardware.specs import StreamSpec
from telerig.teleop.child import Child, ChildReaders
from telerig.teleop.session import ProcessSpec
from telerig.teleop.view.sdk import free_port, load_rerun, require_display, start_viewer

ENDED_S = 2.0
BUSY_S = 5.0  # a slow picture holds nothing up, so nobody need restart this process for it


def view_process(save: Path | None = None) -> ProcessSpec:
    """The process that ``--view`` adds to a session (``LiveOptions.extra``).

    :param save: write a file there instead of opening a window.
    :raises MissingExtra: rerun is not installed.
    :raises ConfigError: no display, or the file exists.
    """
    if importlib.util.find_spec("rerun") is None:
        raise MissingExtra("rerun", "view")
    if save is None:
        require_display()
    elif save.exists():
        raise ConfigError(f"{save}: exists; choose another file")
    return ProcessSpec(
        "view", "telerig.teleop.view.live_process:run", {"save": "" if save is None else str(save)}, nice=10, order=7
    )


def run(child: Child) -> None:
    """Show the session until it ends.  When the window is closed the session goes on without."""
    from telerig.teleop.view.live import CYCLE_NS, LiveView

    readers = ChildReaders(child)
    specs = {name: child.spec(name) for name in child.streams}
    save = str(child.settings["save"])
    viewer, port = _open(save)
    # the first sign of life comes when all is loaded: before that nobody expects one every second
    view, closed = LiveView(specs, readers, child.clock, port, save), False
    while not child.stopping:
        now = child.clock.now()
        child.beat(BUSY_S)
        if not closed and viewer is not None and viewer.poll() is not None:
            closed = True
            load_rerun().unregister_shutdown()  # it would wait for a viewer that is gone
            child.say(Level.INFO, "view.closed", "the view was closed; the session goes on")
        if not closed:
            view.step()
        child.clock.sleep_until(now + CYCLE_NS)
    if not closed:
        view.close()


def _open(save: str) -> tuple[subprocess.Popen[bytes] | None, int | None]:
    if save:
        return None, None
    port = free_port()
    return start_viewer([], port=port), port


def find_session(path: Path | None) -> Path:
    """The run folder (or socket) to attach to; None: the one that runs on this machine.

    :raises ConfigError: none runs, or several do.
    """
    if path is not None:
        return path
    found = [p for p in sorted(Path(tempfile.gettempdir()).glob("telerig-*/session.sock")) if _answers(p)]
    if len(found) != 1:
        have = ", ".join(str(f.parent) for f in found) or "none"
        raise ConfigError(f"--live: which session? running here: {have}; name one: telerig view --live FOLDER")
    return found[0]


def _answers(path: Path) -> bool:
    """Whether somebody listens at a socket; those of killed sessions stay behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def attach(path: Path | None, save: Path | None, web: bool, seconds: float) -> None:
    """Show a running session from outside until it ends, the window is closed, or ``seconds`` are over (0: never).

    :raises ConfigError: no session answers.
    """
    from telerig.teleop import realtime
    from telerig.teleop.attach import Attached
    from telerig.teleop.view.live import CYCLE_NS, LiveView

    session = Attached(find_session(path))
    realtime.nice(10)
    specs: dict[str, StreamSpec] = {n: r.spec for n, r in session.readers.items()}
    viewer: Any = None
    port = None
    if save is None:
        port = free_port()
        viewer = start_viewer([], web=web, port=port)
    view = LiveView(specs, session.readers, session.clock, port, "" if save is None else str(save))
    end = session.clock.now() + int(seconds * 1e9) if seconds else None
    try:
        while not session.control.stopping and (viewer is None or viewer.poll() is None):
            now = session.clock.now()
            beat = session.control.last_beat(0)
            if (end is not None and now >= end) or (beat and now - beat > ENDED_S * 1e9):
                break
            view.step()
            session.clock.sleep_until(now + CYCLE_NS)
    except KeyboardInterrupt:
        pass
    if viewer is None or viewer.poll() is None:
        view.close()
