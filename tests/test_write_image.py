"""Masks keep their numbers, and what is written is read again."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_bytes import encoded, grey, rgb, scene
from PIL import Image

from tinycnn.data import read_image, read_mask, write_image
from tinycnn.data.picture import encode_image
from tinycnn.errors import ImageError, ShapeError

# ---------------------------------------------------------------- masks


def test_a_mask_keeps_its_numbers_and_not_its_colours(tmp_path):
    mask = np.random.default_rng(0).integers(0, 21, (9, 7))
    page = Image.fromarray(mask.astype(np.uint8), "L").convert("P")
    page.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    deep_mask = Image.fromarray((mask * 3000).astype(np.uint16))
    for image, expected in (
        (page, mask),
        (Image.fromarray(mask.astype(np.uint8)), mask),
        (deep_mask, mask * 3000),
        (Image.fromarray(mask > 9), mask > 9),
    ):
        for format in ("PNG", "TIFF"):
            found = read_mask(encoded(image, format))
            assert found.dtype == np.int64
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(read_mask(encoded(page, "BMP")), mask)


@pytest.mark.parametrize("data", [encoded(rgb(), "PNG"), encoded(grey().convert("LA"), "PNG"), encoded(grey(), "JPEG")])
def test_what_cannot_be_a_mask_is_refused(tmp_path, data):
    (tmp_path / "m.png").write_bytes(data)
    with pytest.raises(
        ImageError, match=r"m\.png: (a mask has one whole number a pixel, and this is|a JPEG does not keep)"
    ):
        read_mask(tmp_path / "m.png")


# ---------------------------------------------------------------- writing


@given(
    C=st.integers(1, 4),
    H=st.integers(1, 9),
    W=st.integers(1, 9),
    seed=st.integers(0, 999),
    format=st.sampled_from(["PNG", "TIFF"]),
)
def test_what_is_written_is_read_again(C, H, W, seed, format):
    x = np.random.default_rng(seed).integers(0, 256, (C, H, W)).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(read_image(encode_image(x, format), "keep"), x)


def test_every_suffix_is_written_and_a_mask_only_where_it_stays_whole(tmp_path):
    for suffix in (".png", ".JPG", ".jpeg", ".bmp", ".gif", ".tif", ".tiff"):
        write_image(tmp_path / f"x{suffix}", scene())
        np.testing.assert_allclose(read_image(tmp_path / f"x{suffix}"), scene(), atol=0.06)
    mask = np.arange(256).reshape(16, 16)
    for suffix in (".png", ".bmp", ".tif"):
        write_image(tmp_path / f"m{suffix}", mask)
        np.testing.assert_array_equal(read_mask(tmp_path / f"m{suffix}"), mask)
    for suffix in (".jpg", ".gif"):
        with pytest.raises(ValueError, match="does not keep the numbers of a mask"):
            write_image(tmp_path / f"m{suffix}", mask)


def test_what_cannot_be_written_is_refused_and_leaves_the_old_file(tmp_path):
    file = tmp_path / "x.png"
    write_image(file, scene())
    before = file.read_bytes()
    for x, error, words in [
        (scene() * 2, ValueError, r"numbers in \[0, 1\], and this one has 1\."),
        (scene() - 1, ValueError, "this one has -"),
        (scene() * np.nan, ValueError, "has nan"),
        (np.zeros((5, 2, 2)), ShapeError, r"got shape \(5, 2, 2\)"),
        (np.zeros((1, 0, 2)), ShapeError, "got shape"),
        (np.zeros((3, 2, 2), int), ValueError, "fractions"),
        (np.full((2, 2), 256), ValueError, "0 to 255"),
        (np.zeros((2, 1, 3, 3)), ShapeError, "got shape"),
    ]:
        with pytest.raises(error, match=words):
            write_image(file, x)
    with pytest.raises(ValueError, match=r"suffix must be one of \.png"):
        write_image(tmp_path / "x.webp", scene())
    with pytest.raises(ValueError, match="JPEG cannot hold transparency"):
        write_image(tmp_path / "x.jpg", np.ones((4, 2, 2)))
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.png"]
