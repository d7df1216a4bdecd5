"""Does an ONNX file stand alone?  A scan of its bytes for tensors kept in other files, before anything else reads it.

ONNX Runtime would follow such a reference to whatever path the file names.  The scan walks the protobuf's fields by
number (onnx.proto3); it needs no ONNX package, and copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from telerig.hardware.errors import ConfigError

DEPTH = 16  # of graphs within graphs
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# message → field number → message within it, for all fields through which a tensor can be reached
_MODEL = {7: "graph", 20: "training", 25: "function"}
_INSIDE: dict[str, dict[int, str]] = {
    "model": _MODEL,
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14


class _Broken(Exception):
    """Not a protobuf message."""


def external_tensor(model: bytes) -> str | None:
    """Name of the first tensor kept in another file (``unnamed`` if it has none); None where all are in this one.

    :raises ConfigError: these bytes are no ONNX model.
    """
    view = memoryview(model)
    try:
        if 7 not in {number for number, _, _ in _fields(view)}:
            raise _Broken
        return _search(view, "model", 0)
    except _Broken:
        raise ConfigError("not an ONNX model")


def _search(message: memoryview, kind: str, depth: int) -> str | None:
    if depth > DEPTH * 4:  # a graph within a graph is three messages deeper
        raise _Broken
    name, external = "unnamed", False
    for number, wire, value in _fields(message):
        if kind == "tensor":
            if number == _TENSOR_NAME and isinstance(value, memoryview):
                name = bytes(value).decode("utf-8", "replace")
            # anything but DEFAULT (0), or any entry of external_data, points outside
            external |= number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
        inner = _INSIDE[kind].get(number)
        if inner is not None:
            if wire != _BYTES or not isinstance(value, memoryview):
                raise _Broken
            found = _search(value, inner, depth + 1)
            if found is not None:
                return found
    return name if external else None


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(field number, wire type, value) of a message's fields."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise _Broken
        if number == 0 or at + size > len(message):
            raise _Broken
        yield number, wire, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Broken
