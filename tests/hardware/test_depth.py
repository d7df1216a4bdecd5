"""The depth codec: nothing is lost, and what is damaged is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from telerig.hardware.depth import decode_depth, encode_depth, max_bytes
from telerig.hardware.errors import DataError

IMAGES = npst.arrays(np.uint16, st.tuples(st.integers(1, 20), st.integers(1, 20)))


def scene(height: int = 120, width: int = 160) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = 800 + 3 * x + 2 * y + np.random.default_rng(1).integers(-3, 4, (height, width))
    image[20:60, 30:80] = 500
    image[:, -5:] = 0  # a hole
    return image.astype(np.uint16)


@given(IMAGES)
def test_every_image_comes_back(image: np.ndarray) -> None:
    data = encode_depth(image)
    back = decode_depth(data)
    assert back.dtype == np.uint16
    assert np.array_equal(back, image)
    assert len(data) <= max_bytes(image.shape[1], image.shape[0])


def test_noise_stays_below_the_bound_and_a_scene_shrinks() -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (120, 160), np.uint16)
    assert len(encode_depth(noise)) <= max_bytes(160, 120)
    assert len(encode_depth(scene())) < scene().nbytes / 2


def test_a_view_that_is_not_contiguous_is_encoded_too() -> None:
    image = scene()[::2, ::3]
    assert np.array_equal(decode_depth(encode_depth(image)), image)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        decode_depth(data)
    with pytest.raises(DataError):
        decode_depth(encode_depth(scene(4, 5))[:8] + data)


def test_damage_truncation_and_excess_are_refused() -> None:
    data = encode_depth(scene())
    rng = np.random.default_rng(2)
    for _ in range(300):
        at = int(rng.integers(len(data)))
        bad = bytearray(data)
        bad[at] ^= int(rng.integers(1, 256))
        try:
            assert np.array_equal(decode_depth(bytes(bad)), scene()), at  # a bit that means nothing may change
        except DataError:
            pass
    for cut in (0, 5, 8, 9, 20, len(data) - 1):
        with pytest.raises(DataError):
            decode_depth(data[:cut])
    with pytest.raises(DataError, match="behind its end"):
        decode_depth(data + b"\0")


def test_a_promise_of_gigabytes_is_refused_before_memory_is_taken() -> None:
    data = bytearray(encode_depth(scene(4, 5)))
    data[4:8] = b"\xff\xff\xff\xff"
    with pytest.raises(DataError, match="40 bytes where its width and height ask for"):
        decode_depth(bytes(data))


def test_other_versions_and_other_images_are_named() -> None:
    data = bytearray(encode_depth(scene(4, 5)))
    data[2] = 9
    with pytest.raises(DataError, match="version 9; this telerig reads 1"):
        decode_depth(bytes(data))
    for image in (np.zeros((3, 3), np.float32), np.zeros(3, np.uint16), np.zeros((0, 3), np.uint16)):
        with pytest.raises(ValueError, match="a depth image is uint16"):
            encode_depth(image)  # type: ignore[arg-type]
