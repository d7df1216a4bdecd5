"""Logs cut at any byte are closed again with every whole record; a killed recorder loses nothing that was closed."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.exceptions import EndOfFile
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.rawlog_writer import EpisodeWriter
from telerig.datasets.repair import repair
from telerig.hardware.errors import DataError
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, BlobSpec, StreamSpec

NUMBERS = StreamSpec("arm/state", (ArraySpec("position", (3,)),), 100.0)
IMAGES = StreamSpec("head/color", (BlobSpec("jpeg", 1 << 16, "image/jpeg"),), 30.0)


def write_log(path: Path, n: int = 40) -> list[int]:
    """A log of n numeric samples and some blobs; returns the arrivals written, in order."""
    times = []
    with EpisodeWriter(path, [NUMBERS, IMAGES], {"host": "h"}) as writer:
        for i in range(n):
            t = 10**9 + i * 10**7
            writer.write("arm/state", Sample("arm/state", t, t - 1, {"position": np.full(3, float(i))}, seq=i))
            times.append(t)
            if i % 3 == 0:
                writer.write("head/color", Sample("head/color", t, t, {"jpeg": bytes([i]) * 50}, seq=i))
                times.append(t)
    return times


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a.mcap"
    return path.parent, write_log(path), path.read_bytes()


def header_size(content: bytes) -> int:
    return 8 + 9 + int.from_bytes(content[9:17], "little")


def whole_messages(content: bytes) -> int:
    """How many messages are whole in a cut file, counted without telerig's own scanner."""
    at, count = 8, 0
    while at + 9 <= len(content):
        end = at + 9 + int.from_bytes(content[at + 1 : at + 9], "little")
        if end > len(content) or content[at] in (0x0F, 0x02):
            break
        count += content[at] == 0x05
        at = end
    return count


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_cut_keeps_every_whole_record(data, whole):
    folder, times, content = whole
    cut = data.draw(st.integers(0, len(content) - 1))
    path = folder / f"cut-{cut}.mcap"
    path.write_bytes(content[:cut])
    if cut < header_size(content):
        with pytest.raises(DataError):
            repair(path)
        assert path.read_bytes() == content[:cut]
        return
    expected = whole_messages(content[:cut])
    report = repair(path)
    assert report.messages == expected
    assert report.broken is not None
    assert report.broken.read_bytes() == content[:cut]
    with open(path, "rb") as file:
        found = [r.log_time for r in StreamReader(file, validate_crcs=True).records if type(r).__name__ == "Message"]
    assert found == times[:expected]
    with open(path, "rb") as file:
        assert make_reader(file).get_summary().statistics.message_count == expected
    assert repair(path).broken is None, "a repaired file is in order"
    report.broken.unlink()
    path.unlink()


def test_a_file_in_order_is_not_touched(whole, tmp_path):
    path = tmp_path / "fine.mcap"
    path.write_bytes(whole[2])
    before = path.stat()
    report = repair(path)
    assert (report.broken, report.dropped, report.messages) == (None, 0, len(whole[1]))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert list(tmp_path.iterdir()) == [path]


def test_zeros_behind_the_last_record_are_dropped(whole, tmp_path):
    """What a power cut leaves on some file systems: the size was updated, the data were not."""
    cut = whole[2][: len(whole[2]) // 2]
    path = tmp_path / "z.mcap"
    path.write_bytes(cut + bytes(5000))
    report = repair(path)
    assert report.messages == whole_messages(cut)
    assert report.dropped >= 5000
    with RawLog(path) as log:
        assert sum(log.counts.values()) == report.messages


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x05"
        + (30).to_bytes(8, "little")
        + b"\x63\x00"
        + bytes(range(28)),  # a message of a channel that is not there
        b"\x05" + (3).to_bytes(8, "little") + b"abc",  # a message shorter than its own header
        b"\x04"
        + (9).to_bytes(8, "little")
        + b"\x01\x00\x01\x00\xff\xff\xff\xff\x00",  # a channel that promises too much
    ],
    ids=["unknown channel", "short message", "torn channel"],
)
def test_whole_records_that_no_writer_wrote_are_dropped(whole, tmp_path, garbage):
    cut = whole[2][: len(whole[2]) // 2]
    path = tmp_path / "g.mcap"
    path.write_bytes(cut)
    end = len(cut) - repair(path).dropped
    path.write_bytes(cut[:end] + garbage)
    report = repair(path)
    assert report.dropped == len(garbage)
    assert report.messages == whole_messages(cut)
    with open(path, "rb") as file:
        assert len(list(make_reader(file).iter_messages())) == report.messages


def test_an_earlier_original_is_never_overwritten(whole, tmp_path):
    path = tmp_path / "a.mcap"
    for cut in (1000, 1500):
        path.write_bytes(whole[2][: len(whole[2]) - cut])
        repair(path)
    assert len(list(tmp_path.glob("a.mcap.broken*"))) == 2


def test_other_writers_chunked_files_are_closed_too(tmp_path):
    path = tmp_path / "c.mcap"
    with open(path, "wb") as file:
        writer = Writer(file, chunk_size=200, compression=CompressionType.ZSTD)
        writer.start()
        channel = writer.register_channel("t", "json", writer.register_schema("s", "jsonschema", b"{}"))
        for i in range(50):
            writer.add_message(channel, i, b"x" * 20, i)
        writer.finish()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    report = repair(path)
    with open(path, "rb") as file:
        found = [m.log_time for _, _, m in make_reader(file).iter_messages(log_time_order=False)]
    assert found == list(range(report.messages))
    assert report.messages > 10


def test_a_log_that_is_being_written_is_left_alone(tmp_path):
    path = tmp_path / "open.mcap"
    writer = EpisodeWriter(path, [NUMBERS], {})
    with pytest.raises(DataError, match="is being written"):
        repair(path)
    writer.close()
    assert repair(path).broken is None


KILLED = """
    import os, sys, numpy as np
    from pathlib import Path
    from telerig.datasets.recording import RecorderCore
    from telerig.datasets.session_folder import SessionInfo
    from telerig.hardware.samples import Sample
    from telerig.hardware.specs import ArraySpec, StreamSpec

    spec = StreamSpec("arm/state", (ArraySpec("position", (3,)),), 100.0)
    core = RecorderCore(Path(sys.argv[1]), [spec], SessionInfo("rig", {"name": "e", "version": 1}, 0), 0)
    t = 0
    def feed(n):
        global t
        for _ in range(n):
            t += 1_000_000
            core.take("arm/state", [Sample("arm/state", t, t, {"position": np.zeros(3)}, seq=t)])
    core.start(t, "first"); feed(500); core.keep(t, True)
    core.start(t, "second"); feed(300); core.label(False, t)
    core.sync()
    print(t, flush=True)
    while True:
        feed(10)
        core.clock_pair(1, 2, t)
"""


@pytest.mark.realtime
def test_kill_9_loses_nothing_closed_and_repair_finishes_the_rest(tmp_path):
    from telerig.datasets.repair import repair_session
    from telerig.datasets.session_folder import SessionFolder

    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "s")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    synced = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    folder = SessionFolder.open(tmp_path / "s")
    closed = folder.logs()
    assert [p.name for p in closed] == ["000001.mcap"]
    with RawLog(closed[0]) as log:
        assert log.complete
        assert log.counts["arm/state"] == 500
    assert len(folder.partials()) == 1
    with open(folder.partials()[0], "rb") as file:  # mcap's own reader sees all that was synced, before any repair
        seen = []
        with pytest.raises((EndOfFile, struct.error)):  # noqa: PT012
            for record in StreamReader(file).records:
                if type(record).__name__ == "Message" and record.sequence == record.log_time & 0xFFFFFFFF:
                    seen.append(record.log_time)
        assert max(seen) >= synced
    reports = repair_session(folder)
    assert {r.path.name for r in reports} == {"session.mcap", "000002.mcap"}
    assert folder.partials() == []
    from telerig.datasets.files import read_json

    second = read_json(folder.sidecar(folder.episodes / "000002.mcap"))
    assert (second["kept"], second["interrupted"], second["outcome"], second["task"]) == (
        False,
        True,
        "failure",
        "second",
    )
    with RawLog(folder.episodes / "000002.mcap") as log:
        arrivals = log.columns("arm/state").t_arrival
        assert np.array_equal(arrivals, 500_000_000 + 1_000_000 * np.arange(1, len(arrivals) + 1))
        assert arrivals[-1] >= synced
    assert repair_session(folder) == []
