"""The kernel's threads that carry serial bytes: raised while a session runs, put back after it, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from telerig.hardware import events
from telerig.hardware.errors import DeviceError
from telerig.teleop import kernel_workers, realtime
from telerig.teleop.kernel_workers import KernelWorkers, count, is_unbound_worker, raised
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import running
from telerig.teleop.rig import load_rig

from .live_rig import RIG

_IMPOSTOR = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, ctypes.c_char_p(b"kworker/u8:0-ev"), 0, 0, 0)
print("named", flush=True)
sys.stdin.read()
"""


def stat_file(proc: Path, pid: int, name: str, flags: int) -> None:
    """What /proc tells of a process, all at once: another thread may be looking."""
    made = proc / f"made-{pid}"
    made.mkdir()
    (made / "stat").write_text(f"{pid} ({name}) I 2 0 0 0 -1 {flags} 0 0")
    made.rename(proc / str(pid))


ORDINARY, CHOSEN = (os.SCHED_OTHER, 0), (os.SCHED_FIFO, realtime.SERIAL)  # by an administrator: no reset-on-fork
RAISED = (os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, realtime.SERIAL)
KERNEL, PROGRAM = 0x4208060, 0x400000  # flags in /proc/PID/stat, as found


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """A stand-in for the kernel's tables, which only root may change: policy and priority of each process id."""
    table: dict[int, tuple[int, int]] = {}

    def set_scheduler(pid: int, policy: int, param: os.sched_param) -> None:
        if pid:  # 0: the calling thread's own
            table[pid] = (policy, param.sched_priority)

    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: table[pid][0])
    monkeypatch.setattr(os, "sched_getparam", lambda pid: os.sched_param(table[pid][1]))
    monkeypatch.setattr(os, "getpriority", lambda which, pid: 0)
    monkeypatch.setattr(os, "sched_setscheduler", set_scheduler)
    return table


def test_only_unbound_kernel_workers_are_raised_and_all_are_put_back(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]]
) -> None:
    stat_file(tmp_path, 10, "kworker/u8:4-events_unbound", KERNEL)
    stat_file(tmp_path, 11, "kworker/u8:1-flush-254:0", KERNEL)  # somebody gave it a priority of its own
    stat_file(tmp_path, 12, "kworker/0:1-events", KERNEL)  # bound to a processor
    stat_file(tmp_path, 13, "kworker/u8:9", PROGRAM)  # a program of that name
    scheduler.update({10: ORDINARY, 11: CHOSEN, 12: ORDINARY, 13: ORDINARY})
    workers = KernelWorkers(tmp_path)
    assert workers.look() == 1
    assert scheduler == {10: RAISED, 11: CHOSEN, 12: ORDINARY, 13: ORDINARY}
    assert count(tmp_path) == {"fifo": 1, "other": 0}

    stat_file(tmp_path, 14, "kworker/u8:5", KERNEL)  # the kernel starts another
    scheduler[14] = ORDINARY
    assert count(tmp_path) == {"fifo": 1, "other": 1}
    assert workers.look() == 2
    scheduler[14] = CHOSEN  # and an administrator decides about it
    workers.restore()
    assert scheduler == {10: ORDINARY, 11: CHOSEN, 12: ORDINARY, 13: ORDINARY, 14: CHOSEN}


def test_what_a_killed_session_left_is_put_back_and_what_another_put_back_is_raised_again(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]]
) -> None:
    stat_file(tmp_path, 10, "kworker/u8:4", KERNEL)
    scheduler[10] = RAISED
    first, second = KernelWorkers(tmp_path), KernelWorkers(tmp_path)
    assert (first.look(), second.look()) == (1, 1)
    first.restore()
    assert scheduler[10] == ORDINARY
    assert second.look() == 1
    assert scheduler[10] == RAISED
    second.restore()
    assert scheduler[10] == ORDINARY


def test_interrupted_in_the_middle_of_raising_it_puts_back_what_is_raised(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in (10, 11, 12):
        stat_file(tmp_path, pid, f"kworker/u8:{pid}", KERNEL)
        scheduler[pid] = ORDINARY
    set_scheduler = os.sched_setscheduler

    def interrupted(pid: int, policy: int, param: os.sched_param) -> None:
        if policy != os.SCHED_OTHER and RAISED in scheduler.values():
            raise KeyboardInterrupt
        set_scheduler(pid, policy, param)

    monkeypatch.setattr(os, "sched_setscheduler", interrupted)
    with suppress(KeyboardInterrupt), raised(proc=tmp_path):
        pytest.fail("it was not interrupted")
    assert set(scheduler.values()) == {ORDINARY}


def test_who_may_not_put_them_back_does_not_call_them_raised(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stat_file(tmp_path, 10, "kworker/u8:4", KERNEL)
    scheduler[10] = RAISED

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert KernelWorkers(tmp_path).look() == 0


def test_a_number_that_became_a_programs_is_not_raised(tmp_path: Path, scheduler: dict[int, tuple[int, int]]) -> None:
    stat_file(tmp_path, 10, "kworker/u8:4", KERNEL)
    scheduler[10] = CHOSEN
    workers = KernelWorkers(tmp_path)
    assert workers.look() == 0
    (tmp_path / "10" / "stat").write_text(f"10 (bash) S 1 0 0 0 -1 {PROGRAM} 0 0")
    scheduler[10] = ORDINARY
    assert workers.look() == 0
    assert scheduler[10] == ORDINARY


def test_while_it_lasts_new_threads_are_raised_and_an_exception_puts_all_back(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_workers, "LOOK_S", 0.001)
    stat_file(tmp_path, 10, "kworker/u8:4", KERNEL)
    scheduler.update({10: ORDINARY, 11: ORDINARY})
    seen = threading.Event()
    look = KernelWorkers.look

    def looked(self: KernelWorkers) -> int:
        found = look(self)
        if found == 2:
            seen.set()
        return found

    monkeypatch.setattr(KernelWorkers, "look", looked)
    with suppress(DeviceError), raised(proc=tmp_path):
        assert scheduler[10] == RAISED
        stat_file(tmp_path, 11, "kworker/u8:5", KERNEL)
        assert seen.wait(10.0)
        assert scheduler[11] == RAISED
        raise DeviceError("the robot is gone")
    assert scheduler == {10: ORDINARY, 11: ORDINARY}


def test_refused_or_unwanted_nothing_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    stat_file(tmp_path, os.getpid(), "kworker/u8:4", KERNEL)
    with raised(proc=tmp_path) as workers:
        assert workers.raised == set()
    monkeypatch.setattr(KernelWorkers, "look", lambda self: pytest.fail("it looked"))
    with raised(wanted=False) as workers:
        assert workers.raised == set()


def test_a_thread_gets_its_name_a_moment_after_its_number(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]]
) -> None:
    stat_file(tmp_path, 10, "kthreadd", KERNEL)
    scheduler[10] = ORDINARY
    workers = KernelWorkers(tmp_path)
    assert workers.look() == 0
    (tmp_path / "10" / "stat").write_text(f"10 (kworker/u8:4) I 2 0 0 0 -1 {KERNEL} 0 0")
    assert workers.look() == 1


def test_names_of_any_bytes_and_no_table_at_all_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "10").mkdir()
    (tmp_path / "10" / "stat").write_bytes(b"10 (\xc3kworker/u) S 1 0 0 0 -1 4194304 0 0")
    assert KernelWorkers(tmp_path).look() == 0
    assert KernelWorkers(tmp_path / "none").look() == 0


def test_a_program_that_calls_itself_a_kernel_worker_stays_ordinary() -> None:
    with subprocess.Popen([sys.executable, "-c", _IMPOSTOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as impostor:
        assert impostor.stdout is not None
        assert impostor.stdout.readline() == b"named\n"
        assert not is_unbound_worker(Path("/proc"), impostor.pid)
        with raised():
            assert os.sched_getscheduler(impostor.pid) == os.SCHED_OTHER
        impostor.stdin.close()  # type: ignore[union-attr]


@pytest.mark.realtime
@pytest.mark.parametrize("wanted", [True, False])
def test_a_session_of_serial_devices_raises_them_unless_the_rig_forbids_it(tmp_path: Path, wanted: bool) -> None:
    """On this machine's own kernel; where that is refused, or they cannot be seen, nothing is done and nothing said."""
    with raised() as workers:
        granted = bool(workers.raised)
    rig_file = tmp_path / "rig.toml"
    text = RIG.read_text()
    assert "[session]\n" in text
    rig_file.write_text(text.replace("[session]\n", f"[session]\nkernel_workers = {str(wanted).lower()}\n"))
    with running(load_rig(rig_file, emulate=True), LiveOptions(home=False), tmp_path / "run") as (session, _):
        told = [events.from_sample(sample).code for sample in session.reader("session/events").tap(0).read()[0]]
        assert ("session.kernel_workers" in told) == (granted and wanted)
