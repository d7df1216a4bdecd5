"""The raw log: every sample comes back bit for bit, and what others' readers see is what was written."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.records import Footer, Message, Schema
from mcap.stream_reader import StreamReader

from telerig.datasets.rawlog_codec import SampleCodec
from telerig.datasets.rawlog_columns import columns_of, decode_columns
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.rawlog_schema import CALIBRATION, EVENT, IMAGE, VECTOR
from telerig.datasets.rawlog_writer import EpisodeWriter
from telerig.hardware import commands, events
from telerig.hardware.errors import DataError
from telerig.hardware.samples import Sample
from telerig.hardware.specs import NONE, ArraySpec, BlobSpec, StreamSpec

DTYPES = ("<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "<u8", "<u4", "<u2", "u1", "?", ">f8", ">i4")
INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


@st.composite
def specs(draw):
    names = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5, unique=True))
    fields = []
    for name in names:
        if draw(st.integers(0, 5)) == 0:
            fields.append(BlobSpec(name, 200, draw(st.sampled_from(["application/json", "image/jpeg", "text/plain"]))))
        else:
            shape = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
            fields.append(
                ArraySpec(name, shape, draw(st.sampled_from(DTYPES)), "rad", frame=draw(st.sampled_from(["", "hand"])))
            )
    return StreamSpec(draw(st.sampled_from(["dev/x", "dev/events"])), tuple(fields), 100.0)


@st.composite
def samples(draw, spec):
    data = {}
    for f in spec.fields:
        if isinstance(f, ArraySpec):
            dtype = np.dtype(f.dtype)
            raw = draw(st.binary(min_size=f.size * dtype.itemsize, max_size=f.size * dtype.itemsize))
            if dtype.kind == "b":
                raw = bytes(b & 1 for b in raw)
            array = np.frombuffer(raw, dtype).reshape(f.shape)
            if f.dtype == "<f2":  # widened on the wire: a signalling NaN becomes a quiet one
                array = np.where(np.isnan(array), np.float16("nan"), array).astype("<f2").reshape(f.shape)
            data[f.name] = array
        else:
            data[f.name] = draw(st.binary(max_size=200))
    valid = draw(st.none() | st.binary(min_size=spec.valid_size, max_size=spec.valid_size))
    return Sample(
        spec.name,
        draw(INT64),
        draw(INT64),
        data,
        draw(INT64),
        draw(st.none() | INT64),
        draw(st.none() | INT64),
        None if valid is None else np.frombuffer(valid, np.uint8) % 2 == 1,
        draw(st.booleans()),
        draw(st.integers(-1, 2**40)),
    )


def same(a: Sample, b: Sample) -> None:
    for key in ("stream", "t_arrival", "t_sample", "sigma_t", "t_device", "seq_device", "spaced", "seq"):
        assert getattr(a, key) == getattr(b, key), key
    assert (a.valid is None) == (b.valid is None)
    if a.valid is not None:
        assert np.array_equal(a.valid, b.valid)
    assert list(a.data) == list(b.data)
    for name, value in a.data.items():
        other = b.data[name]
        if isinstance(value, bytes):
            assert value == other
        else:
            assert value.dtype == other.dtype
            assert value.shape == other.shape
            assert value.tobytes() == other.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_sample_comes_back_bit_for_bit(data):
    spec = data.draw(specs())
    sample = data.draw(samples(spec))
    codec = SampleCodec(spec)
    same(codec.decode(codec.encode(sample)), sample)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_samples_come_back_from_a_file_in_order(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.mcap"
    spec = data.draw(specs())
    written = data.draw(st.lists(samples(spec), max_size=6))
    with EpisodeWriter(path, [spec], {"k": 1}) as writer:
        for sample in written:
            writer.write(spec.name, sample)
    with RawLog(path) as log:
        assert log.complete
        assert log.specs == {spec.name: spec}
        assert log.meta == {"k": 1, "schema_version": 1}
        read = list(log.samples())
        assert len(read) == len(written)
        for a, b in zip(written, read, strict=True):
            same(a, b)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_columns_agree_with_samples(data):
    spec = data.draw(specs())
    written = data.draw(st.lists(samples(spec), min_size=1, max_size=5))
    codec = SampleCodec(spec)
    got = decode_columns(codec, [codec.encode(s) for s in written])
    want = columns_of(spec, written)
    for key in ("seq", "seq_device", "t_device", "t_arrival", "t_sample", "sigma_t", "spaced", "valid", "valid_known"):
        assert np.array_equal(getattr(got, key), getattr(want, key)), key
    assert list(got.fields) == list(want.fields)
    for name, value in want.fields.items():
        assert got.fields[name].tobytes() == value.tobytes()
        assert got.fields[name].shape == value.shape
    assert all((got.t_device[i] == NONE) == (s.t_device is None) for i, s in enumerate(written))


def message_class(schema: Schema):
    files = descriptor_pb2.FileDescriptorSet.FromString(schema.data)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name))


@pytest.fixture
def mixed(tmp_path):
    """A log with one stream of each kind."""
    joints = StreamSpec(
        "arm/state",
        (
            ArraySpec("position", (2,), "<f8", "rad", ("a", "b"), "base"),
            ArraySpec("mode", (), "<u1"),
            ArraySpec("big", (), "<u8"),
        ),
        250.0,
    )
    meta = {"width": 64, "height": 48, "fx": 50.0, "fy": 51.0, "cx": 32.0, "cy": 24.0}
    color = StreamSpec("head/color", (BlobSpec("jpeg", 1000, "image/jpeg", "head_cam", meta),), 30.0)
    event = events.event_stream("arm")
    path = tmp_path / "mixed.mcap"
    t = 1_700_000_000_123_456_789
    with EpisodeWriter(path, [joints, color, event], {"host": "h"}, t_start=t) as writer:
        data = {"position": np.array([0.1, np.nan]), "mode": np.uint8(3), "big": np.uint64(2**64 - 1)}
        writer.write("arm/state", Sample("arm/state", t + 5, t, data, 7, 11, 12, np.array([1, 0, 1, 1], bool), True, 9))
        writer.write("head/color", Sample("head/color", t + 6, t + 1, {"jpeg": b"\xff\xd8jpeg"}, seq=1))
        sample = events.to_sample(events.Event(t + 8, events.Level.WARNING, "arm", "arm.hot", "it is hot", {"c": 71}))
        writer.write("arm/events", sample)
    return path, t


def test_the_protobuf_library_reads_the_same_values_with_the_embedded_descriptors(mixed):
    path, t = mixed
    schemas, channels, found = {}, {}, {}
    with open(path, "rb") as file:
        for record in StreamReader(file, validate_crcs=True).records:
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif type(record).__name__ == "Channel":
                channels[record.id] = record
            elif isinstance(record, Message):
                channel = channels[record.channel_id]
                assert channel.message_encoding == "protobuf"
                schema = schemas[channel.schema_id]
                assert schema.encoding == "protobuf"
                found[channel.topic] = (schema.name, record, message_class(schema).FromString(record.data))
    name, record, vector = found["arm/state"]
    assert (name, record.log_time, record.publish_time, record.sequence) == (VECTOR, t + 5, t, 9)
    assert (vector.stamp.seq_device, vector.stamp.t_device, vector.stamp.valid) == (12, 11, b"\x0d")
    assert vector.stamp.spaced
    assert (vector.doubles[0], list(vector.integers)) == (0.1, [3, -1])
    assert np.isnan(vector.doubles[1])
    name, record, image = found["head/color"]
    assert (name, image.format, image.frame_id, image.data) == (IMAGE, "jpeg", "head_cam", b"\xff\xd8jpeg")
    assert image.timestamp.seconds * 10**9 + image.timestamp.nanos == t + 1
    assert not image.telerig.stamp.HasField("t_device")
    name, _, event = found["arm/events"]
    assert (name, event.level, event.code, event.text, event.data) == (
        EVENT,
        "warning",
        "arm.hot",
        "it is hot",
        '{"c": 71}',
    )
    name, record, calibration = found["head/color/calibration"]
    assert (name, calibration.width, list(calibration.K)) == (CALIBRATION, 64, [50.0, 0, 32, 0, 51, 24, 0, 0, 1])


def test_foxgloves_own_image_type_reads_the_image_and_skips_the_rest(mixed):
    from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage

    with RawLog(mixed[0]) as log:
        image = CompressedImage.FromString(log.payloads("head/color")[0])
    assert (image.format, image.data) == ("jpeg", b"\xff\xd8jpeg")


def test_the_summary_satisfies_mcaps_indexed_reader_and_metadata_names_the_columns(mixed):
    with open(mixed[0], "rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        assert summary.statistics.message_count == 4
        assert {c.topic for c in summary.channels.values()} == {
            "arm/state",
            "head/color",
            "head/color/calibration",
            "arm/events",
        }
        meta = next(c.metadata for c in summary.channels.values() if c.topic == "arm/state")
        assert json.loads(meta["doubles"]) == ["position[a]", "position[b]"]
        assert json.loads(meta["doubles_units"]) == ["rad", "rad"]
        assert json.loads(meta["integers"]) == ["mode", "big"]
        assert json.loads(meta["frames"]) == {"position": "base"}
        assert sum(1 for _ in reader.iter_messages()) == 4
        assert [m.name for m in reader.iter_metadata()] == ["telerig.session"]


def test_the_summarys_checksum_is_right(mixed):
    with open(mixed[0], "rb") as file:
        footer = next(r for r in StreamReader(file).records if isinstance(r, Footer))
    content = mixed[0].read_bytes()
    end = len(content) - 8 - 4  # closing magic, the checksum itself
    assert footer.summary_crc == zlib.crc32(content[footer.summary_start : end])


def test_commands_survive_the_log(tmp_path):
    target = commands.TargetSpec("r/upper", commands.Mode.JOINT_POSITION, ("a",), (-1,), (1,), (1,), (1,), (0,))
    command = commands.Command(
        4, "r/upper", commands.Mode.HOLD, np.array([0.25]), commands.Source.POLICY, 50, (30, 40), 99
    )
    spec = commands.command_stream(target, "sent", 200.0)
    with EpisodeWriter(tmp_path / "c.mcap", [spec], {}) as writer:
        writer.write(spec.name, commands.to_sample(command, spec.name))
    with RawLog(tmp_path / "c.mcap") as log:
        back = commands.from_sample(next(log.samples()))
    assert back.data == command.data
    for key in ("seq", "target", "mode", "source", "t_issued", "t_inputs", "ttl_ns"):
        assert getattr(back, key) == getattr(command, key)


def test_a_log_is_never_overwritten_and_bad_samples_write_nothing(mixed, tmp_path):
    with pytest.raises(DataError, match="exists already"):
        EpisodeWriter(mixed[0], [], {})
    spec = StreamSpec("x/y", (ArraySpec("v", (3,)),), 1.0)
    with EpisodeWriter(tmp_path / "b.mcap", [spec], {}) as writer:
        with pytest.raises(ValueError, match="2 elements, its spec says 3"):
            writer.write("x/y", Sample("x/y", 1, 1, {"v": np.zeros(2)}))
        with pytest.raises(KeyError):
            writer.write("nobody", Sample("nobody", 1, 1, {}))
    with RawLog(tmp_path / "b.mcap") as log:
        assert log.counts == {"x/y": 0}


def test_what_is_no_log_is_refused_in_one_line(tmp_path, mixed):
    for name, content in (("empty", b""), ("text", b"hello world"), ("cut", mixed[0].read_bytes()[:40])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as caught:
            RawLog(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        RawLog(tmp_path / "nothing")
    with RawLog(mixed[0]) as log, pytest.raises(DataError, match="no stream 'x'"):
        log.columns("x")


def test_a_full_disk_is_an_error_not_a_loss(tmp_path, monkeypatch):
    import os

    spec = StreamSpec("x/y", (ArraySpec("v", (1,)),), 1.0)
    writer = EpisodeWriter(tmp_path / "d.mcap", [spec], {})
    writer.write("x/y", Sample("x/y", 1, 1, {"v": np.zeros(1)}))

    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DataError, match="No space left"):
        writer.flush()
    with pytest.raises(DataError, match="No space left"):
        writer.close()
