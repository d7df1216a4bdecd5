"""The kernel's threads that carry serial bytes: raised while a session runs, put back after it, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from telerig.teleop import kernel_workers, realtime
from telerig.teleop.kernel_workers import KernelWorkers, count_raised, is_unbound_worker, raised

_IMPOSTOR = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, ctypes.c_char_p(b"kworker/u8:0-ev"), 0, 0, 0)
print("named", flush=True)
sys.stdin.read()
"""


def stat_file(proc: Path, pid: int, name: str, flags: int) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) I 2 0 0 0 -1 {flags} 0 0")


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """A stand-in for the kernel's tables, which only root may change: policy and priority of each process id."""
    table: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: table[pid][0])
    monkeypatch.setattr(os, "sched_getparam", lambda pid: os.sched_param(table[pid][1]))
    monkeypatch.setattr(os, "getpriority", lambda which, pid: 0)
    setter = lambda pid, policy, param: table.__setitem__(pid, (policy, param.sched_priority))  # noqa: E731
    monkeypatch.setattr(os, "sched_setscheduler", setter)
    return table


def test_only_unbound_kernel_workers_are_raised_and_all_are_put_back(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]]
) -> None:
    ordinary, chosen = (os.SCHED_OTHER, 0), (os.SCHED_FIFO, 40)
    raised_one = (os.SCHED_FIFO, realtime.SERIAL)
    stat_file(tmp_path, 10, "kworker/u8:4-events_unbound", 0x4208060)
    stat_file(tmp_path, 11, "kworker/u8:1-flush-254:0", 0x4208060)  # somebody gave it a priority of its own
    stat_file(tmp_path, 12, "kworker/0:1-events", 0x4208060)  # bound to a processor
    stat_file(tmp_path, 13, "kworker/u8:9", 0x400000)  # a program of that name
    scheduler.update({10: ordinary, 11: chosen, 12: ordinary, 13: ordinary})
    workers = KernelWorkers(tmp_path)
    assert workers.look() == 1
    assert scheduler == {10: raised_one, 11: chosen, 12: ordinary, 13: ordinary}

    stat_file(tmp_path, 14, "kworker/u8:5", 0x4208060)  # the kernel starts another
    scheduler[14] = ordinary
    assert workers.look() == 2
    assert count_raised(tmp_path) == 2
    scheduler[14] = chosen  # and an administrator decides about it
    workers.restore()
    assert scheduler == {10: ordinary, 11: chosen, 12: ordinary, 13: ordinary, 14: chosen}


def test_what_is_put_back_by_one_session_is_raised_again_for_another(
    tmp_path: Path, scheduler: dict[int, tuple[int, int]]
) -> None:
    stat_file(tmp_path, 10, "kworker/u8:4", 0x4208060)
    scheduler[10] = (os.SCHED_OTHER, 0)
    first, second = KernelWorkers(tmp_path), KernelWorkers(tmp_path)
    assert (first.look(), second.look()) == (1, 0)
    first.restore()
    assert second.look() == 1


def test_refused_or_unwanted_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with raised() as workers:
        assert workers.raised == set()
    monkeypatch.setattr(KernelWorkers, "look", lambda self: pytest.fail("it looked"))
    with raised(wanted=False) as workers:
        assert workers.raised == set()


def test_a_program_that_calls_itself_a_kernel_worker_stays_ordinary() -> None:
    with subprocess.Popen([sys.executable, "-c", _IMPOSTOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as impostor:
        assert impostor.stdout is not None
        assert impostor.stdout.readline() == b"named\n"
        assert not is_unbound_worker(Path("/proc"), impostor.pid)
        with raised():
            assert os.sched_getscheduler(impostor.pid) == os.SCHED_OTHER
        impostor.stdin.close()  # type: ignore[union-attr]


def test_on_this_kernel_they_are_raised_where_that_is_granted() -> None:
    """What became of them afterwards is not looked at here: a session of another test may have raised them again."""
    with raised() as workers:
        assert all(kernel_workers._is_raised(pid) and is_unbound_worker(Path("/proc"), pid) for pid in workers.raised)
        assert count_raised() >= len(workers.raised)
    assert workers.raised == set()
