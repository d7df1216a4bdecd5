"""One measurement with every instant that is known about it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.specs import FLAG_SPACED, FLAG_VALID_KNOWN, NONE, StreamSpec

Value = NDArray[Any] | bytes
_HEAD = struct.Struct("<QqqqqqI4x")  # specs.HEADER, padded
_SIZE = struct.Struct("<I")
_ALIGN = 8


class Sample(NamedTuple):
    """One sample of one stream.  Immutable; a tuple, because thousands are made a second on the control path.

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
        """A numeric field; read-only where it came from a stream.  :raises TypeError: the field is a blob."""
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


def _padded(size: int) -> int:
    return (size + _ALIGN - 1) // _ALIGN * _ALIGN


class Layout:
    """A stream's record in memory, with everything that can be worked out once worked out once.

    Header (:data:`~telerig.hardware.specs.HEADER`), valid bits, arrays, each at a multiple of eight bytes; then, per blob,
    its size and its bytes.  One copy in, one copy out: this runs thousands of times a second on the control path.

    :ivar size: of a record, bytes.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self._valid_bits = spec.valid_size
        self._valid_bytes = (self._valid_bits + 7) // 8
        self._no_valid = bytes(_padded(self._valid_bytes))
        self._arrays = []
        at = _HEAD.size + len(self._no_valid)
        for a in spec.arrays:
            dtype = np.dtype(a.dtype)
            size = dtype.itemsize * a.size
            self._arrays.append((a.name, dtype, a.shape, at, bytes(_padded(size) - size)))
            at += _padded(size)
        self._fixed = at
        self._blobs = []
        for b in spec.blobs:
            self._blobs.append((b.name, b.max_bytes, at, at + _SIZE.size))
            at += _padded(_SIZE.size + b.max_bytes)
        self.size = at

    def pack_into(self, buffer: memoryview, at: int, sample: Sample, seq: int) -> None:
        """Write a sample's record.

        :raises ValueError: a blob is longer than its field, or an array or the valid bits have another shape.
        """
        flags = FLAG_SPACED if sample.spaced else 0
        valid = self._no_valid
        if sample.valid is not None:
            flags |= FLAG_VALID_KNOWN
            if sample.valid.size != self._valid_bits:
                raise ValueError(f"{self.spec.name}: {sample.valid.size} valid bits for {self._valid_bits} elements")
            valid = np.packbits(sample.valid, bitorder="little").tobytes().ljust(len(valid), b"\0")
        device_seq = NONE if sample.seq_device is None else sample.seq_device
        device_t = NONE if sample.t_device is None else sample.t_device
        head = _HEAD.pack(seq, device_seq, device_t, sample.t_arrival, sample.t_sample, sample.sigma_t, flags)
        pieces, data = [head, valid], sample.data
        for name, dtype, shape, _, padding in self._arrays:
            value = data[name]
            if type(value) is not np.ndarray or value.dtype is not dtype or value.shape != shape:
                value = np.asarray(value, dtype)
                if value.shape != shape:
                    raise ValueError(f"{self.spec.name}: '{name}' has shape {value.shape}, {shape} is right")
            pieces.append(value.tobytes())
            if padding:
                pieces.append(padding)
        buffer[at : at + self._fixed] = b"".join(pieces)
        for name, most, size_at, offset in self._blobs:
            blob = bytes(data[name])
            if len(blob) > most:
                raise ValueError(f"{self.spec.name}: '{name}' has {len(blob)} bytes, at most {most} fit")
            _SIZE.pack_into(buffer, at + size_at, len(blob))
            buffer[at + offset : at + offset + len(blob)] = blob

    def unpack_from(self, buffer: memoryview, at: int) -> Sample:
        """Read a record; nothing of the sample refers to ``buffer``, and its arrays are read-only."""
        raw = bytes(buffer[at : at + self._fixed])
        seq, device_seq, device_t, arrival, instant, sigma, flags = _HEAD.unpack_from(raw)
        data: dict[str, Value] = {}
        for name, dtype, shape, offset, _ in self._arrays:
            data[name] = np.ndarray(shape, dtype, raw, offset)
        for name, most, size_at, offset in self._blobs:
            size = min(_SIZE.unpack_from(buffer, at + size_at)[0], most)
            data[name] = bytes(buffer[at + offset : at + offset + size])
        valid = None
        if flags & FLAG_VALID_KNOWN:
            bits = np.frombuffer(raw, np.uint8, self._valid_bytes, _HEAD.size)
            valid = np.unpackbits(bits, count=self._valid_bits, bitorder="little").view(np.bool_)
            valid.flags.writeable = False
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
