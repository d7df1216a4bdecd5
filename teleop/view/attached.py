"""The live view of a session that runs already (``telerig view --live``), in this process."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from telerig.hardware.errors import ConfigError
from telerig.teleop import realtime
from telerig.teleop.attach import Attached
from telerig.teleop.view.live import LiveView
from telerig.teleop.view.live_process import next_cycle
from telerig.teleop.view.sdk import EndedWithUs, free_port, load_rerun

ENDED_S = 2.0  # without a sign of life a session is over


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
    """Show a running session from outside until it ends, the viewer is closed, or ``seconds`` are over (0: never).

    :raises ConfigError: no session answers.
    """
    session = Attached(find_session(path))
    realtime.nice(10)
    specs = {n: r.spec for n, r in session.readers.items()}
    port = free_port() if save is None else None
    with EndedWithUs() as shown:
        viewer = shown.start([], web=web, port=port) if save is None else None
        view = LiveView(specs, session.readers, session.facts, session.clock, port, "" if save is None else str(save))
        collector = view.collector()
        collector.start()
        try:
            _follow(view, session, viewer, seconds)
        finally:
            collector.end()
            if viewer is None or viewer.poll() is None:
                view.close()
            else:
                load_rerun().unregister_shutdown()  # it would wait for a viewer that is gone
        if view.lost:
            print(f"{view.lost} samples were overwritten before they could be drawn", file=sys.stderr)
        if viewer is not None and web:
            if not seconds:
                print("the session has ended; its view stays until Ctrl-C", file=sys.stderr)
                viewer.wait()
            viewer.terminate()
            viewer.wait()


def _follow(view: LiveView, session: Attached, viewer: subprocess.Popen[bytes] | None, seconds: float) -> None:
    end = session.clock.now() + int(seconds * 1e9) if seconds else None
    while not session.control.stopping and (viewer is None or viewer.poll() is None):
        now = session.clock.now()
        beat = session.control.last_beat(0)
        if (end is not None and now >= end) or (beat and now - beat > ENDED_S * 1e9):
            break
        view.step()
        session.clock.sleep_until(next_cycle(now, session.clock.now()))
