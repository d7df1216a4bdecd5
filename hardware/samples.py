"""One measurement with every instant that is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.specs import FLAG_SPACED, FLAG_VALID_KNOWN, NONE, ArraySpec, StreamSpec

Value = NDArray[Any] | bytes


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


def pack(sample: Sample, spec: StreamSpec, record: Any, seq: int) -> None:
    """Write a sample into a record (a numpy void of ``spec.dtype``, possibly in shared memory).

    :raises ValueError: a blob is longer than its field, or an array has another shape.
    """
    flags = FLAG_SPACED if sample.spaced else 0
    record["seq"] = seq
    record["seq_device"] = NONE if sample.seq_device is None else sample.seq_device
    record["t_device"] = NONE if sample.t_device is None else sample.t_device
    record["t_arrival"] = sample.t_arrival
    record["t_sample"] = sample.t_sample
    record["sigma_t"] = sample.sigma_t
    if sample.valid is not None:
        flags |= FLAG_VALID_KNOWN
        record["valid"] = np.packbits(sample.valid, bitorder="little")
    record["flags"] = flags
    for item in spec.fields:
        value = sample.data[item.name]
        if isinstance(item, ArraySpec):
            record[item.name] = value
        else:
            blob = bytes(value)
            if len(blob) > item.max_bytes:
                raise ValueError(f"{spec.name}: '{item.name}' has {len(blob)} bytes, at most {item.max_bytes} fit")
            record[f"{item.name}_size"] = len(blob)
            _bytes(record)[(offset := _offset(record, item.name)) : offset + len(blob)] = np.frombuffer(blob, np.uint8)


def _bytes(record: Any) -> NDArray[np.uint8]:
    """A record's memory as bytes: a void field read or written whole would copy (and pad) all of its maximum length."""
    view: NDArray[np.uint8] = record.reshape(1).view(np.uint8)
    return view


def _offset(record: Any, name: str) -> int:
    return int(record.dtype.fields[name][1])


def unpack(spec: StreamSpec, record: Any) -> Sample:
    """Read a sample out of a record; every array is a copy."""
    data: dict[str, Value] = {}
    for item in spec.fields:
        if isinstance(item, ArraySpec):
            data[item.name] = np.array(record[item.name])
        else:
            size = min(int(record[f"{item.name}_size"]), item.max_bytes)
            data[item.name] = _bytes(record)[(offset := _offset(record, item.name)) : offset + size].tobytes()
    flags = int(record["flags"])
    valid = None
    if flags & FLAG_VALID_KNOWN:
        valid = np.unpackbits(record["valid"], count=spec.valid_size, bitorder="little").astype(bool)
    device_seq, device_t = int(record["seq_device"]), int(record["t_device"])
    return Sample(
        spec.name, int(record["t_arrival"]), int(record["t_sample"]), data, int(record["sigma_t"]),
        None if device_t == NONE else device_t, None if device_seq == NONE else device_seq,
        valid, bool(flags & FLAG_SPACED), int(record["seq"]),
    )
