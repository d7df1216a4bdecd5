"""Operating a session: start, screen and keys, orderly end.  Shared by ``teleop``, ``replay`` and ``run``."""

from __future__ import annotations

import errno
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
from telerig.teleop import kernel_workers, realtime
from telerig.teleop.body_rig import body_rig
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.keyboard import Keyboard, remote_terminal, split_keys, to_nowhere
from telerig.teleop.keyboard_drive import HELP, KeyDrive
from telerig.teleop.live import LiveOptions, Steward, build, wait_until_running
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import Rig
from telerig.teleop.screen import Screen
from telerig.teleop.session import Session
from telerig.teleop.signals import ends_in_order, interruptible

EPISODE_KEYS = {
    "n": EpisodeCommand.START, "k": EpisodeCommand.KEEP, "d": EpisodeCommand.DISCARD,
    "s": EpisodeCommand.LABEL_SUCCESS, "f": EpisodeCommand.LABEL_FAILURE,
}  # fmt: skip
LOOK_S = 0.01  # between two looks at events and state: who operates is told at once
DRAW_S = 0.15  # between two pictures when nothing but figures changes


@contextmanager
def running(rig: Rig, options: LiveOptions, folder: Path | None = None) -> Iterator[tuple[Session, Steward]]:
    """A session that runs; on leaving it holds, damps, lets go and ends.

    :raises DeviceError: a process ended at the start; its last words.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telerig-")))
        session = build(rig, folder, options)
        stack.enter_context(ends_in_order(session.control))
        workers = stack.enter_context(kernel_workers.raised(rig.file.session.kernel_workers and serial(rig)))
        stack.enter_context(session)  # leaves before the threads are put back: the robot holds and damps meanwhile
        steward = Steward(session, options.unattended, key_drive(rig, options))
        steward.start()
        stack.callback(steward.end)
        stack.callback(session.control.ask_to_stop)
        if workers.raised:
            text = f"{len(workers.raised)} kernel threads that carry serial bytes are raised until the session ends"
            session.say(Level.INFO, "session.kernel_workers", text)
        wait_until_running(session)
        stack.enter_context(realtime.raised(realtime.SUPERVISOR))
        yield session, steward
        session.control.ask_to_stop()
        session.close()


def serial(rig: Rig) -> bool:
    """Whether any of the rig's devices speaks over a serial port, a real one or an emulator's."""
    return any(device.rig.emulate or device.rig.port for device in rig.devices.values())


def key_drive(rig: Rig, options: LiveOptions) -> KeyDrive | None:
    """The keyboard as pedals, where the rig's cockpit has ``[cockpit.keyboard]`` and is the agent.

    With a policy or a recording these keys drive nothing, so they release enable as every unknown key does.
    """
    table = rig.file.cockpit.get("keyboard")
    if table is None or not options.worn:
        return None
    targets = {t.name: t for p in plan_devices(rig).values() for t in p.targets}
    return KeyDrive(targets[str(table["target"])])  # build() has checked the table


class Keys:
    """What single keys do to a session."""

    def __init__(self, session: Session, steward: Steward, stop: threading.Event) -> None:
        self._session, self._steward, self._stop = session, steward, stop

    def press(self, key: str, blind: bool = False) -> None:
        """Act on one key; unknown keys release enable, because in a fright people hit anything.

        :param blind: it was typed at a screen that stood still: it may release enable, not press it.
        """
        drive = self._steward.drive
        if drive is not None and not blind and drive.press(key):
            return
        if key == " ":
            self._steward.enable = not self._steward.enable and not blind
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
        elif key == "r" and not blind:  # it knew nothing of what happened meanwhile
            self._steward.reset()
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
    drive = HELP if steward.drive is not None else ""
    screen = Screen(session, rig.name, keyboard_enable, recording, drive, body_rig(rig))
    if not realtime.fifo_granted():
        session.say(Level.WARNING, "session.no_realtime", "real-time priorities are refused here: expect jitter")
    if (how := remote_terminal()) and (keyboard_enable or steward.drive is not None):
        text = f"your keys come through {how}: if it stalls or is detached, enable stays as it is"
        session.say(Level.WARNING, "session.remote_keys", text)
    with interruptible(session.control) as asked, Keyboard() as keyboard:
        keys = Keys(session, steward, stop)
        live = Live(console=console, auto_refresh=False, screen=False) if console.is_terminal else None
        drawn = 0
        with _while_there(keyboard), live or ExitStack(), _ending(session):
            while not (asked.to_end or stop.is_set() or session.failed or screen.wrong or session.control.stopping):
                if done():
                    break
                _obey(keyboard, keys, steward)
                if not keyboard.present:
                    stop.wait(LOOK_S)
                if live is None:
                    _print(screen)
                    continue
                changed, late = screen.changed(), session.clock.now() - drawn >= DRAW_S * 1e9
                if changed or late:
                    drawn = session.clock.now() if late else drawn
                    _draw(live, screen, console, at_once=not late)
    if session.failed:
        raise DeviceError(session.failed)
    if screen.wrong:
        raise DeviceIdentityError(screen.wrong)


def _obey(keyboard: Keyboard, keys: Keys, steward: Steward) -> None:
    typed = keyboard.keys(LOOK_S)
    blind = steward.look()
    if blind:
        keyboard.resume()
    for key in split_keys(typed):
        keys.press(key, blind)


class _ScreenGoneError(Exception):
    """What is shown reaches nobody any more."""


@contextmanager
def _ending(session: Session) -> Iterator[None]:
    """Ask the session to end, before anything more is written: a terminal may block, and a further hang-up may come."""
    try:
        yield
    finally:
        session.control.ask_to_stop()


@contextmanager
def _while_there(keyboard: Keyboard) -> Iterator[None]:
    """A screen that went away ends the session as ``q`` does; what else cannot be read or written is an error."""
    try:
        yield
    except _ScreenGoneError:
        to_nowhere(2)
    except OSError as error:
        if error.errno != errno.EIO or not keyboard.forget_lost_terminals():
            raise
    finally:
        keyboard.forget_lost_terminals()


@contextmanager
def _showing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EIO, errno.EPIPE):
            raise
        raise _ScreenGoneError from error


def _print(screen: Screen) -> None:
    """Where there is no terminal: the events, a line each."""
    for event in screen.collect():
        if event.text == screen.wrong:  # the command ends with it, and says it then
            continue
        with _showing():
            print(f"{event.level.value:7} {event.source}: {event.text}", file=sys.stderr, flush=True)


def _draw(live: Live, screen: Screen, console: Console, at_once: bool) -> None:
    picture = screen.render(console, at_once)
    with _showing():
        live.update(picture, refresh=True)
        if screen.bell():
            console.bell()
