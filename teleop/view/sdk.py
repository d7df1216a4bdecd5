"""Rerun, imported when it is needed; the viewer as a process of its own."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from telerig.hardware.errors import ConfigError, MissingExtra, TelerigError
from telerig.teleop import realtime

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


def has_display() -> bool:
    """Whether a window can be opened here."""
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(named) or not sys.platform.startswith("linux")


def require_display() -> None:
    """:raises ConfigError: a window cannot be opened here."""
    if not has_display():
        raise ConfigError(
            "no display here, so no window can be opened: --web shows it in a browser, "
            "--save FILE.rrd writes a file for `rerun FILE.rrd` elsewhere"
        )


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_viewer(
    what: Sequence[str], port: int, page: int | None = None, with_us: bool = False
) -> subprocess.Popen[bytes]:
    """Open a viewer that only this machine reaches: a window, or with ``page`` one for browsers, at that port.

    :param what: files to show; none: it waits for data on ``port``.
    :param with_us: it ends when this thread does, however that ends.
    :raises MissingExtra, ConfigError: no viewer, or neither display nor ``page``.
    """
    if page is None:
        require_display()
    command = [viewer_program(), "--bind", "127.0.0.1", "--hide-welcome-screen", "--port", str(port)]
    if page is not None:
        # without a display no browser can be opened, and a terminal's browser must not be
        command += ["--web-viewer" if has_display() else "--serve-web", "--web-viewer-port", str(page)]
    # a session may be long: its oldest is dropped; of a recording nothing must be, however late a browser comes
    command += ["--server-memory-limit", "50%"] if what else ["--memory-limit", "2GiB"]
    # a session of its own: Ctrl-C is ours to pass on
    quiet = {"RUST_LOG": "error", **os.environ}  # else the viewer tells the terminal about its graphics card
    ended = partial(realtime.die_with_parent, os.getpid()) if with_us else None
    return subprocess.Popen(
        [*command, *what], stdin=subprocess.DEVNULL, start_new_session=True, env=quiet, preexec_fn=ended
    )


class EndedWithUs:
    """A viewer that ends when this block does: on Ctrl-C, SIGTERM and SIGHUP, which leave it quietly, and on a failure.

    The viewer is started inside, so that a signal finds somebody who cares for it; in the one moment before its process
    is known, and when this process is killed, the kernel ends it.
    """

    def __init__(self) -> None:
        self.viewer: subprocess.Popen[bytes] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def start(self, what: Sequence[str], web: bool = False, port: int | None = None) -> subprocess.Popen[bytes]:
        """:func:`start_viewer`; with ``web`` the address is told on stderr once it answers.

        :raises TelerigError: the viewer ended at once.
        """
        port = free_port() if port is None else port
        page = free_port() if web else None
        self.viewer = start_viewer(what, port, page, with_us=True)
        if page is not None:
            while not (listens(page) and listens(port)):
                if (code := _ended(self.viewer, 0.05)) is not None:
                    raise TelerigError(f"the viewer ended at once, with code {code}; try: {_command_line(self.viewer)}")
            print(f"the view is at {address(page, port)} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        return self.viewer

    def __enter__(self) -> EndedWithUs:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                    self._before[number] = signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        try:
            if kind is not None and self.viewer is not None:
                self.viewer.terminate()
                self.viewer.wait()
        finally:
            for number, before in self._before.items():
                signal.signal(number, before)
        return kind is not None and issubclass(kind, KeyboardInterrupt)


def _command_line(viewer: subprocess.Popen[bytes]) -> str:
    return shlex.join([str(a) for a in viewer.args]) if isinstance(viewer.args, list) else str(viewer.args)


def _ended(viewer: subprocess.Popen[bytes], within_s: float) -> int | None:
    """Its exit code, if it ends within that time."""
    try:
        return viewer.wait(within_s)
    except subprocess.TimeoutExpired:
        return None


def listens(port: int) -> bool:
    """Whether a viewer is there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def address(page: int, port: int) -> str:
    """What to open in a browser: the page alone would show nothing, it must be told where the data are."""
    return f"http://127.0.0.1:{page}/?url={quote(f'rerun+http://127.0.0.1:{port}/proxy', safe='')}"


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
