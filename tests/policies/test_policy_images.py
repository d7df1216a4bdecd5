"""The one way from JPEG to a policy's picture."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.errors import DataError
from telerig.policies.images import area_resize, small_image


@settings(max_examples=30)
@given(st.integers(8, 60), st.integers(8, 60), st.integers(2, 8), st.integers(2, 8), st.integers(0, 99))
def test_area_resize_keeps_the_mean(h, w, th, tw, seed):
    image = np.random.default_rng(seed).integers(0, 256, (h, w, 3)).astype(np.uint8)
    small = area_resize(image, (th, tw))
    assert small.shape == (th, tw, 3)
    np.testing.assert_allclose(small.mean((0, 1)), image.mean((0, 1)), atol=0.6)


def test_area_resize_averages_blocks_exactly():
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    expected = image.reshape(6, 4, 8, 4, 3).astype(float).mean((1, 3))
    assert np.abs(area_resize(image, (6, 8)) - expected).max() <= 0.51


def test_colours_and_places_are_kept():
    image = np.zeros((240, 320, 3), np.uint8)
    image[:120, 160:] = (250, 20, 10)
    small = small_image(simplejpeg.encode_jpeg(image, 95, "RGB"), (96, 96))
    assert small.shape == (96, 96, 3)
    np.testing.assert_allclose(small[10, 80], (250, 20, 10), atol=6)
    np.testing.assert_allclose(small[80, 10], 0, atol=6)


def test_broken_jpeg_is_one_clear_error():
    with pytest.raises(DataError, match="not a JPEG of 7 bytes"):
        small_image(b"nothing", (96, 96))
