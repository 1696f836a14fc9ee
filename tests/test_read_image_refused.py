"""A picture file that is broken, false or too large is an ImageError that names it, and nothing else."""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_bytes import chunk, deep, encoded, png, rgb, scene
from PIL import Image

from tinycnn.data import read_image, read_mask
from tinycnn.data.picture_file import open_picture
from tinycnn.errors import ImageError

# ---------------------------------------------------------------- bad files


def named(tmp_path, data: bytes, name: str = "bad.png", **options) -> str:
    """The message with which the file is refused; it names the file, and a second reading says the same."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / name, **options)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ImageError):
        read_mask(tmp_path / name)
    return str(caught.value)


def test_what_is_missing_or_a_folder_is_named(tmp_path):
    for read in (read_image, read_mask):
        with pytest.raises(ImageError, match=r"none\.png: no such file"):
            read(tmp_path / "none.png")
        with pytest.raises(ImageError, match="this is a folder"):
            read(str(tmp_path))
        with pytest.raises(ImageError, match="no such file"):
            read(str(tmp_path / "a\0b.png"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="a file that this user may not read")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(ImageError, match=r"x\.png.*Permission"):
        read_image(tmp_path / "x.png")


FALSE = [
    b"",
    b"\0",
    b"hello, I am a PNG",
    b"\x89PNG\r\n\x1a\n",
    b"BM" + bytes(60),
    b"GIF89a" + bytes(50),
    b"II*\0" + bytes(40),
    b"MM\0*" + b"\xff" * 40,
    b"\xff\xd8\xff\xe0" + bytes(30),
    b"\xff\xd8\xff\xd9",
    b"<svg/>",
    b"%PDF-1.4",
    b"RIFF1234WEBPVP8 ",
]


@pytest.mark.parametrize("data", FALSE)
def test_what_is_no_picture_is_named(tmp_path, data):
    assert (
        "not a PNG, JPEG, BMP, GIF or TIFF picture" in (said := named(tmp_path, data))
        or "cannot be read" in said
        or "no pixels" in said
    )


@pytest.mark.parametrize("format", ["WEBP", "PPM", "ICO", "TGA"])
def test_other_formats_are_refused_even_where_pillow_knows_them(tmp_path, format):
    assert "not a PNG, JPEG, BMP, GIF or TIFF picture" in named(tmp_path, encoded(rgb(), format))


def test_a_false_suffix_does_not_matter(tmp_path):
    (tmp_path / "x.jpg").write_bytes(encoded(rgb(), "PNG"))
    np.testing.assert_allclose(read_image(tmp_path / "x.jpg"), scene(), atol=0.51 / 255)


@pytest.mark.parametrize("part", [0.02, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "TIFF"])
def test_a_file_cut_short_is_refused(tmp_path, format, part):
    data = encoded(rgb(), format)
    named(tmp_path, data[: int(len(data) * part)])


def test_corrupt_deflate_is_refused_with_checksums_that_fit(tmp_path):
    rows = zlib.compress(bytes(11 * 10))
    for body in (rows[:-1] + bytes([rows[-1] ^ 1]), b"\0" * 20, rows[:5], rows[:4] + b"\xff\xff" + rows[6:]):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 0, 0, 0, 0))
        named(tmp_path, b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def test_every_flipped_bit_in_the_pixels_of_a_png_is_found(tmp_path):
    whole = encoded(rgb(), "PNG")
    start = whole.index(b"IDAT") + 4
    for i in range(start, start + int.from_bytes(whole[start - 8 : start - 4]), 13):
        assert "cannot be read" in named(tmp_path, whole[:i] + bytes([whole[i] ^ 16]) + whole[i + 1 :])


SMALL = {
    "PNG": lambda: encoded(rgb(), "PNG"),
    "JPEG": lambda: encoded(rgb(), "JPEG"),
    "BMP": lambda: encoded(rgb(), "BMP"),
    "GIF": lambda: encoded(rgb(), "GIF", save_all=True, append_images=[rgb().rotate(90)]),
    "TIFF": lambda: encoded(rgb(), "TIFF", compression="tiff_lzw"),
    "PALETTE": lambda: encoded(rgb().quantize(9), "PNG"),
    "DEEP": lambda: encoded(deep(), "TIFF"),
    "CMYK": lambda: encoded(rgb().convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("what", SMALL)
@given(
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    head=st.booleans(),
    mode=st.sampled_from(["rgb", "keep"]),
)
def test_a_flipped_bit_gives_an_image_error_or_a_picture_and_nothing_else(what, where, bit, head, mode):
    data = bytearray(SMALL[what]())
    data[int(where * (min(len(data), 120) if head else len(data)))] ^= 1 << bit
    for read in (
        lambda d: read_image(d, mode, frames="all", max_pixels=10**6),
        lambda d: read_mask(d, max_pixels=10**6),
    ):
        try:
            x = read(bytes(data))
        except ImageError:
            continue
        assert np.isfinite(x).all()
        if x.dtype == np.float32:
            assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("side", [8_001, 9_800, 30_000])  # below, at and above what Pillow itself warns of and refuses
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, side):
    assert "larger than 64 megapixels" in named(tmp_path, png(b"", side, side, 8, 0))


def test_a_larger_limit_may_be_told_and_a_smaller_one_too(tmp_path):
    data = encoded(Image.new("1", (9000, 9000)), "PNG")
    assert read_mask(data, max_pixels=81_000_000).shape == (9000, 9000)
    assert "larger than 0.0001 megapixels" in named(tmp_path, encoded(rgb(), "PNG"), max_pixels=100)


def test_many_frames_together_can_be_a_bomb(tmp_path):
    first, *rest = [Image.new("L", (50, 50), i) for i in range(20)]
    data = encoded(first, "TIFF", save_all=True, append_images=rest)
    assert read_image(data, max_pixels=30_000).shape == (3, 50, 50)
    with pytest.raises(ImageError, match=r"larger than 0\.03 megapixels"):
        read_image(data, frames="all", max_pixels=30_000)


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(tmp_path, width, height):
    named(tmp_path, png(b"", width, height, 8, 0))
    named(tmp_path, b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b";")
    named(tmp_path, b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_fractions_that_are_no_number_are_refused(tmp_path, value):
    x = np.ones((4, 4), np.float32)
    x[2, 1] = value
    assert "NaN or infinite" in named(tmp_path, encoded(Image.fromarray(x), "TIFF"))


def test_bytes_that_are_no_picture_are_named_by_their_number():
    with pytest.raises(ImageError, match=r"^picture in 5 bytes: not a PNG"):
        read_image(b"hello")


def test_a_mode_or_background_that_is_none_is_refused():
    data = encoded(rgb(), "PNG")
    with pytest.raises(ValueError, match="mode must be one of rgb, gray, keep, got 'RGB'"):
        read_image(data, "RGB")
    for background in (2.0, (0, 1), -0.1, float("nan")):
        with pytest.raises(ValueError, match="background must be"):
            read_image(data, background=background)


def test_reading_in_several_threads_leaves_the_warnings_of_the_program_as_they_were():
    before, inside, leave = list(warnings.filters), threading.Barrier(2), threading.Event()
    data = encoded(rgb(), "PNG")

    def first(image: Image.Image) -> None:
        inside.wait(10)

    def second(image: Image.Image) -> None:
        inside.wait(10)
        leave.wait(10)

    threads = [threading.Thread(target=open_picture, args=(data, use)) for use in (first, second)]
    for thread in threads:
        thread.start()
    threads[0].join()
    assert list(warnings.filters) != before  # one still reads
    warnings.warn_explicit("a remark", UserWarning, "a file", 1, module="PIL.TiffImagePlugin")
    with pytest.warns(UserWarning, match="not Pillow's"):
        warnings.warn_explicit("not Pillow's", UserWarning, "a file", 1, module="PILOT")
    leave.set()
    threads[1].join()
    assert list(warnings.filters) == before
