"""The emulation shell: real pseudo-terminals, real pyserial, cables that are pulled, hosts that do not read."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.drivers import table
from telerig.drivers.emulation import EmulationHost, ask, read_journal, send_fault
from telerig.drivers.emulation_journal import JournalWriter
from telerig.drivers.ports import SerialPort
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec

RIG: dict[str, tuple[str, dict[str, Any]]] = {
    "left": ("hall_glove", {"side": "left"}),
    "fast": ("hall_glove", {"side": "right", "rate_hz": 1000.0}),
    "text": ("homunculus_glove", {"side": "right"}),
    "pedals": ("pedal_box", {}),
}
PAUSE = threading.Event()  # never set: waits without time.sleep


class Served:
    """A host in a thread, and drivers for its devices."""

    def __init__(self, folder: Path, controls: Mapping[str, Any] | None = None) -> None:
        self.clock = RealClock()
        self.ports, self.journals = folder / "ports", folder / "journals"
        self.events: list[Event] = []
        emulators = {n: table.emulator(d)(table.driver(d).Config(**c)) for n, (d, c) in RIG.items()}
        self.emulators: dict[str, Any] = emulators
        self.host = EmulationHost(emulators, self.clock, self.ports, self.journals, controls)
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self.host.run, args=(self._asked,))
        self._thread.start()
        assert self._ready.wait(10)

    def _asked(self) -> bool:
        self._ready.set()
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the host hangs"

    def driver(self, name: str) -> Any:
        kind, config = RIG[name]
        cls = table.driver(kind)
        path = str(self.ports / name)
        context = DeviceContext(name, self.clock, lambda: SerialPort(path, 115_200), {}, self.events.append)
        return cls(cls.Config(**config), context)

    def opened(self, name: str) -> Any:
        """An open driver; like a worker it tries again when a busy computer lets the device answer too late."""
        device = self.driver(name)
        for _ in range(9):
            try:
                device.open()
                return device
            except DeviceOpenError:
                PAUSE.wait(0.2)
        device.open()
        return device

    def journal(self, name: str) -> np.ndarray:
        return read_journal(self.journals / f"{name}.journal")

    def status(self, name: str) -> dict[str, int]:
        found: dict[str, int] = ask(self.ports, {"query": "status"})["devices"][name]
        return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    host = Served(tmp_path)
    yield host
    host.stop()


def collect(device: Any, n: int) -> list[Sample]:
    samples: list[Sample] = []
    while len(samples) < n:
        fresh = device.read(5.0)
        assert fresh, "the device has gone quiet"
        samples += fresh
    return samples


def eventually(true: Callable[[], bool], what: str) -> None:
    for _ in range(500):
        if true():
            return
        PAUSE.wait(0.02)
    raise AssertionError(f"not within 10 s: {what}")


def test_all_devices_speak_over_real_serial_ports_and_nothing_is_lost(served: Served) -> None:
    devices = {name: served.opened(name) for name in RIG}
    got = {name: collect(device, 150) for name, device in devices.items()}
    for device in devices.values():
        device.close()
    served.stop()
    for name in ("left", "fast", "pedals"):
        numbers = [s.seq_device for s in got[name]]
        sent = dict(zip(served.journal(name)["seq"].tolist(), served.journal(name)["t_ns"].tolist(), strict=True))
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert set(numbers) <= set(sent)
        assert all(s.t_sample > sent[s.seq_device] - 1_000_000 for s in got[name]), "a sample from the future"
        assert len(sent) == len(served.journal(name)), "a number was journaled twice"
    assert [e for e in served.events if e.code == "device.lost_samples"] == []


def test_an_unplugged_device_is_lost_and_found_again(served: Served) -> None:
    device = served.opened("left")
    path = served.ports / "left"
    before = collect(device, 10)
    send_fault(served.ports, "left", "unplug", seconds=0.3)
    with pytest.raises(DeviceLost):
        collect(device, 10_000)
    device.close()
    assert not path.exists()
    with pytest.raises(DeviceOpenError, match="cannot be opened"):
        device.open()
    assert served.status("left")["plugged"] == 0
    eventually(path.exists, "the port is back")
    device = served.opened("left")
    after = collect(device, 10)
    assert after[0].t_sample > before[-1].t_sample
    status = served.status("left")
    assert (status["plugged"], status["unplugged"]) == (1, 1)
    device.close()
    served.stop()
    journal = served.journal("left")
    gaps = np.diff(journal["seq"].astype(int))
    assert (gaps > 1).sum() == 1, "what was made while unplugged is in the journal"
    assert 50 < gaps.max() < 1000


def test_unplugged_for_good_until_cleared(served: Served) -> None:
    other = served.opened("pedals")
    send_fault(served.ports, "left", "unplug")
    eventually(lambda: served.status("left")["plugged"] == 0, "unplugged")
    assert len(collect(other, 40)) >= 40, "another device suffers"
    send_fault(served.ports, "left", "clear")
    eventually(lambda: served.status("left")["plugged"] == 1, "plugged again")
    served.opened("left").close()
    other.close()


def test_a_bad_cable_loses_what_the_sequence_tells(served: Served) -> None:
    device = served.opened("left")
    collect(device, 20)
    first = device.parser.frames
    send_fault(served.ports, "left", "drop", p=0.5)
    send_fault(served.ports, "left", "corrupt", p=0.2)
    got = collect(device, 100)
    send_fault(served.ports, "left", "clear")
    while device.parser.crc_errors == 0 or (got[-1].seq_device or 0) < 400:
        got += collect(device, 1)
    span = (got[-1].seq_device or 0) - (got[0].seq_device or 0) + 1
    assert span == len(got) + device.parser.lost
    assert device.parser.lost > 50
    assert device.parser.frames > first
    device.close()
    told = [e.data["count"] for e in served.events if e.code == "device.lost_samples"]
    assert sum(told) == device.parser.lost


def test_delayed_bytes_come_later_and_in_order(served: Served) -> None:
    device = served.opened("left")
    collect(device, 100)
    send_fault(served.ports, "left", "delay", ms=60.0, seconds=0.5)
    got = collect(device, 250)
    numbers = [s.seq_device for s in got]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    late = [s.t_arrival - s.t_sample for s in got]
    assert max(late) > 50_000_000
    assert sum(lag > 50_000_000 for lag in late) > 40
    assert device.fit.resets == 0
    device.close()


def test_a_host_that_does_not_read_blocks_nobody(served: Served) -> None:
    stopped = served.opened("fast")
    other = served.opened("left")
    got: list[Sample] = []
    before = served.status("fast")["bytes_dropped"]
    while served.status("fast")["bytes_dropped"] < before + 5_000:
        got += collect(other, 25)
    numbers = [s.seq_device for s in got]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "the other device suffered"
    late = collect(stopped, 50)
    eventually(lambda: bool(collect(stopped, 1)) and stopped.parser.lost > 0, "the gap is noticed")
    assert late[0].seq_device is not None
    stopped.close()
    other.close()


READER = """
import json, sys
from telerig.drivers import table
from telerig.drivers.ports import SerialPort
from telerig.hardware.clock import RealClock
from telerig.hardware.protocols import DeviceContext
cls = table.driver("hall_glove")
context = DeviceContext("fast", RealClock(), lambda: SerialPort(sys.argv[1], 115200))
device = cls(cls.Config("right", rate_hz=1000.0), context)
device.open()
numbers = []
print("reading", flush=True)
while device.parser.lost == 0 or len(numbers) < 300:
    numbers += [s.seq_device for s in device.read(1.0)]
print(json.dumps([numbers[0], numbers[-1], len(numbers), device.parser.lost]), flush=True)
"""


@pytest.mark.realtime
def test_a_reader_that_is_stopped_and_goes_on_counts_what_it_missed(served: Served) -> None:
    path = str(served.ports / "fast")
    with subprocess.Popen([sys.executable, "-c", READER, path], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        os.kill(reader.pid, signal.SIGSTOP)
        other = served.opened("pedals")
        before = served.status("fast")["bytes_dropped"]  # until it was opened, nobody read
        while served.status("fast")["bytes_dropped"] < before + 5_000:
            assert collect(other, 5)
        os.kill(reader.pid, signal.SIGCONT)
        first, last, received, lost = json.loads(reader.stdout.readline())
    assert lost > 0
    assert last - first + 1 == received + lost
    other.close()


@pytest.mark.realtime
def test_journals_outlive_a_killed_host(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from telerig.drivers import table
from telerig.drivers.emulation import EmulationHost
from telerig.hardware.clock import RealClock
config = table.driver("hall_glove").Config("left")
host = EmulationHost({"left": table.emulator("hall_glove")(config)}, RealClock(), *map(Path, sys.argv[1:]))
host.run(lambda: False)
"""
    ports, journals = tmp_path / "ports", tmp_path / "journals"
    with subprocess.Popen([sys.executable, "-c", script, str(ports), str(journals)]) as host:

        def enough() -> bool:
            path = journals / "left.journal"
            return path.exists() and len(read_journal(path)) > 100

        eventually(enough, "a hundred samples journaled")
        journaled = ask(ports, {"query": "status"})["devices"]["left"]["journaled"]
        host.kill()
    assert len(read_journal(journals / "left.journal")) >= journaled - 0.3 * 250 - 25
    with pytest.raises(DeviceOpenError, match="no emulated devices answer here"):
        send_fault(ports, "left", "unplug")
    again = Served(tmp_path)  # what a killed host left behind is in nobody's way
    collect(again.opened("left"), 5)
    again.stop()


def test_requests_that_make_no_sense_are_answered_so(served: Served) -> None:
    with pytest.raises(ConfigError, match="device 'nobody' is not emulated here; there are: fast, left, pedals, text"):
        send_fault(served.ports, "nobody", "unplug")
    with pytest.raises(ConfigError, match="fault 'explode' is unknown here; known: silent, freeze"):
        send_fault(served.ports, "left", "explode")
    for how in ({"p": "much"}, {"seconds": float("inf")}, {"p": None}):
        with pytest.raises(ConfigError, match="is not a number"):
            ask(served.ports, {"device": "left", "fault": "drop", **how})
    with pytest.raises(ConfigError, match="kind"):
        ask(served.ports, {"device": "left", "fault": "freeze", "kind": 1})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(served.ports / "control.sock"))
        lines = client.makefile("rwb")
        for line in (b"{nonsense\n", b"[1]\n"):
            lines.write(line)
            lines.flush()
            assert json.loads(lines.readline())["ok"] is False
    collect(served.opened("left"), 5)


def test_folders_may_be_deeper_than_a_sockets_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    host = Served(deep)
    send_fault(host.ports, "left", "freeze", seconds=0.1)
    host.stop()
    assert list(host.ports.iterdir()) == [], "the host leaves ports or its socket behind"
    with pytest.raises(DeviceOpenError):
        ask(tmp_path / "nowhere", {"query": "status"})


class Controls:
    """A stream whose newest sample a test sets."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.sample: Sample | None = None
        self.asked = 0

    def latest(self) -> Sample | None:
        self.asked += 1
        return self.sample

    def window(self, t0: int, t1: int) -> list[Sample]:
        raise AssertionError("only the newest value moves a sensor")


def test_control_streams_move_the_sensors(tmp_path: Path) -> None:
    controls = Controls(table.emulator("pedal_box").controls)
    host = Served(tmp_path, {"pedals": controls})
    device = host.opened("pedals")
    assert collect(device, 3)[-1].array("switches").tolist() == [0, 0, 1]

    def move(seq: int, position: Sequence[float], switches: Sequence[float]) -> None:
        data = {"position": np.array(position), "switches": np.array(switches)}
        controls.sample = Sample("pedals/controls", 0, 0, data, seq=seq)

    move(0, [0.2, 0.4, 0.6], [1, 1, 0])
    eventually(lambda: collect(device, 1)[-1].array("switches").tolist() == [1, 1, 0], "the sensors move")
    assert np.allclose(collect(device, 2)[-1].array("position"), [0.2, 0.4, 0.6], atol=0.01)
    move(1, [0.9, 0.4, 0.6], [0, 0, 1])
    eventually(lambda: collect(device, 1)[-1].array("position")[0] > 0.85, "they move again")
    device.close()
    host.stop()
    assert controls.asked > 10


def test_a_port_that_takes_no_bytes_or_is_gone_is_lost() -> None:
    master, slave = os.openpty()
    port = SerialPort(os.ttyname(slave), 115_200)
    with pytest.raises(DeviceLost, match="the device takes no bytes"):
        port.write(bytes(10**6))
    assert os.read(master, 100) == bytes(100), "what did fit was not written"
    os.close(slave)
    os.close(master)
    with pytest.raises(DeviceLost):
        port.write(b"x")
    with pytest.raises(DeviceLost):
        port.read(1.0)
    port.close()


def test_a_journal_with_half_a_record_at_its_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    writer = JournalWriter(path)
    for k in range(10):
        writer(-5 + k, 2**40 + k)
    assert len(read_journal(path)) == 0
    writer.flush()
    assert read_journal(path)["seq"].tolist() == [2**40 + k for k in range(10)]
    writer.close()
    writer.close()
    path.write_bytes(path.read_bytes()[:-3])
    assert read_journal(path)["t_ns"].tolist() == list(range(-5, 4))
