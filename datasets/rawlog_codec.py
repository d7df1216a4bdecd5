"""Samples to and from the raw log's protobuf messages, bit for bit.

The wire format is written by hand, because a numeric message must cost a few microseconds at some thousand a second;
the tests read it back with the protobuf library and the embedded descriptors.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from telerig.datasets.rawlog_schema import EVENT, EXTRA, IMAGE, descriptor_set, image_format, kind_of
from telerig.hardware.errors import DataError
from telerig.hardware.samples import Sample, Value
from telerig.hardware.specs import ArraySpec, StreamSpec

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf wire types
# tag byte = number << 3 | wire type; sfixed64 are wire type 1
_STAMP = struct.Struct("<BqBqBqBqBB")
_OPTIONAL = struct.Struct("<Bq")
_GROUPS = (("doubles", 2, np.dtype("<f8")), ("floats", 3, np.dtype("<f4")), ("integers", 4, np.dtype("<i8")))
_EVENT_TEXTS = (("level", 2), ("source", 3), ("code", 4), ("text", 5))


def varint(value: int) -> bytes:
    """A protobuf varint; negative numbers as their 64-bit two's complement."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [varint(n) for n in range(512)]  # lengths of stamps and valid bits


def _tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def _delimited(number: int, body: bytes) -> bytes:
    return _tag(number, _BYTES) + varint(len(body)) + body


def walk(data: bytes) -> Iterator[tuple[int, Any]]:
    """``(field number, value)`` of every field of a message: int for varints and sfixed64, bytes for delimited ones.

    :raises DataError: the bytes are no protobuf message.
    """
    at, end = 0, len(data)
    try:
        while at < end:
            key, at = _read_varint(data, at)
            wire = key & 7
            if wire == _BYTES:
                size, at = _read_varint(data, at)
                if at + size > end:
                    raise DataError(f"message cut short: field {key >> 3} has {size} bytes, {end - at} are left")
                yield key >> 3, data[at : at + size]
                at += size
            elif wire == _FIXED64:
                yield key >> 3, struct.unpack_from("<q", data, at)[0]
                at += 8
            elif wire == _VARINT:
                value, at = _read_varint(data, at)
                yield key >> 3, value
            elif wire == _FIXED32:
                yield key >> 3, struct.unpack_from("<i", data, at)[0]
                at += 4
            else:
                raise DataError(f"not a protobuf message: wire type {wire} at byte {at}")
    except (IndexError, struct.error) as error:
        raise DataError(f"message cut short: {error}")


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _group(item: ArraySpec) -> str:
    """Which packed field a numeric field's values go to; float16 fits into float32 exactly."""
    dtype = np.dtype(item.dtype)
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return "doubles" if dtype.itemsize == 8 else "floats"
    if dtype.kind in "iub":
        return "integers"
    raise ValueError(f"field '{item.name}' has dtype {item.dtype}, a log takes floats up to 64 bit, integers and bools")


class SampleCodec:
    """One stream's samples as messages of one channel.

    :param spec: the stream's layout.
    :raises ValueError: a field has a dtype that the log cannot hold.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.schema = kind_of(spec)
        self.groups = [
            (number, dtype, [a for a in spec.arrays if _group(a) == name]) for name, number, dtype in _GROUPS
        ]
        self._sizes = {a.name: a.size for a in spec.arrays}
        self._native = {a.name: np.dtype(a.dtype) for a in spec.arrays}
        self._image = spec.blobs[0] if self.schema == IMAGE else None
        if self._image is not None:
            self._image_head = _delimited(3, image_format(self._image).encode())
            if self._image.frame:
                self._image_head += _delimited(4, self._image.frame.encode())
        # ArraySpec.size computes a product each time: too slow for a few thousand samples a second
        self.plan = [
            (_tag(number, _BYTES) + varint(dtype.itemsize * sum(a.size for a in items)), dtype, items)
            for number, dtype, items in self.groups
            if sum(a.size for a in items)
        ]
        self._fast = [
            (head, [(a.name, a.size, np.dtype(a.dtype), dtype) for a in items]) for head, dtype, items in self.plan
        ]
        self._blob_names = [] if self._image is not None else [b.name for b in spec.blobs]

    @property
    def schema_data(self) -> bytes:
        """The FileDescriptorSet that belongs into the MCAP schema record."""
        return descriptor_set(self.schema)

    def metadata(self) -> dict[str, str]:
        """The channel's metadata: the exact ``spec``, and for people the name and unit of every packed number."""
        out = {"spec": json.dumps(self.spec.to_json(), sort_keys=True)}
        for (name, _, _), (_, _, items) in zip(_GROUPS, self.groups, strict=True):
            if items:
                out[name] = json.dumps([f"{a.name}[{e}]" if e else a.name for a in items for e in element_names(a)])
                out[f"{name}_units"] = json.dumps([a.unit for a in items for _ in range(a.size)])
        frames = {f.name: f.frame for f in self.spec.fields if f.frame}
        return out | ({"frames": json.dumps(frames, sort_keys=True)} if frames else {})

    def encode(self, sample: Sample) -> bytes:
        """One message.  :raises ValueError: a field is missing or has another size than its spec says."""
        if self.schema == EVENT:
            return self._encode_event(sample)
        body = _encode_stamp(sample)
        pieces = [b"\x0a", _SMALL[len(body)] if len(body) < len(_SMALL) else varint(len(body)), body]
        data = sample.data
        for head, items in self._fast:
            pieces.append(head)
            for name, size, native, wire in items:
                array = np.asarray(data[name], native)
                if array.size != size:
                    raise ValueError(f"{self.spec.name}: '{name}' has {array.size} elements, its spec says {size}")
                pieces.append(array.tobytes() if native is wire else array.astype(wire, copy=False).tobytes())
        for name in self._blob_names:
            blob = sample.blob(name)
            pieces += (b"\x2a", varint(len(blob)), blob)
        if self._image is None:
            return b"".join(pieces)
        vector = b"".join(pieces)
        image = sample.blob(self._image.name)
        seconds, nanos = divmod(sample.t_sample, 1_000_000_000)
        instant = (b"\x08" + varint(seconds) if seconds else b"") + (b"\x10" + varint(nanos) if nanos else b"")
        stamp = _delimited(1, instant) + self._image_head + _delimited(EXTRA, vector)
        return b"".join((stamp, b"\x12", varint(len(image)), image))

    def vector_part(self, data: bytes) -> bytes:
        """The ``telerig.Vector`` inside an image's message, without touching the image (which comes last)."""
        return next((value for number, value in walk(data) if number == EXTRA), b"")

    def image_part(self, data: bytes) -> bytes:
        """The encoded image inside an image's message."""
        return next((value for number, value in walk(data) if number == 2), b"")

    def _encode_event(self, sample: Sample) -> bytes:
        raw = sample.blob(self.spec.blobs[0].name)
        out = _delimited(1, _encode_stamp(sample))
        try:  # for people and viewers; what counts is the exact text in `json`
            body = json.loads(raw)
            out += b"".join(_delimited(n, str(body[key]).encode()) for key, n in _EVENT_TEXTS)
            out += _delimited(6, json.dumps(body.get("data", {})).encode())
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        return out + _delimited(7, raw)

    def decode(self, data: bytes) -> Sample:
        """The inverse of :meth:`encode`.  :raises DataError: the bytes are not a message of this stream."""
        values: dict[str, Value] = {}
        message = list(walk(data))
        if self._image is not None:
            found = dict(message)
            values[self._image.name] = found.get(2, b"")
            message = list(walk(found.get(EXTRA, b"")))
        parts = dict(message)
        if 1 not in parts:
            raise DataError(f"{self.spec.name}: message without a stamp")
        if self.schema == EVENT:
            values[self.spec.blobs[0].name] = parts.get(7, b"")
        else:
            for number, dtype, items in self.groups:
                self._split(parts.get(number, b""), dtype, items, values)
            if self._image is None:
                blobs = [value for number, value in message if number == 5]
                values |= {b.name: v for b, v in zip(self.spec.blobs, blobs, strict=True)}
        ordered = {f.name: values[f.name] for f in self.spec.fields}
        return _decode_stamp(parts[1], self.spec, ordered)

    def _split(self, data: bytes, dtype: np.dtype[Any], items: Sequence[ArraySpec], out: dict[str, Value]) -> None:
        wanted = dtype.itemsize * sum(self._sizes[a.name] for a in items)
        if len(data) != wanted:
            raise DataError(f"{self.spec.name}: message holds {len(data)} bytes of {dtype}, its spec says {wanted}")
        flat, at = np.frombuffer(data, dtype), 0
        for item in items:
            size = self._sizes[item.name]
            part = flat[at : at + size].reshape(item.shape)
            at += size
            out[item.name] = part.astype(self._native[item.name])


def element_names(item: ArraySpec) -> list[str]:
    """The elements' names of an array, flat: axis names where declared, indices elsewhere, "" for a scalar."""
    if not item.shape:
        return [""]
    first = list(item.axes) or [str(i) for i in range(item.shape[0])]
    rest = [",".join(map(str, index)) for index in np.ndindex(*item.shape[1:])]
    return [f"{a},{r}" if r else a for a in first for r in rest]


def _encode_stamp(s: Sample) -> bytes:
    out = _STAMP.pack(0x09, s.seq, 0x21, s.t_arrival, 0x29, s.t_sample, 0x31, s.sigma_t, 0x38, s.spaced)
    if s.seq_device is not None:
        out += _OPTIONAL.pack(0x11, s.seq_device)
    if s.t_device is not None:
        out += _OPTIONAL.pack(0x19, s.t_device)
    if s.valid is not None:
        bits = np.packbits(s.valid, bitorder="little").tobytes()
        out += b"\x42" + (_SMALL[len(bits)] if len(bits) < len(_SMALL) else varint(len(bits))) + bits
    return out


def _decode_stamp(data: bytes, spec: StreamSpec, values: dict[str, Value]) -> Sample:
    f = dict(walk(data))
    valid = None
    if 8 in f:
        bits = np.frombuffer(f[8], np.uint8)
        if len(bits) != (spec.valid_size + 7) // 8:
            raise DataError(f"{spec.name}: {len(bits)} bytes of valid bits for {spec.valid_size} elements")
        valid = np.unpackbits(bits, count=spec.valid_size, bitorder="little").astype(bool)
    return Sample(
        spec.name,
        f.get(4, 0),
        f.get(5, 0),
        values,
        f.get(6, 0),
        f.get(3),
        f.get(2),
        valid,
        bool(f.get(7, 0)),
        f.get(1, 0),
    )
