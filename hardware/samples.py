"""One measurement with every instant that is known about it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.specs import FLAG_SPACED, FLAG_VALID_KNOWN, NONE, StreamSpec

Value = NDArray[Any] | bytes
_HEAD = struct.Struct("<QqqqqqI")  # specs.HEADER
_SIZE = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of one stream.

    All instants are int ns.  ``t_arrival`` and ``t_sample`` are on the session clock (monotonic plus one constant, so
    they read as Unix time); ``t_device`` is the device's own clock, or None.  ``valid`` has one bit an element of the
    numeric fields, in order; None where nobody knows.  An invalid float element is NaN, never zero.
    Drivers leave ``seq`` at -1: the stream's writer numbers samples.
    """

    stream: str
    t_arrival: int
    t_sample: int
    data: Mapping[str, Value]
    sigma_t: int = 0
    t_device: int | None = None
    seq_device: int | None = None
    valid: NDArray[np.bool_] | None = None
    spaced: bool = False
    seq: int = -1

    def array(self, name: str) -> NDArray[Any]:
        """A numeric field.  :raises TypeError: the field is a blob."""
        value = self.data[name]
        if isinstance(value, bytes):
            raise TypeError(f"{self.stream}: '{name}' is a blob")
        return value

    def blob(self, name: str) -> bytes:
        """An encoded field.  :raises TypeError: the field is numeric."""
        value = self.data[name]
        if not isinstance(value, bytes):
            raise TypeError(f"{self.stream}: '{name}' is numeric")
        return value


class Layout:
    """A stream's record in memory, with everything that can be worked out once worked out once.

    The bytes are those of ``spec.dtype``; plain ``struct`` and slices are several times quicker than numpy's record access,
    and this runs thousands of times a second on the control path.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        fields = spec.dtype.fields
        assert fields is not None
        self.size = spec.dtype.itemsize
        self._valid_at, self._valid_bytes = fields["valid"][1], (spec.valid_size + 7) // 8
        self._arrays = [
            (a.name, np.dtype(a.dtype), a.shape, a.size, fields[a.name][1], np.dtype(a.dtype).itemsize * a.size)
            for a in spec.arrays
        ]
        self._blobs = [(b.name, b.max_bytes, fields[f"{b.name}_size"][1], fields[b.name][1]) for b in spec.blobs]

    def pack_into(self, buffer: memoryview, at: int, sample: Sample, seq: int) -> None:
        """Write a sample's record.

        :raises ValueError: a blob is longer than its field, or an array has another shape.
        """
        flags = FLAG_SPACED if sample.spaced else 0
        if sample.valid is not None:
            flags |= FLAG_VALID_KNOWN
            first = at + self._valid_at
            buffer[first : first + self._valid_bytes] = np.packbits(sample.valid, bitorder="little").tobytes()
        device_seq = NONE if sample.seq_device is None else sample.seq_device
        device_t = NONE if sample.t_device is None else sample.t_device
        _HEAD.pack_into(buffer, at, seq, device_seq, device_t, sample.t_arrival, sample.t_sample, sample.sigma_t, flags)
        data = sample.data
        for name, dtype, shape, _, offset, size in self._arrays:
            value = data[name]
            if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
                value = np.asarray(value, dtype)
                if value.shape != shape:
                    raise ValueError(f"{self.spec.name}: '{name}' has shape {value.shape}, {shape} is right")
            buffer[at + offset : at + offset + size] = value.tobytes()
        for name, most, size_at, offset in self._blobs:
            blob = bytes(data[name])
            if len(blob) > most:
                raise ValueError(f"{self.spec.name}: '{name}' has {len(blob)} bytes, at most {most} fit")
            _SIZE.pack_into(buffer, at + size_at, len(blob))
            buffer[at + offset : at + offset + len(blob)] = blob

    def unpack_from(self, buffer: memoryview, at: int) -> Sample:
        """Read a record; every array is a copy."""
        seq, device_seq, device_t, arrival, instant, sigma, flags = _HEAD.unpack_from(buffer, at)
        data: dict[str, Value] = {}
        for name, dtype, shape, count, offset, _ in self._arrays:
            data[name] = np.frombuffer(buffer, dtype, count, at + offset).reshape(shape).copy()
        for name, most, size_at, offset in self._blobs:
            size = min(_SIZE.unpack_from(buffer, at + size_at)[0], most)
            data[name] = bytes(buffer[at + offset : at + offset + size])
        valid = None
        if flags & FLAG_VALID_KNOWN:
            bits = np.frombuffer(buffer, np.uint8, self._valid_bytes, at + self._valid_at)
            valid = np.unpackbits(bits, count=self.spec.valid_size, bitorder="little").view(np.bool_)
        return Sample(
            self.spec.name, arrival, instant, data, sigma, None if device_t == NONE else device_t,
            None if device_seq == NONE else device_seq, valid, bool(flags & FLAG_SPACED), seq,
        )  # fmt: skip


def round_trip(sample: Sample, spec: StreamSpec, seq: int = 0) -> Sample:
    """What a reader of the stream will see of a sample: the check every driver's samples have to pass.

    :raises ValueError: the sample does not fit its spec.
    """
    layout = Layout(spec)
    buffer = memoryview(bytearray(layout.size))
    layout.pack_into(buffer, 0, sample, seq)
    return layout.unpack_from(buffer, 0)
