"""A device's worker in virtual time: what it does about a device that is not the one the rig file says."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from telerig.drivers import table
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import DeviceOpenError
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.teleop import worker

MS = 1_000_000
S = 1_000_000_000
WRONG = "dev: wrong firmware: it speaks wire version 3, this telerig 1"


class Bench:
    """A left glove's worker without its process, and the emulator it talks to.

    :param going: whether the session ran already when this worker was started.
    """

    def __init__(self, driver: str = "hall_glove", going: bool = False, **config: str) -> None:
        self.clock, self.events, self.samples = VirtualClock(), list[Event](), list[Sample]()
        self.control = SimpleNamespace(going=going)
        self.settings: dict[str, float] = {}
        self.away: list[tuple[bool, bool]] = []  # said of the device; whether the operator had been told by then
        self.plugged, self.opened, self.end = True, 0, 0
        self.at: list[tuple[int, Callable[[], object]]] = []
        cls = table.driver(driver)
        own = cls.Config(**(config or {"side": "left"}))
        self.emulator = table.emulator("hall_glove")(table.driver("hall_glove").Config("left"))
        self.device = cls(own, DeviceContext("dev", self.clock, self._port, {}, self.events.append))
        self.name = "dev"

    def _port(self) -> LoopbackPort:
        self.opened += 1
        if not self.plugged:
            raise DeviceOpenError("dev: it is not plugged in")
        return LoopbackPort(self.emulator, self.clock, lambda: self.plugged)

    # what a worker asks of its Child
    @property
    def stopping(self) -> bool:
        return self.clock.now() >= self.end

    def beat(self, busy_s: float = 0.0) -> None:
        """Time passes between two beats; what was planned for an instant happens."""
        self.clock.advance(5 * MS)
        while self.at and self.at[0][0] <= self.clock.now():
            self.at.pop(0)[1]()

    def go_realtime(self) -> bool:
        self.clock.advance(30 * S)  # the others took long
        self.control.going = True
        return False

    def note_away(self, away: bool) -> None:
        self.away.append((away, any(e.code in ("device.lost", "device.wrong") for e in self.events)))

    def writer(self, stream: str) -> Any:
        return SimpleNamespace(write=self.samples.append)

    def say(self, level: Level, code: str, text: str, **data: Any) -> None:
        self.events.append(Event(self.clock.now(), level, self.name, code, text, data))

    # the test's side
    def later(self, seconds: float, what: Callable[[], object]) -> None:
        """From the moment the session goes."""
        self.at.append((self.clock.now() + 30 * S + round(seconds * 1e9), what))

    def run(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        """The worker for so long; (code, text) of its events."""
        self.end = self.clock.now() + 30 * S + round(seconds * 1e9)
        monkeypatch.setattr(worker, "build_device", lambda child: self.device)
        worker.run(self)  # type: ignore[arg-type]
        return [(e.code, e.text) for e in self.events]


def test_another_firmware_in_the_middle_is_told_once_and_the_device_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A board that is flashed, or swapped, while it is read."""
    bench = Bench()
    bench.later(2.0, lambda: bench.emulator.fault("wrong_version", version=3))
    told = bench.run(20.0, monkeypatch)
    assert [code for code, _ in told] == ["device.open", "device.wrong"]
    assert told[1][1] == f"{WRONG}; left alone until the session is started again"
    assert bench.events[1].data["at_start"] is False
    assert bench.opened == 1
    assert bench.away == [(False, False), (True, False)]  # the robot stops before anybody is told
    assert len(bench.samples) == pytest.approx(2.0 * 250, abs=5)
    with pytest.raises(DeviceOpenError, match="read before open"):  # it was closed
        bench.device.read(0)


def test_wrong_from_the_start_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.emulator.fault("wrong_version", version=3)
    assert bench.run(5.0, monkeypatch) == [("device.wrong", WRONG)]
    assert bench.events[0].data["at_start"] is True
    assert bench.opened == 1


def test_a_slow_start_is_still_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera may take many seconds to open, and then turn out to be another one."""
    bench = Bench(side="right")
    real = bench.device.open

    def slow() -> None:
        bench.clock.advance(12 * S)
        real()

    monkeypatch.setattr(bench.device, "open", slow)
    bench.run(20.0, monkeypatch)
    assert [(e.code, e.data["at_start"]) for e in bench.events] == [("device.wrong", True)]


@pytest.mark.parametrize("after", [4.0, 600.0])
def test_what_is_wrong_later_does_not_end_the_command(after: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugged in for the first time when the session ran already."""
    bench = Bench(side="right")
    bench.plugged = False
    bench.later(after, lambda: setattr(bench, "plugged", True))
    told = bench.run(after + 5.0, monkeypatch)
    assert [code for code, _ in told] == ["device.missing", "device.wrong"]
    assert "left glove" in told[1][1]
    assert bench.events[1].data["at_start"] is False


def test_a_worker_that_was_started_again_does_not_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(side="right", going=True)
    bench.run(5.0, monkeypatch)
    assert [(e.code, e.data["at_start"]) for e in bench.events] == [("device.wrong", False)]


def test_an_unplugged_device_is_away_until_it_gives_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.later(1.0, lambda: setattr(bench, "plugged", False))
    bench.later(2.0, lambda: setattr(bench, "plugged", True))
    told = [code for code, _ in bench.run(3.0, monkeypatch)]
    assert told == ["device.open", "device.lost", "device.open"]
    assert bench.away == [(False, False), (True, False), (False, True)]


def test_a_device_that_opens_and_says_nothing_is_still_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its newest sample may be young enough: that one is of before it went."""
    bench = Bench()
    bench.later(1.0, lambda: setattr(bench, "plugged", False))

    def back_but_silent() -> None:
        bench.plugged = True
        monkeypatch.setattr(bench.device, "read", lambda timeout_s: [])

    bench.later(1.1, back_but_silent)
    assert [code for code, _ in bench.run(2.0, monkeypatch)] == ["device.open", "device.lost", "device.open"]
    assert [away for away, _ in bench.away] == [False, True]


def test_a_worker_that_was_started_again_takes_back_what_the_one_before_it_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(going=True)
    bench.run(1.0, monkeypatch)
    assert bench.away == [(False, False)]
