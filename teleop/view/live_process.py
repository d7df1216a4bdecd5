"""The live view as a process of a session (``--view``), which gives way to everything."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from telerig.hardware.errors import ConfigError, MissingExtra
from telerig.hardware.events import Level
from telerig.teleop.child import Child, ChildReaders
from telerig.teleop.session import ProcessSpec
from telerig.teleop.view.sdk import free_port, listens, load_rerun, require_display, start_viewer

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
        start_viewer([], port)
    # the first sign of life comes when all is loaded: before that nobody expects one every second
    view, closed, looked = LiveView(specs, readers, child.facts, child.clock, port, save), False, child.clock.now()
    collector = view.collector()
    collector.start()
    while not child.stopping:
        begun = child.clock.now()
        child.beat(BUSY_S)
        if not (save or closed) and begun - looked > LOOK_NS:
            looked, closed = begun, not listens(port)
            if closed:
                collector.end()
                load_rerun().unregister_shutdown()  # it would wait for a viewer that is gone
                child.say(Level.INFO, "view.closed", "the view was closed; the session goes on")
        if not closed:
            view.step()
        child.clock.sleep_until(next_cycle(begun, child.clock.now()))
    collector.end()
    if view.lost:
        child.say(Level.INFO, "view.lost", f"{view.lost} samples were overwritten before the view could draw them")
    if not closed:
        view.close()


def next_cycle(begun: int, ended: int) -> int:
    """When to draw again: a viewer that is slow gets half the time to itself."""
    return max(begun + CYCLE_NS, 2 * ended - begun)
