"""Streams: nothing torn, nothing silently lost, across processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.hardware.errors import ConfigError
from telerig.hardware.samples import Layout, Sample
from telerig.hardware.specs import ArraySpec, BlobSpec, StreamSpec
from telerig.teleop.stream import LocalReader, LocalStream, SharedReader, StreamMemory, StreamWriter

SPEC = StreamSpec("arm/joints", (ArraySpec("position", (7,)), ArraySpec("status", (2,), "<u1")), 50.0, 0.5)
IMAGE = StreamSpec("cam/color", (BlobSpec("jpeg", 5000, "image/jpeg"),), 10.0, 1.0)


def sample(i: int) -> Sample:
    """A sample whose every byte depends on ``i``."""
    return Sample(
        "arm/joints", 1000 + i, 990 + i, {"position": np.full(7, float(i)), "status": np.full(2, i % 251, np.uint8)}
    )


@pytest.fixture(params=["shared", "local"])
def ends(request: pytest.FixtureRequest):
    """A writer and a function that makes readers, in both kinds of stream."""
    if request.param == "shared":
        memory = StreamMemory(SPEC)
        return StreamWriter(memory), lambda: SharedReader(StreamMemory(SPEC, os.dup(memory.fd)))
    stream = LocalStream(SPEC)
    return stream, lambda: LocalReader(stream)


def test_latest_is_none_before_the_first_sample(ends):
    _, reader = ends
    assert reader().latest() is None
    assert reader().window(0, 10**18) == []


@given(st.integers(1, 90))
def test_window_returns_what_lies_in_it_oldest_first(n):
    stream = LocalStream(SPEC)
    memory = StreamMemory(SPEC)
    writer = StreamWriter(memory)
    for i in range(n):
        stream.write(sample(i))
        writer.write(sample(i))
    kept = min(n, SPEC.capacity)
    for reader in (LocalReader(stream), SharedReader(memory)):
        got = [s.seq for s in reader.window(990 + n - 10, 990 + n - 2)]
        wanted = [
            i for i in range(max(0, n - 10), n - 1) if i >= n - kept + (0 if n < SPEC.capacity else 1) or n < kept
        ]
        assert got == [i for i in wanted if i > n - SPEC.capacity]
    os.close(memory.fd)


def test_a_tap_sees_every_sample_once_and_is_told_how_many_it_lost(ends):
    writer, make = ends
    tap = make().tap()
    for i in range(10):
        writer.write(sample(i))
    got, lost = tap.read()
    assert [s.seq for s in got] == list(range(10))
    assert lost == 0
    total = SPEC.capacity + 7
    for i in range(total):
        writer.write(sample(i))
    got, lost = tap.read()
    assert len(got) + lost == total
    assert lost == 7


def test_a_writer_after_a_crash_goes_on_counting():
    memory = StreamMemory(SPEC)
    StreamWriter(memory).write(sample(0))
    assert StreamWriter(memory).write(sample(1)) == 1


def test_memory_of_another_layout_is_refused():
    memory = StreamMemory(SPEC)
    with pytest.raises(ConfigError, match="another layout"):
        StreamMemory(IMAGE, os.dup(memory.fd))


def test_a_blob_that_does_not_fit_is_refused():
    writer = StreamWriter(StreamMemory(IMAGE))
    with pytest.raises(ValueError, match="at most 5000"):
        writer.write(Sample("cam/color", 1, 1, {"jpeg": b"x" * 5001}))


@given(st.binary(max_size=5000), st.integers(0, 2**60))
def test_blobs_survive_whatever_lay_in_the_slot_before(blob, t):
    layout, buffer = Layout(IMAGE), memoryview(bytearray(Layout(IMAGE).size))
    layout.pack_into(buffer, 0, Sample("cam/color", 1, 1, {"jpeg": b"y" * 5000}), 0)
    layout.pack_into(buffer, 0, Sample("cam/color", t, t, {"jpeg": blob}), 1)
    assert layout.unpack_from(buffer, 0).blob("jpeg") == blob


@given(st.lists(st.booleans(), min_size=9, max_size=9))
def test_valid_bits_and_unknown_instants_survive(bits):
    layout, buffer = Layout(SPEC), memoryview(bytearray(Layout(SPEC).size))
    layout.pack_into(buffer, 0, Sample("arm/joints", 5, 4, sample(3).data, 2, None, None, np.array(bits), True), 9)
    back = layout.unpack_from(buffer, 0)
    assert back.valid is not None
    assert back.valid.tolist() == bits
    assert (back.t_device, back.seq_device, back.spaced, back.seq) == (None, None, True, 9)
    layout.pack_into(buffer, 0, sample(1), 10)
    assert layout.unpack_from(buffer, 0).valid is None


def test_valid_bits_of_another_number_are_refused():
    writer = StreamWriter(StreamMemory(SPEC))
    data = {"position": np.zeros(7), "status": np.zeros(2, np.uint8)}
    with pytest.raises(ValueError, match="7 valid bits for 9"):
        writer.write(Sample("arm/joints", 1, 1, data, valid=np.ones(7, bool)))


def test_what_was_read_is_aligned_read_only_and_its_own():
    layout, buffer = Layout(SPEC), memoryview(bytearray(Layout(SPEC).size))
    layout.pack_into(buffer, 0, sample(7), 3)
    read = layout.unpack_from(buffer, 0)
    before = {a.name: read.array(a.name).copy() for a in SPEC.arrays}
    buffer[:] = bytes(len(buffer))  # the writer laps the reader
    for name, value in before.items():
        array = read.array(name)
        assert array.flags.aligned
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, value)


def test_an_array_of_another_shape_is_refused():
    writer = StreamWriter(StreamMemory(SPEC))
    with pytest.raises(ValueError, match="shape"):
        writer.write(Sample("arm/joints", 1, 1, {"position": np.zeros(6), "status": np.zeros(2, np.uint8)}))


def test_a_reader_in_a_hurry_never_sees_a_torn_sample():
    """One thread writes flat out into four slots; every sample read must be all of one piece."""
    spec = StreamSpec("s/x", (ArraySpec("position", (512,)),), 4.0, 1.0)
    memory = StreamMemory(spec)
    writer, reader = StreamWriter(memory), SharedReader(memory)
    stop = threading.Event()

    def write() -> None:
        i = 0
        while not stop.is_set():
            writer.write(Sample("s/x", i, i, {"position": np.full(512, float(i))}))
            i += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen = 0
        while seen < 2000:
            got = reader.latest()
            if got is not None:
                assert len(set(got.array("position").tolist())) == 1
                assert got.array("position")[0] == got.t_arrival == got.seq
                seen += 1
    finally:
        stop.set()
        thread.join()


WAITER = """
import sys
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.stream import SharedReader, StreamMemory
spec = StreamSpec("arm/joints", (ArraySpec("position", (7,)), ArraySpec("status", (2,), "<u1")), 50.0, 0.5)
reader = SharedReader(StreamMemory(spec, int(sys.argv[1])))
print("ready", flush=True)
print(reader.wait(0, 20.0), reader.latest().array("position")[0], flush=True)
"""


@pytest.mark.realtime
def test_a_waiting_reader_in_another_process_is_woken():
    memory = StreamMemory(SPEC)
    child = subprocess.Popen(
        [sys.executable, "-c", WAITER, str(memory.fd)], pass_fds=[memory.fd], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    StreamWriter(memory).write(sample(42))
    assert child.stdout.readline() == "True 42.0\n"
    assert child.wait(10) == 0
    child.stdout.close()


def test_a_reader_never_sees_the_count_go_back() -> None:
    memory = StreamMemory(StreamSpec("s/s", (ArraySpec("x", (4,)),), 100.0))
    writer, reader = StreamWriter(memory), SharedReader(memory)
    writer.write(Sample("s/s", 0, 0, {"x": np.zeros(4)}))
    code = (
        "import sys; from telerig.hardware.specs import *; from telerig.hardware.samples import Sample; import numpy as np\n"
        "from telerig.teleop.stream import *\n"
        "w = StreamWriter(StreamMemory(StreamSpec('s/s', (ArraySpec('x', (4,)),), 100.0), int(sys.argv[1])))\n"
        "for k in range(150_000): w._memory.publish(2 + k)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(memory.fd)], pass_fds=[memory.fd]) as child:
        last = looks = 0
        while child.poll() is None:
            for _ in range(1000):
                last, before = memory.written, last
                looks += 1
                assert last >= before, "a robot would be held for a stream that is well"
    assert child.returncode == 0
    assert looks > 1000
    assert reader.written == 150_001
