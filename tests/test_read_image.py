"""Every picture file becomes the picture that it is, or one ImageError that names it: nothing black in silence."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from picture_bytes import H, W, chunk, deep, encoded, grey, grey_scene, lab, packed12, png, png16, rgb, scene, tiff
from PIL import Image

from tinycnn.data import read_image, read_mask
from tinycnn.errors import ImageError

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
