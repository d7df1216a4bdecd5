"""What a stream's samples look like: arrays and blobs with names, units and frames, and one fixed memory layout.

Element order, units and frames are declared once, here, by whoever makes the data; nothing downstream guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

HEADER = (
    ("seq", "<u8"),  # the stream's own count, made by its writer, without gaps
    ("seq_device", "<i8"),  # the device's count, unwrapped; NONE where it has none
    ("t_device", "<i8"),  # ns, the device's clock; NONE where it has none
    ("t_arrival", "<i8"),  # ns, this host's session clock
    ("t_sample", "<i8"),  # ns, best estimate of when the world was measured
    ("sigma_t", "<i8"),  # ns, its uncertainty
    ("flags", "<u4"),
)
NONE = np.iinfo(np.int64).min
FLAG_VALID_KNOWN = 1  # the valid bits mean something
FLAG_SPACED = 2  # t_sample was spaced back by the nominal period: several frames came in one chunk


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One numeric array of a sample.

    :param axes: names of the elements along the first axis (joint names, say); empty or of length ``shape[0]``.
    :param low, high: physical range, one number for all or one an element of the first axis; None where unbounded.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "<f8"
    unit: str = ""
    axes: tuple[str, ...] = ()
    frame: str = ""
    low: float | tuple[float, ...] | None = None
    high: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.axes and (not self.shape or len(self.axes) != self.shape[0]):
            raise ValueError(f"{self.name}: {len(self.axes)} axis names for shape {self.shape}")

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape)) if self.shape else 1


@dataclass(frozen=True, slots=True)
class BlobSpec:
    """One encoded thing of varying length (a JPEG, a JSON text)."""

    name: str
    max_bytes: int
    media_type: str
    frame: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)  # width, height, intrinsics, depth unit …


FieldSpec = ArraySpec | BlobSpec


@dataclass(frozen=True)
class StreamSpec:
    """A stream's name (``device/what``), fields, nominal rate and how many seconds of it stay readable."""

    name: str
    fields: tuple[FieldSpec, ...]
    rate_hz: float
    capacity_s: float = 2.0

    @property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """The numeric fields."""
        return tuple(f for f in self.fields if isinstance(f, ArraySpec))

    @property
    def blobs(self) -> tuple[BlobSpec, ...]:
        """The encoded fields."""
        return tuple(f for f in self.fields if isinstance(f, BlobSpec))

    @cached_property
    def valid_size(self) -> int:
        """Number of ``valid`` bits: one an element of every numeric field, in order."""
        return sum(a.size for a in self.arrays)

    @cached_property
    def capacity(self) -> int:
        """Slots in the ring, at least 4."""
        return max(4, int(np.ceil(self.rate_hz * self.capacity_s)))

    def array(self, name: str) -> ArraySpec:
        """The numeric field of that name.  :raises KeyError: there is none."""
        for item in self.arrays:
            if item.name == name:
                return item
        raise KeyError(f"{self.name} has no numeric field '{name}'")

    def to_json(self) -> dict[str, Any]:
        """A plain description, stored in logs and handed to other processes."""
        fields: list[dict[str, Any]] = []
        for f in self.fields:
            if isinstance(f, ArraySpec):
                fields.append(
                    {
                        "kind": "array",
                        "name": f.name,
                        "shape": list(f.shape),
                        "dtype": f.dtype,
                        "unit": f.unit,
                        "axes": list(f.axes),
                        "frame": f.frame,
                        "low": f.low,
                        "high": f.high,
                    }
                )
            else:
                fields.append(
                    {
                        "kind": "blob",
                        "name": f.name,
                        "max_bytes": f.max_bytes,
                        "media_type": f.media_type,
                        "frame": f.frame,
                        "meta": dict(f.meta),
                    }
                )
        return {"name": self.name, "rate_hz": self.rate_hz, "capacity_s": self.capacity_s, "fields": fields}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> StreamSpec:
        """The inverse of :meth:`to_json`."""
        fields: list[FieldSpec] = []
        for f in data["fields"]:
            rest = {k: v for k, v in f.items() if k != "kind"}
            if f["kind"] == "array":
                for key in ("shape", "axes"):
                    rest[key] = tuple(rest[key])
                for key in ("low", "high"):
                    rest[key] = tuple(rest[key]) if isinstance(rest[key], list) else rest[key]
                fields.append(ArraySpec(**rest))
            else:
                fields.append(BlobSpec(**rest))
        return StreamSpec(data["name"], tuple(fields), data["rate_hz"], data["capacity_s"])
