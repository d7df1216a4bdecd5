"""Depth images without loss: 16 bit, horizontal differences, zstd at level 1 (``application/x-telerig-depth``).

Neighbours in a row differ little, so their differences compress well and fast: measured on 640×480 about 4 ms and 230 kB a
frame, where PNG takes 19 ms (JPEG would be lossy).  Layout: ``"TD"``, version u8, zero u8, width u16, height u16
(little-endian), then one zstd frame with content size and checksum, holding height × width differences mod 2¹⁶, row by
row; a row's first value stands as it is.
"""

from __future__ import annotations

import struct
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import DataError

MEDIA_TYPE = "application/x-telerig-depth"
VERSION = 1
_HEAD = struct.Struct("<2sBBHH")
_MAGIC = b"TD"
_LOCAL = threading.local()  # zstd's contexts are worth keeping, and not to be shared between threads


def _codec(kind: str) -> Any:
    found = getattr(_LOCAL, kind, None)
    if found is None:
        import zstandard  # here, because describing hardware needs nothing but numpy

        compressor = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)
        found = compressor if kind == "compressor" else zstandard.ZstdDecompressor()
        setattr(_LOCAL, kind, found)
    return found


def max_bytes(width: int, height: int) -> int:
    """The longest encoding of an image of that size (zstd's own bound, and our header)."""
    size = 2 * width * height
    return _HEAD.size + size + (size >> 8) + 128


def encode_depth(image: NDArray[np.uint16]) -> bytes:
    """The encoding of an image (height, width), 1…65535 pixels a side.  :raises ValueError: it is no such image."""
    if image.dtype != np.uint16 or image.ndim != 2 or not all(0 < n <= 0xFFFF for n in image.shape):
        raise ValueError(f"a depth image is uint16 (height, width); this is {image.dtype} {image.shape}")
    height, width = image.shape
    delta = np.empty((height, width), "<u2")
    delta[:, 0] = image[:, 0]
    np.subtract(image[:, 1:], image[:, :-1], out=delta[:, 1:])
    body: bytes = _codec("compressor").compress(delta)
    return _HEAD.pack(_MAGIC, VERSION, 0, width, height) + body


def decode_depth(data: bytes) -> NDArray[np.uint16]:
    """The image (height, width).  :raises DataError: not an encoded depth image, or a damaged one."""
    if len(data) < _HEAD.size:
        raise DataError(f"depth image of {len(data)} bytes; its header alone has {_HEAD.size}")
    magic, version, zero, width, height = _HEAD.unpack_from(data)
    if magic != _MAGIC or zero != 0 or not width or not height:
        raise DataError(f"not a depth image: it begins with {data[: _HEAD.size].hex()}")
    if version != VERSION:
        raise DataError(f"depth image of version {version}; this telerig reads {VERSION}")
    delta = np.frombuffer(_unpack(data[_HEAD.size :], 2 * width * height), "<u2").reshape(height, width)
    return np.add.accumulate(delta, axis=1, dtype=np.uint16)


def _unpack(body: bytes, size: int) -> bytes:
    """Decompress exactly ``size`` bytes; looks at the promised size first, so that nothing huge is ever allocated."""
    import zstandard

    try:
        promised = zstandard.get_frame_parameters(body).content_size
        if promised != size:
            raise DataError(f"depth image holds {promised} bytes where its width and height ask for {size}")
        unpacker = _codec("decompressor").decompressobj()
        raw: bytes = unpacker.decompress(body)
    except zstandard.ZstdError as error:
        raise DataError(f"depth image is damaged: {error}")
    if len(raw) != size or not unpacker.eof or unpacker.unused_data:
        raise DataError("depth image is truncated, or has bytes behind its end")
    return raw
