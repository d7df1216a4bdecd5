"""A session is supervised by one thread while another closes it: no process is lost, no descriptor closed twice."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telerig.teleop import session as module
from telerig.teleop.session import ProcessSpec, Session, _Running


class FakeProcess:
    """A process that ends when it is waited for; ``meanwhile`` is what the other thread does at that moment."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None, stubborn: bool = False) -> None:
        self.pid = os.getpid()
        self.code: int | None = None
        self.meanwhile, self.stubborn = meanwhile, stubborn
        self.killed = self.waited = 0
        self.limit: float | None = None  # of the first wait

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        self.waited += 1
        self.limit = timeout if self.limit is None else self.limit
        self.code = 0
        self.meanwhile()
        if timeout is not None and self.stubborn:
            raise subprocess.TimeoutExpired("fake", timeout)
        return 0

    def kill(self) -> None:
        self.killed += 1


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path, [], [ProcessSpec("x", "m:f")])
    yield made
    for memory in made.memories.values():
        os.close(memory.fd)
    os.close(made.control.fd)


def only(session: Session, process: Any) -> _Running:
    """The session's process, replaced."""
    running = session._running[0]
    running.popen = process
    running.watch(process.pid)
    return running


@pytest.mark.parametrize(("end_s", "waited"), [(None, 3.0), (1.0, 3.0), (4.5, 4.5)])
def test_nobody_is_killed_before_its_time(tmp_path: Path, end_s: float | None, waited: float) -> None:
    slow = ProcessSpec("x", "m:f", order=3) if end_s is None else ProcessSpec("x", "m:f", order=3, end_s=end_s)
    session = Session(tmp_path, [], [ProcessSpec("last", "m:f", order=1), slow])
    processes = [FakeProcess(), FakeProcess()]
    try:
        for running, process in zip(session._running, processes, strict=True):
            running.popen = process  # type: ignore[assignment]
            running.watch(process.pid)
        session.close()
    finally:
        for memory in session.memories.values():
            os.close(memory.fd)
        os.close(session.control.fd)
    assert [p.limit for p in processes] == pytest.approx([waited, waited], abs=0.5)


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("seen_at", ["wait", "close"])
def test_supervised_between_any_two_steps_of_closing(
    session: Session, monkeypatch: pytest.MonkeyPatch, stubborn: bool, seen_at: str
) -> None:
    closed: list[int] = []

    def close(fd: int) -> None:
        closed.append(fd)
        if len(closed) < 5:  # two threads that close one number go on for ever here
            session.supervise()
        os.close(fd)

    process = FakeProcess(session.supervise if seen_at == "wait" else lambda: None, stubborn)
    fd = (running := only(session, process)).stat
    monkeypatch.setattr(module, "os", _Like(os, close=close))
    session.close()
    session.close()  # leaving the context closes again what was closed in order
    assert closed == [fd]
    assert process.killed == stubborn
    assert running.popen is None
    assert session.pids() == {}
    assert session.failed is None


def test_a_process_that_supervising_starts_while_closing_is_waited_for(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = FakeProcess()
    closer = threading.Thread(target=session.close)

    def start(running: _Running) -> None:
        closer.start()
        closer.join(0.1)  # as far as it gets while this process is being started
        only(session, process)

    monkeypatch.setattr(session, "_start", start)
    session.supervise()
    closer.join()
    assert process.waited == 1
    session.supervise()
    assert session.pids() == {}


def test_two_threads_on_real_processes(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that end at once, over and over, until the session is closed in the middle of it."""
    errors: list[BaseException] = []
    enough = threading.Event()
    made: list[subprocess.Popen[bytes]] = []

    def start(running: _Running) -> None:
        made.append(subprocess.Popen(["true"]))
        running.popen = made[-1]
        running.watch(made[-1].pid)
        running.started_at, running.start_again_at, running.back_off_s = session.clock.now(), 0, 0.0
        if len(made) == 10:
            enough.set()

    def supervise() -> None:
        try:
            while not over.is_set():
                session.supervise()
        except BaseException as error:
            errors.append(error)
            enough.set()

    over = threading.Event()
    monkeypatch.setattr(session, "_start", start)
    monkeypatch.setattr(session, "say", lambda *_: None)
    steward = threading.Thread(target=supervise)
    steward.start()
    enough.wait(30)
    session.close()
    over.set()
    steward.join()
    assert not errors
    assert all(p.returncode == 0 for p in made)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_start_that_is_interrupted_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    session = Session(tmp_path, [], [ProcessSpec("x", "m:f"), ProcessSpec("y", "m:f", order=6)])
    process = FakeProcess()

    def start(running: _Running) -> None:
        if running.spec.name == "y":
            raise error
        running.popen = process  # type: ignore[assignment]
        running.watch(process.pid)

    monkeypatch.setattr(session, "_start", start)
    with pytest.raises(error), session:
        pass
    assert process.waited == 1
    assert session.control.stopping
    assert session.pids() == {}
    assert not (tmp_path / "session.sock").exists()


def test_last_words_are_the_end_of_the_log(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    log = session.folder / "x.log"
    assert session.last_words("x") == f"it said nothing (see {log})"
    log.write_bytes(b"")
    assert session.last_words("x") == f"it said nothing (see {log})"
    log.write_text("first\nlast\n\n")
    assert session.last_words("x") == "last"
    log.write_bytes("é".encode() * 3000 + b"\nthe end of it " + b"x" * 400 + b"\n")
    assert session.last_words("x").startswith("the end of it xxx")
    assert len(session.last_words("x")) == 300
    with log.open("ab") as file:  # a log of 1 TB: whoever reads all of it does not come back
        file.truncate(2**40)
        file.seek(0, os.SEEK_END)
        file.write(b"\nkilled by the kernel\n")
    assert session.last_words("x").endswith("killed by the kernel")


class _Like:
    """A module with some functions replaced."""

    def __init__(self, module: Any, **other: Any) -> None:
        self._module = module
        self.__dict__ |= other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
