"""The emulation shell's cables: pulled, bad or slow; hosts and readers that do not read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers.emulation import send_fault
from telerig.drivers.ports import SerialPort
from telerig.hardware.errors import DeviceLost, DeviceOpenError
from telerig.hardware.samples import Sample

from .emulation_host import Served, collect, eventually


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    host = Served(tmp_path)
    yield host
    host.stop()


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
