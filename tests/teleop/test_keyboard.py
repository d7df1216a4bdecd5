"""A terminal that goes away is a ``q``; a hang-up, like Ctrl-C, ends a session in order."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator

import pytest

from telerig.teleop.control import ControlBlock
from telerig.teleop.keyboard import Keyboard
from telerig.teleop.signals import ends_in_order, interruptible


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Master (popped by who closes it) of a pseudo-terminal that standard input is."""
    master, slave = pty.openpty()
    open_ends = [master]
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield open_ends
    for fd in open_ends:
        os.close(fd)


def test_keys_of_a_terminal_that_is_there(terminal: list[int]) -> None:
    with Keyboard() as keys:
        assert keys.present
        assert keys.keys(0.0) == ""
        os.write(terminal[0], b"n \x1b")
        assert keys.keys(5.0) == "n \x1b"
        os.write(terminal[0], b"\xff")
        assert keys.keys(5.0) == ""  # no character, and no end either


def test_single_keys_again_after_a_shell_had_the_terminal(terminal: list[int]) -> None:
    with Keyboard() as keys:
        modes = termios.tcgetattr(sys.stdin.fileno())
        modes[3] |= termios.ICANON
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, modes)
        keys.resume()
        os.write(terminal[0], b"x")
        assert keys.keys(5.0) == "x"


def test_a_terminal_that_went_away_is_q_and_leaving_it_is_no_error(terminal: list[int]) -> None:
    with Keyboard() as keys:
        os.close(terminal.pop())
        assert [keys.keys(5.0) for _ in range(3)] == ["q"] * 3


def test_a_read_that_fails_is_q(terminal: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with Keyboard() as keys:
        monkeypatch.setattr(os, "read", fails)
        os.write(terminal[0], b"n")
        assert keys.keys(5.0) == "q"


def test_writing_to_a_terminal_that_went_away_goes_nowhere() -> None:
    master, slave = pty.openpty()
    keys = Keyboard()
    keys._terminals = [slave]
    assert not keys.forget_lost_terminals()
    os.write(slave, b"seen")
    assert os.read(master, 10) == b"seen"
    os.close(master)
    with pytest.raises(OSError, match="Input/output"):
        os.write(slave, b"x")
    assert keys.forget_lost_terminals()
    assert os.write(slave, b"unseen") == 6
    assert os.read(slave, 1) == b""
    os.close(slave)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_hang_ups_and_sigterm_ask_to_stop_however_often(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    control = ControlBlock()
    with interruptible(control) as asked:
        assert not asked.to_end
        for _ in range(3):
            signal.raise_signal(number)
            assert asked.to_end
    assert control.stopping
    assert signal.getsignal(number) is before


def test_a_session_ends_though_the_main_thread_never_gets_to_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    control, ended = ControlBlock(), threading.Event()

    def stuck() -> None:  # stands for a main thread in a call that does not return
        assert ended.wait(20)

    monkeypatch.setattr("telerig.teleop.signals.forget_stuck_outputs", stuck)
    monkeypatch.setattr(control, "ask_to_stop", ended.set)
    with interruptible(control):
        signal.raise_signal(signal.SIGTERM)
    assert ended.is_set()


def test_an_output_that_blocks_is_given_up_and_who_was_stuck_in_it_goes_on() -> None:
    """A write to a pipe that nobody reads, a SIGTERM in the middle of it: the same write ends."""
    out, into = os.pipe()
    code = """
import sys
from telerig.teleop.control import ControlBlock
from telerig.teleop.signals import interruptible
with interruptible(control := ControlBlock()):
    print("ready", flush=True)
    print("x" * 1_000_000, file=sys.stderr, flush=True)
    print(control.stopping)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=into, text=True) as process:
        os.close(into)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert select.select([out], [], [], 20)[0]  # it has begun to write
        process.send_signal(signal.SIGTERM)
        try:
            rest, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    os.close(out)
    assert (rest, process.returncode) == ("True\n", 0)


def test_a_second_ctrl_c_is_an_impatient_one() -> None:
    with interruptible(ControlBlock()) as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.to_end
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_who_said_nohup_is_believed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ends_in_order(control := ControlBlock()), interruptible(control) as asked:
            signal.raise_signal(signal.SIGHUP)
        assert not asked.to_end
        assert not control.stopping
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_session_that_starts_is_ended_and_one_that_ends_is_left_in_peace(number: signal.Signals) -> None:
    control = ControlBlock()
    with ends_in_order(control):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert control.stopping
        signal.raise_signal(number)
