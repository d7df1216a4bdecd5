"""Rerun, imported when it is needed; the viewer as a process of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError, MissingExtra, TelerigError

APPLICATION = "telerig"


def load_rerun() -> Any:
    """The rerun package.  :raises MissingExtra: it is not installed."""
    try:
        import rerun
    except ImportError:
        raise MissingExtra("rerun", "view")
    return rerun


def viewer_program() -> str:
    """The viewer itself, not the script around it, which would leave it behind when it is ended.

    :raises MissingExtra: it is not installed.
    """
    load_rerun()
    package = importlib.util.find_spec("rerun_cli")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        if (Path(folder) / "rerun").exists():
            return str(Path(folder) / "rerun")
    found = shutil.which("rerun")
    if found is None:
        raise MissingExtra("rerun (its viewer)", "view")
    return found


def require_display() -> None:
    """:raises ConfigError: a window cannot be opened here."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ConfigError(
            "no display here, so no window can be opened: --web shows it in a browser, "
            "--save FILE.rrd writes a file for `rerun FILE.rrd` elsewhere"
        )


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_viewer(what: Sequence[str], web: bool = False, port: int | None = None) -> subprocess.Popen[bytes]:
    """Open a viewer that only this machine reaches; it outlives nobody's Ctrl-C but its own.

    :param what: files to show; none: it waits for data on ``port``.
    :raises MissingExtra, ConfigError: no viewer, or no display and not ``web``.
    """
    if not web:
        require_display()
    command = [viewer_program(), "--bind", "127.0.0.1", "--hide-welcome-screen"]
    if web:
        page = free_port()
        command += ["--web-viewer", "--web-viewer-port", str(page)]
        print(f"the view is at http://127.0.0.1:{page} (Ctrl-C ends it)", file=sys.stderr)
    command += [] if what else ["--memory-limit", "2GiB"]  # a session may be long; the oldest is dropped
    command += ["--port", str(port if port is not None else free_port())]
    quiet = {"RUST_LOG": "error", **os.environ}  # else the viewer tells the terminal about its graphics card
    return subprocess.Popen([*command, *what], stdin=subprocess.DEVNULL, start_new_session=not web, env=quiet)


def merge(parts: Sequence[Path], out: Path) -> None:
    """Several recordings into one file.  :raises TelerigError: rerun could not."""
    done = subprocess.run(
        [viewer_program(), "rrd", "merge", *map(str, parts), "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TelerigError(f"{out}: rerun could not merge {len(parts)} recordings: {words}")
