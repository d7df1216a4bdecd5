"""The live view as a process of its own, which gives way to everything: inside a session, or attached to one."""

from __future__ import annotations

import importlib.util
import socket
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
BUSY_S = 60.0  # a viewer that is slow to take its data holds nothing up: nobody need restart this process for it
LOOK_NS = 3_000_000_000  # how often to look whether the viewer is still there, from when it must have started
CYCLE_NS = 80_000_000  # 12 pictures a second


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
    settings = {"save": "" if save is None else str(save), "port": free_port()}
    return ProcessSpec("view", "telerig.teleop.view.live_process:run", settings, nice=10, order=7)


def run(child: Child) -> None:
    """Show the session until it ends.  When the window is closed the session goes on without."""
    from telerig.teleop.view.live import LiveView

    save, port = str(child.settings["save"]), int(child.settings["port"])
    readers = ChildReaders(child)
    specs = {name: child.spec(name) for name in child.streams}
    if not save and not listens(port):  # a view that was restarted finds its viewer
        start_viewer([], port=port)
    # the first sign of life comes when all is loaded: before that nobody expects one every second
    view, closed, looked = LiveView(specs, readers, child.facts, child.clock, port, save), False, child.clock.now()
    while not child.stopping:
        begun = child.clock.now()
        child.beat(BUSY_S)
        if not (save or closed) and begun - looked > LOOK_NS:
            looked, closed = begun, not listens(port)
            if closed:
                load_rerun().unregister_shutdown()  # it would wait for a viewer that is gone
                child.say(Level.INFO, "view.closed", "the view was closed; the session goes on")
        if not closed:
            view.step()
        child.clock.sleep_until(next_cycle(begun, child.clock.now()))
    if not closed:
        view.close()


def next_cycle(begun: int, ended: int) -> int:
    """When to draw again: a viewer that is slow gets half the time to itself."""
    return max(begun + CYCLE_NS, 2 * ended - begun)


def listens(port: int) -> bool:
    """Whether a viewer is there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
    from telerig.teleop.view.live import LiveView

    session = Attached(find_session(path))
    realtime.nice(10)
    specs: dict[str, StreamSpec] = {n: r.spec for n, r in session.readers.items()}
    viewer: Any = None
    port = None
    if save is None:
        port = free_port()
        viewer = start_viewer([], web=web, port=port)
    view = LiveView(specs, session.readers, session.facts, session.clock, port, "" if save is None else str(save))
    end = session.clock.now() + int(seconds * 1e9) if seconds else None
    try:
        while not session.control.stopping and (viewer is None or viewer.poll() is None):
            now = session.clock.now()
            beat = session.control.last_beat(0)
            if (end is not None and now >= end) or (beat and now - beat > ENDED_S * 1e9):
                break
            view.step()
            session.clock.sleep_until(next_cycle(now, session.clock.now()))
    except KeyboardInterrupt:
        pass
    if viewer is None or viewer.poll() is None:
        view.close()
