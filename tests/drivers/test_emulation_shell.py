"""The emulation shell: real pseudo-terminals, real pyserial, requests, control streams, journals."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers import table
from telerig.drivers.emulation import ask, read_journal, send_fault
from telerig.drivers.emulation_journal import JournalWriter
from telerig.hardware.errors import ConfigError, DeviceOpenError
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec

from .emulation_host import RIG, Served, collect, collect_all, eventually


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    host = Served(tmp_path)
    yield host
    host.stop()


def test_all_devices_speak_over_real_serial_ports_and_nothing_is_lost(served: Served) -> None:
    devices = {name: served.opened(name) for name in sorted(RIG, key="fast".__eq__)}  # the fastest waits least
    got = collect_all(devices, 150)
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
