"""All samples of a numeric stream at once: a log holds hundreds of thousands, too many to decode one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.rawlog_codec import SampleCodec
from telerig.datasets.rawlog_schema import IMAGE, VECTOR
from telerig.hardware.samples import Sample
from telerig.hardware.specs import NONE, StreamSpec

_STAMP_AT = {"seq": 1, "t_arrival": 10, "t_sample": 19, "sigma_t": 28}  # after their tag bytes, see rawlog_codec
_SPACED_AT = 37
_STAMP_SIZE = 38


@dataclass(frozen=True, slots=True)
class Columns:
    """All samples of one numeric stream, column by column; N rows in the order of the log.

    ``t_device`` and ``seq_device`` are :data:`~telerig.hardware.specs.NONE` where the device has none.  ``valid`` is
    (N, elements), true where nothing is known; ``valid_known`` (N,) says where something is.  ``fields`` holds
    (N, *shape) arrays by field name.
    """

    seq: NDArray[np.int64]
    seq_device: NDArray[np.int64]
    t_device: NDArray[np.int64]
    t_arrival: NDArray[np.int64]
    t_sample: NDArray[np.int64]
    sigma_t: NDArray[np.int64]
    spaced: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    valid_known: NDArray[np.bool_]
    fields: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.t_sample)


def decode_columns(codec: SampleCodec, messages: Sequence[bytes]) -> Columns:
    """Decode all messages of one stream, but for blobs.  :raises DataError: one is not a message of this stream."""
    fast = None
    if len(messages) > 1 and (codec.schema == IMAGE or (codec.schema == VECTOR and not codec.spec.blobs)):
        fast = _decode_uniform(codec, [codec.vector_part(m) for m in messages] if codec.schema == IMAGE else messages)
    return fast or columns_of(codec.spec, [codec.decode(m) for m in messages])


def columns_of(spec: StreamSpec, samples: Sequence[Sample]) -> Columns:
    """The same from samples."""

    def instants(values: list[int]) -> NDArray[np.int64]:
        return np.array(values, np.int64)

    n = len(samples)
    unknown = np.ones(spec.valid_size, bool)
    valid = [unknown if s.valid is None else s.valid for s in samples]
    fields = {
        a.name: np.array([s.data[a.name] for s in samples], a.dtype).reshape(n, *a.shape) for a in spec.arrays
    }  # fmt: skip
    return Columns(
        instants([s.seq for s in samples]),
        instants([NONE if s.seq_device is None else s.seq_device for s in samples]),
        instants([NONE if s.t_device is None else s.t_device for s in samples]),
        instants([s.t_arrival for s in samples]),
        instants([s.t_sample for s in samples]),
        instants([s.sigma_t for s in samples]),
        np.array([s.spaced for s in samples], bool),
        np.array(valid, bool).reshape(n, spec.valid_size),
        np.array([s.valid is not None for s in samples], bool),
        fields,
    )


def _decode_uniform(codec: SampleCodec, messages: Sequence[bytes]) -> Columns | None:
    """All messages through one structured dtype, if they are laid out alike (as telerig writes them); else None."""
    first = messages[0]
    if any(len(m) != len(first) for m in messages):
        return None
    layout = _layout(codec, first)
    if layout is None:
        return None
    dtype, optional = layout
    constant = np.ones(len(first), bool)  # tags and lengths, which must be the same in every message
    for name in dtype.names or ():
        kind, at = dtype.fields[name][:2]  # type: ignore[index]
        constant[at : at + kind.itemsize] = False
    raw = np.frombuffer(b"".join(messages), np.uint8).reshape(len(messages), -1)
    if not (raw[:, constant] == raw[0, constant]).all():
        return None
    rows = raw.reshape(-1).view(dtype)
    return _assemble(codec, rows, optional)


def _layout(codec: SampleCodec, first: bytes) -> tuple[np.dtype[Any], set[str]] | None:
    """Where each value stands in a message like this one; None if telerig's own writer did not lay it out."""
    if len(first) < 2 + _STAMP_SIZE or first[0] != 0x0A or first[1] > 0x7F:
        return None
    base, end = 2, 2 + first[1]
    names, formats, offsets = list(_STAMP_AT), ["<i8"] * len(_STAMP_AT), [base + at for at in _STAMP_AT.values()]
    names, formats, offsets = [*names, "spaced"], [*formats, "u1"], [*offsets, base + _SPACED_AT]
    at, optional = base + _STAMP_SIZE, set()
    for tag, name in ((0x11, "seq_device"), (0x19, "t_device")):
        if at < end and first[at] == tag:
            names, formats, offsets = [*names, name], [*formats, "<i8"], [*offsets, at + 1]
            optional.add(name)
            at += 9
    n_bits = (codec.spec.valid_size + 7) // 8
    if at < end and first[at] == 0x42:
        names, formats, offsets = [*names, "valid"], [*formats, f"({n_bits},)u1"], [*offsets, at + 2]
        optional.add("valid")
        at += 2 + n_bits
    for head, dtype, items in codec.plan:
        if first[at : at + len(head)] != head:
            return None
        at += len(head)
        size = sum(a.size for a in items)
        names, formats, offsets = [*names, f"g{dtype.str}"], [*formats, f"({size},){dtype.str}"], [*offsets, at]
        at += size * dtype.itemsize
    if at != len(first):
        return None
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": len(first)}), optional


def _assemble(codec: SampleCodec, rows: NDArray[Any], optional: set[str]) -> Columns:
    n, spec = len(rows), codec.spec
    missing = np.full(n, NONE, np.int64)
    fields: dict[str, NDArray[Any]] = {}
    for _, dtype, items in codec.groups:
        at = 0
        for item in items:
            flat = rows[f"g{dtype.str}"][:, at : at + item.size] if item.size else np.zeros((n, 0))
            fields[item.name] = flat.reshape(n, *item.shape).astype(item.dtype)
            at += item.size
    valid = np.ones((n, spec.valid_size), bool)
    if "valid" in optional:
        valid = np.unpackbits(rows["valid"], axis=1, count=spec.valid_size, bitorder="little").astype(bool)
    return Columns(
        rows["seq"].copy(),
        rows["seq_device"].copy() if "seq_device" in optional else missing,
        rows["t_device"].copy() if "t_device" in optional else missing.copy(),
        rows["t_arrival"].copy(),
        rows["t_sample"].copy(),
        rows["sigma_t"].copy(),
        rows["spaced"].astype(bool),
        valid,
        np.full(n, "valid" in optional),
        {a.name: fields[a.name] for a in spec.arrays},
    )
