"""Who is dead or suspended is known at once, and the loop names whom it misses."""

from __future__ import annotations

import os
import signal
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from telerig.hardware.clock import RealClock
from telerig.teleop import loop_process
from telerig.teleop.child import Child
from telerig.teleop.control import ControlBlock
from telerig.teleop.session import ProcessSpec, _Running

NAMES = {"session": 0, "loop": 1, "recorder": 2, "policy": 3}


@pytest.mark.realtime
def test_a_suspended_and_a_dead_process_are_gone() -> None:
    running = _Running(ProcessSpec("x", "m:f"))
    assert running.is_gone()  # nothing to look at is nothing that lives
    with subprocess.Popen(["sleep", "60"]) as child:
        running.watch(child.pid)
        assert not running.is_gone()
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        assert running.is_gone()
        child.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WNOWAIT)
        assert not running.is_gone()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert running.is_gone()
    assert running.is_gone()
    running.watch(None)


def loop_child(control: ControlBlock, needs: tuple[str, ...] = ("policy",)) -> Child:
    """The loop's view of a session with these processes."""
    told: dict[str, Any] = {"name": "loop", "settings": {"needs": needs}, "offset_ns": RealClock().offset_ns}
    told |= {"control_fd": control.fd, "beats": NAMES, "streams": {}, "fifo": 0, "nice": 0, "facts": {}}
    return Child(told)


@pytest.mark.parametrize(
    ("who", "recording", "expected"),
    [
        ("session", False, "the command line gives no sign of life"),
        ("recorder", True, "the recorder gives no sign of life"),
        ("recorder", False, None),  # nobody counts on it
        ("policy", False, "policy gives no sign of life"),
    ],
)
@pytest.mark.parametrize("how", ["seen", "silent"])
def test_the_loop_says_whom_it_misses(who: str, recording: bool, expected: str | None, how: str) -> None:
    control = ControlBlock()
    child = loop_child(control)
    core: Any = SimpleNamespace(recording=recording)

    def everybody_beats(but: str = "") -> None:
        for name, index in NAMES.items():
            control.beat(index, child.clock.now() - (600_000_000 if name == but else 0))

    everybody_beats()
    assert loop_process._missing(child, core) is None
    if how == "silent":
        everybody_beats(but=who)
    else:
        control.note_gone(NAMES[who], True)
    assert loop_process._missing(child, core) == expected
    control.note_gone(NAMES[who], False)
    everybody_beats()
    assert loop_process._missing(child, core) is None


def test_an_inference_that_is_not_needed_may_be_silent() -> None:
    control = ControlBlock()
    control.note_gone(NAMES["policy"], True)
    assert loop_process._missing(loop_child(control, needs=()), SimpleNamespace(recording=False)) is None  # type: ignore[arg-type]


def test_every_process_sees_which_device_is_away() -> None:
    control = ControlBlock()
    loop = loop_child(control)
    worker = ControlBlock(os.dup(control.fd))  # as another process maps it
    assert not loop.is_away("recorder/state")
    worker.note_away(NAMES["recorder"], True)
    assert loop.is_away("recorder/state")
    assert not loop.is_away("policy/plan")
    assert not loop.is_away("nobody/knows")
    assert not control.is_gone(NAMES["recorder"])
    worker.note_away(NAMES["recorder"], False)
    assert not loop.is_away("recorder/state")
