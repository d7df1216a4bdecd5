"""Operating a session: start, screen and keys, orderly end.  Shared by ``teleop``, ``replay`` and ``run``."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from telerig.hardware.errors import DeviceError, DeviceIdentityError
from telerig.hardware.events import Level
from telerig.teleop import realtime
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.keyboard import Keyboard
from telerig.teleop.keyboard_drive import HELP, KeyDrive
from telerig.teleop.live import LiveOptions, Steward, build, wait_until_running
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import Rig
from telerig.teleop.screen import Screen
from telerig.teleop.session import Session

EPISODE_KEYS = {
    "n": EpisodeCommand.START, "k": EpisodeCommand.KEEP, "d": EpisodeCommand.DISCARD,
    "s": EpisodeCommand.LABEL_SUCCESS, "f": EpisodeCommand.LABEL_FAILURE,
}  # fmt: skip
ENOUGH_S = 0.15


@contextmanager
def running(rig: Rig, options: LiveOptions, folder: Path | None = None) -> Iterator[tuple[Session, Steward]]:
    """A session that runs; on leaving it holds, damps, lets go and ends.

    :raises DeviceError: a process ended at the start; its last words.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telerig-")))
        session = build(rig, folder, options)
        stack.enter_context(session)
        steward = Steward(session, key_drive(rig))
        steward.enable = options.unattended
        steward.start()
        stack.callback(steward.end)
        stack.callback(session.control.ask_to_stop)
        wait_until_running(session)
        stack.enter_context(realtime.raised(realtime.SUPERVISOR))
        yield session, steward
        session.control.ask_to_stop()
        session.close()


def key_drive(rig: Rig) -> KeyDrive | None:
    """The keyboard as pedals, where the rig's cockpit has ``[cockpit.keyboard]``."""
    table = rig.file.cockpit.get("keyboard")
    if table is None:
        return None
    targets = {t.name: t for p in plan_devices(rig).values() for t in p.targets}
    return KeyDrive(targets[str(table["target"])])  # build() has checked the table


@contextmanager
def interruptible(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM set ``stop``, so that a session ends in order; a second Ctrl-C is an impatient one."""

    def ask(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Keys:
    """What single keys do to a session."""

    def __init__(self, session: Session, steward: Steward, stop: threading.Event) -> None:
        self._session, self._steward, self._stop = session, steward, stop

    def press(self, key: str) -> None:
        """Act on one key; unknown keys release enable, because in a fright people hit anything."""
        drive = self._steward.drive
        if drive is not None and drive.press(key):
            return
        if key == " ":
            self._steward.enable = not self._steward.enable
            if drive is not None:
                drive.still()
            return
        self._steward.enable = self._steward.enable and key in EPISODE_KEYS
        if drive is not None and not self._steward.enable:
            drive.still()
        if key in EPISODE_KEYS:
            self._steward.episode(EPISODE_KEYS[key])
        elif key in "x\x1b":
            self._session.control.press_estop()
        elif key == "r":
            self._session.control.reset_estop()
        elif key == "q":
            self._stop.set()


def operate(
    rig: Rig, session: Session, steward: Steward, recording: str, done: Callable[[], bool], stop: threading.Event
) -> None:
    """Show the screen and obey keys until ``done()``, ``stop``, ``q``, or the session fails.

    :raises DeviceError: the loop died.
    :raises DeviceIdentityError: something else than the rig file says was plugged in when the session started.
    """
    keyboard_enable = not any(name.endswith("/pedals") for name in session.memories)
    console = Console(stderr=True)
    screen = Screen(session, rig.name, keyboard_enable, recording, HELP if steward.drive is not None else "")
    if not realtime.fifo_granted():
        session.say(Level.WARNING, "session.no_realtime", "real-time priorities are refused here: expect jitter")
    with Keyboard() as keyboard, interruptible(stop):
        keys = Keys(session, steward, stop)
        live = Live(console=console, auto_refresh=False, screen=False) if console.is_terminal else None
        with live or ExitStack():
            while not (stop.is_set() or session.failed or screen.wrong or session.control.stopping or done()):
                for key in keyboard.keys(ENOUGH_S):
                    keys.press(key)
                if not keyboard.present:
                    stop.wait(ENOUGH_S)
                _show(live, screen, console)
    if session.failed:
        raise DeviceError(session.failed)
    if screen.wrong:
        raise DeviceIdentityError(screen.wrong)


def _show(live: Live | None, screen: Screen, console: Console) -> None:
    if live is None:
        for event in screen.collect():
            print(f"{event.level.value:7} {event.source}: {event.text}", file=sys.stderr, flush=True)
        return
    live.update(screen.render(), refresh=True)
    if screen.bell():
        console.bell()
