"""Every picture file becomes the picture that it is, or one ImageError that names it: nothing black in silence."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tinycnn.data import read_image, read_mask, write_image
from tinycnn.data.picture import encode_image
from tinycnn.errors import ImageError, ShapeError

H, W = 24, 40


def scene() -> np.ndarray:
    """A smooth picture in colour, no two corners alike, (3, H, W) in [0, 1]: easy on JPEG and on any palette."""
    r, q = np.meshgrid(np.linspace(0, 1, H), np.linspace(0, 1, W), indexing="ij")
    return np.stack([0.1 + 0.8 * q, 0.9 - 0.7 * r, 0.2 + 0.6 * r * q])


def grey_scene() -> np.ndarray:
    return np.einsum("c,chw->hw", [0.299, 0.587, 0.114], scene())


def rgb() -> Image.Image:
    return Image.fromarray((scene().transpose(1, 2, 0) * 255).round().astype(np.uint8))


def grey() -> Image.Image:
    return Image.fromarray((grey_scene() * 255).round().astype(np.uint8))


def deep(top: int = 65535, dtype: type = np.uint16) -> Image.Image:
    return Image.fromarray((grey_scene() * top).round().astype(dtype))


def lab() -> Image.Image:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return ImageCms.applyTransform(rgb(), to_lab)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: bytes, width: int, height: int, bits: int, colour: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png16(rgb: np.ndarray) -> bytes:
    """A PNG in colour with 16 bits, which Pillow reads but does not write."""
    rows = (rgb.transpose(1, 2, 0) * 65535).round().astype(">u2")
    return png(b"".join(b"\0" + row.tobytes() for row in rows), W, H, 16, 2)


def tiff(
    values: np.ndarray, bits: int, kind: int = 1, *, white_is_zero: bool = False, shape: tuple | None = None
) -> bytes:
    """A little-endian TIFF of one grey strip, of any depth."""
    height, width = shape or values.shape
    data = values.tobytes()
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 0 if white_is_zero else 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
        (339, 3, kind),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, type_, 1, value) for tag, type_, value in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory + bytes(4)


def packed12(values: np.ndarray) -> np.ndarray:
    """Pairs of 12 bits in three bytes."""
    a, b = values.reshape(-1, 2).T.astype(np.uint16)
    return np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], axis=1).astype(np.uint8)


# ---------------------------------------------------------------- whatever holds the scene, gives the scene


def holds_colour() -> dict[str, bytes]:
    image = rgb()
    palette = image.quantize(256)
    return {
        "png": encoded(image, "PNG"),
        "png interlaced": png16(scene()),
        "png optimised": encoded(image, "PNG", optimize=True),
        "bmp": encoded(image, "BMP"),
        "gif": encoded(image, "GIF"),
        "tiff": encoded(image, "TIFF"),
        "tiff lzw": encoded(image, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "tiff packbits": encoded(image, "TIFF", compression="packbits"),
        "tiff jpeg": encoded(image, "TIFF", compression="jpeg", quality=95),
        "jpeg": encoded(image, "JPEG", quality=97, subsampling=0),
        "jpeg subsampled": encoded(image, "JPEG", quality=97, subsampling=2),
        "jpeg progressive": encoded(image, "JPEG", quality=97, progressive=True),
        "jpeg cmyk": encoded(image.convert("CMYK"), "JPEG", quality=97),
        "tiff cmyk": encoded(image.convert("CMYK"), "TIFF"),
        "tiff lab": encoded(lab(), "TIFF"),
        "tiff ycbcr": encoded(image.convert("YCbCr"), "TIFF"),
        "png palette": encoded(palette, "PNG"),
        "bmp palette": encoded(palette, "BMP"),
        "tiff palette": encoded(palette, "TIFF"),
        "png rgba, opaque": encoded(image.convert("RGBA"), "PNG"),
        "tiff rgba, opaque": encoded(image.convert("RGBA"), "TIFF"),
        "bmp rgba, opaque": encoded(image.convert("RGBA"), "BMP"),
        "palette + alpha, opaque": encoded(image.convert("RGBA").quantize(256), "PNG"),
    }


def holds_grey() -> dict[str, bytes]:
    image = grey()
    return {
        "png": encoded(image, "PNG"),
        "bmp": encoded(image, "BMP"),
        "gif": encoded(image, "GIF"),
        "tiff": encoded(image, "TIFF"),
        "jpeg": encoded(image, "JPEG", quality=97),
        "png 16 bits": encoded(deep(), "PNG"),
        "tiff 16 bits": encoded(deep(), "TIFF"),
        "tiff 16 bits, big-endian": encoded(
            Image.frombytes("I;16B", (W, H), np.asarray(deep()).astype(">u2").tobytes()), "TIFF"
        ),
        "tiff 16 bits, white is zero": tiff(65535 - np.asarray(deep()), 16, white_is_zero=True),
        "tiff 8 bits, white is zero": tiff(255 - np.asarray(grey()), 8, white_is_zero=True),
        "tiff 12 bits": tiff(packed12(np.asarray(deep(4095))), 12, shape=(H, W)),
        "tiff fractions": encoded(Image.fromarray(grey_scene().astype(np.float32)), "TIFF"),
        "tiff fractions, white is zero": tiff(1 - grey_scene().astype(np.float32), 32, kind=3, white_is_zero=True),
        "grey + alpha, opaque": encoded(image.convert("LA"), "PNG"),
        "palette of greys": encoded(image.quantize(256), "PNG"),
    }


@pytest.mark.parametrize("name", holds_colour())
def test_every_file_in_colour_gives_the_same_picture(tmp_path, name):
    (tmp_path / "x").write_bytes(holds_colour()[name])
    x = read_image(tmp_path / "x")
    assert (x.shape, x.dtype, x.flags.c_contiguous) == ((3, H, W), np.float32, True)
    lossy = any(word in name for word in ("jpeg", "gif", "palette", "lab", "ycbcr"))
    np.testing.assert_allclose(x, scene(), atol=0.08 if lossy else 0.51 / 255 + ("16" in name or "inter" in name) / 255)
    np.testing.assert_allclose(read_image(tmp_path / "x", "gray")[0], grey_scene(), atol=0.08 if lossy else 1 / 255)


@pytest.mark.parametrize("name", holds_grey())
def test_every_grey_file_gives_the_same_picture(name):
    data = holds_grey()[name]
    x = read_image(data, "gray")
    assert (x.shape, x.dtype, x.flags.c_contiguous) == ((1, H, W), np.float32, True)
    atol = 0.02 if name in ("jpeg", "palette of greys") else 0.51 / 4095 if "12" in name else 0.51 / 255
    np.testing.assert_allclose(x[0], grey_scene(), atol=atol)
    np.testing.assert_allclose(read_image(data), np.repeat(x, 3, axis=0), atol=1e-6)


def test_16_bits_and_fractions_keep_more_than_a_byte_would():
    fine = np.linspace(0.5, 0.51, 64).reshape(8, 8)
    for data in (
        encoded(Image.fromarray((fine * 65535).round().astype(np.uint16)), "PNG"),
        encoded(Image.fromarray(fine.astype(np.float32)), "TIFF"),
    ):
        np.testing.assert_allclose(read_image(data, "gray")[0], fine, atol=1e-5)
        assert len(np.unique(read_image(data, "gray"))) == 64


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-3, 5), (0, 1e6), (-2, -1), (0.25, 0.75), (300, 300)])
def test_fractions_are_stretched_into_the_range_and_never_clipped(low, high):
    values = np.linspace(low, high, 48).reshape(6, 8).astype(np.float32)
    a, b = min(0, low), max(1, high)
    x = read_image(encoded(Image.fromarray(values), "TIFF"), "gray")[0]
    np.testing.assert_allclose(x, (values - a) / (b - a), atol=1e-6)
    assert len(np.unique(x)) == len(np.unique(values))


@pytest.mark.parametrize(
    ("kind", "dtype", "low", "high"),
    [
        (1, np.uint32, 0, 2**32 - 1),
        (2, np.int32, 0, 1000),
        (2, np.int32, -500, 500),
        (1, np.uint32, 0, 7),
        (2, np.int32, 0, 0),
    ],
)
def test_whole_numbers_of_32_bits_are_stretched_too(kind, dtype, low, high):
    values = np.linspace(low, high, 48).reshape(6, 8).astype(dtype)
    x = read_image(tiff(values, 32, kind), "gray")[0]
    np.testing.assert_allclose(x, (values.astype(float) - min(low, 0)) / ((max(high, 0) - min(low, 0)) or 1), atol=1e-6)


def test_signed_16_bits_are_stretched():
    values = np.linspace(-2000, 6000, 48).reshape(6, 8).astype(np.int16)
    np.testing.assert_allclose(read_image(tiff(values, 16, 2), "gray")[0], (values + 2000) / 8000, atol=1e-6)


def test_one_bit_pictures_are_black_and_white():
    board = np.indices((9, 13)).sum(axis=0) % 2 == 0
    for data in (
        encoded(Image.fromarray(board), "PNG"),
        encoded(Image.fromarray(board), "BMP"),
        encoded(Image.fromarray(board), "TIFF"),
        encoded(Image.fromarray(board), "TIFF", compression="group4"),
        encoded(Image.fromarray(board).convert("L"), "GIF"),
    ):
        np.testing.assert_array_equal(read_image(data, "gray")[0], board)


@pytest.mark.parametrize("bits", [2, 4])
def test_greys_of_few_bits_reach_white(bits):
    per_byte, top = 8 // bits, 2**bits - 1
    values = np.arange(16).reshape(2, 8) % (top + 1)
    weights = 2 ** (bits * np.arange(per_byte - 1, -1, -1))
    rows = b"".join(b"\0" + bytes(int(v) for v in row.reshape(-1, per_byte) @ weights) for row in values)
    np.testing.assert_allclose(read_image(png(rows, 8, 2, bits, 0), "gray")[0], values / top, atol=1e-6)
    np.testing.assert_array_equal(read_mask(png(rows, 8, 2, bits, 0)), values)
    clear = png(rows, 8, 2, bits, 0, chunk(b"tRNS", struct.pack(">H", top)))
    alpha = read_image(clear, "keep")[1]
    np.testing.assert_array_equal(alpha, values != top)


# ---------------------------------------------------------------- transparency


def glass() -> np.ndarray:
    return np.tile(np.linspace(0, 1, W), (H, 1))


@pytest.mark.parametrize(
    ("background", "paper"),
    [
        ("white", (1, 1, 1)),
        ("black", (0, 0, 0)),
        ("#ff8000", (1, 128 / 255, 0)),
        (0.25, (0.25,) * 3),
        ((0, 0.5, 1), (0, 0.5, 1)),
    ],
)
def test_transparent_parts_show_the_background(background, paper):
    image = rgb()
    image.putalpha(Image.fromarray((glass() * 255).round().astype(np.uint8)))
    expected = scene() * glass() + np.array(paper).reshape(3, 1, 1) * (1 - glass())
    for format in ("PNG", "TIFF"):
        np.testing.assert_allclose(read_image(encoded(image, format), background=background), expected, atol=1.1 / 255)


def test_grey_with_alpha_too_and_a_coloured_background_shines_through():
    image = grey()
    image.putalpha(Image.fromarray((glass() * 255).round().astype(np.uint8)))
    data = encoded(image, "PNG")
    np.testing.assert_allclose(read_image(data, "gray")[0], grey_scene() * glass() + 1 - glass(), atol=1.1 / 255)
    x = read_image(data, background="red")
    np.testing.assert_allclose(x[0], grey_scene() * glass() + 1 - glass(), atol=1.1 / 255)
    np.testing.assert_allclose(x[1], grey_scene() * glass(), atol=1.1 / 255)


def test_keep_keeps_the_channels_of_the_file():
    image = rgb()
    assert read_image(encoded(image, "PNG"), "keep").shape == (3, H, W)
    assert read_image(encoded(image.convert("L"), "PNG"), "keep").shape == (1, H, W)
    assert read_image(encoded(deep(), "PNG"), "keep").shape == (1, H, W)
    assert read_image(encoded(image.convert("CMYK"), "TIFF"), "keep").shape == (3, H, W)
    image.putalpha(Image.fromarray((glass() * 255).round().astype(np.uint8)))
    x = read_image(encoded(image, "PNG"), "keep")
    np.testing.assert_allclose(x[3], glass(), atol=0.51 / 255)
    np.testing.assert_allclose(x[:3], scene(), atol=0.51 / 255)
    assert read_image(encoded(image.convert("LA"), "PNG"), "keep").shape == (2, H, W)


def test_a_palette_with_holes_and_a_colour_that_means_clear():
    page = Image.new("P", (4, 2), 0)
    page.putpalette([255, 0, 0, 0, 0, 255])
    page.paste(1, (2, 0, 4, 2))
    for data in (
        encoded(page, "PNG", transparency=1),
        encoded(page, "GIF", transparency=1),
        encoded(page, "PNG", transparency=b"\xff\x00"),
    ):
        x = read_image(data, background=0.5)
        np.testing.assert_allclose(x[:, 0, 0], [1, 0, 0])
        np.testing.assert_allclose(x[:, 0, 3], 0.5)
    for image, clear in ((rgb(), tuple(rgb().getpixel((3, 5)))), (grey(), grey().getpixel((3, 5)))):
        x = read_image(encoded(image, "PNG", transparency=clear), "keep")
        assert x[-1, 5, 3] == 0
        assert x[-1].mean() > 0.5


def test_a_16_bit_value_that_means_clear():
    values = np.full((4, 4), 1000, np.uint16)
    values[0, 0] = 999
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    x = read_image(png(rows, 4, 4, 16, 0, chunk(b"tRNS", struct.pack(">H", 999))), "keep")
    np.testing.assert_array_equal(x[1], values != 999)
    colour = np.full((4, 4, 3), 30000, ">u2")
    colour[0, 0] = 700
    rows = b"".join(b"\0" + row.tobytes() for row in colour)
    x = read_image(png(rows, 4, 4, 16, 2, chunk(b"tRNS", struct.pack(">HHH", 700, 700, 700))), "keep")
    np.testing.assert_array_equal(x[3], values != 999)


# ---------------------------------------------------------------- upright, and one of several


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_rotation_is_applied(format, orientation):
    """The eight orientations of EXIF, each undone by hand: where row 0 and column 0 of the file are on the screen."""
    up = scene()
    stored = {
        1: up,
        2: up[:, :, ::-1],
        3: up[:, ::-1, ::-1],
        4: up[:, ::-1],
        5: up.transpose(0, 2, 1),
        6: np.rot90(up, 1, (1, 2)),
        7: np.rot90(up, 2, (1, 2)).transpose(0, 2, 1),
        8: np.rot90(up, -1, (1, 2)),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray((stored[orientation].transpose(1, 2, 0) * 255).round().astype(np.uint8))
    options = {"quality": 97, "subsampling": 0} if format == "JPEG" else {}
    np.testing.assert_allclose(read_image(encoded(image, format, exif=exif, **options)), up, atol=0.06)


def test_a_mask_is_turned_with_its_picture():
    mask, exif = np.arange(6).reshape(2, 3), Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(np.rot90(mask).astype(np.uint8)), "PNG", exif=exif)
    np.testing.assert_array_equal(read_mask(data), mask)


def pages(count: int = 3) -> list[Image.Image]:
    return [Image.new("L", (6, 4), 40 + 80 * i) for i in range(count)]


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PNG"])
def test_of_an_animation_the_first_frame_or_all_or_those_asked_for(format):
    first, *rest = pages()
    data = encoded(first, format, save_all=True, append_images=rest)
    np.testing.assert_allclose(read_image(data, "gray"), np.full((1, 4, 6), 40 / 255), atol=1e-6)
    np.testing.assert_allclose(read_image(data, "gray", frames=2), np.full((1, 4, 6), 200 / 255), atol=1e-6)
    everything = read_image(data, "gray", frames="all")
    assert everything.shape == (3, 1, 4, 6)
    np.testing.assert_allclose(everything[:, 0, 0, 0] * 255, [40, 120, 200], atol=1e-4)
    np.testing.assert_allclose(read_image(data, frames=[2, 0])[:, 0, 0, 0] * 255, [200, 40], atol=1e-4)
    with pytest.raises(ImageError, match="there is no frame 3: it has 3, counted from 0"):
        read_image(data, frames=3)
    for wrong in ("some", []):
        with pytest.raises(ValueError, match="frames"):
            read_image(data, frames=wrong)


def test_one_picture_is_a_stack_of_one_when_all_are_asked_for():
    assert read_image(encoded(rgb(), "PNG"), frames="all").shape == (1, 3, H, W)


def test_pages_of_different_sizes_are_read_one_by_one():
    data = encoded(rgb(), "TIFF", save_all=True, append_images=[Image.new("RGB", (5, 5))])
    assert read_image(data, frames=1).shape == (3, 5, 5)
    with pytest.raises(ImageError, match=r"frames differ in shape: \(3, 24, 40\) and, number 1 .* \(3, 5, 5\)"):
        read_image(data, frames="all")


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
