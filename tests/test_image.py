"""A picture file becomes what the network was trained on, or one clear ImageError."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from tinycnn.data import load_all_digits, load_digits, read_digit_image
from tinycnn.errors import ImageError, ShapeError

GREY = (1, 8, 8)


def page_with(box, ink=0, paper=255, size=(200, 200)):
    """White paper with a black rectangle on it: left, top, right, bottom."""
    page = np.full(size[::-1], paper, np.uint8)
    left, top, right, bottom = box
    page[top:bottom, left:right] = ink
    return Image.fromarray(page)


def printed(digit, size=200):
    page = Image.new("L", (300, 300), 255)
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(page).text((150, 150), str(digit), fill=0, font=font, anchor="mm")
    return page


def read(image, tmp_path, name="x.png", shape=GREY, invert=None, **options):
    image.save(tmp_path / name, **options)
    return read_digit_image(tmp_path / name, shape, invert)


# the frame


def test_ink_fills_the_height_keeps_its_proportion_and_is_centred(tmp_path):
    pixels, inverted = read(page_with((10, 20, 50, 100)), tmp_path)  # 40 × 80: half as wide as high
    assert inverted
    assert (pixels.shape, pixels.dtype) == (GREY, np.float32)
    assert np.array_equal(pixels[0], np.tile([0, 0, 1, 1, 1, 1, 0, 0], (8, 1)))


def test_ink_wider_than_the_bundled_digits_is_squeezed_to_five_columns_of_eight(tmp_path):
    pixels, _ = read(page_with((0 + 20, 50, 180, 130)), tmp_path)  # 160 × 80
    expected = np.tile([0, 0.5, 1, 1, 1, 1, 0.5, 0], (8, 1))  # centred, so half a column at either side
    np.testing.assert_allclose(pixels[0], expected, atol=1e-6)


def test_each_pixel_is_the_mean_of_its_area(tmp_path):
    page = page_with((60, 40, 140, 200 - 40), size=(200, 200))  # 80 × 120: a frame of 128 × 120, cells of 16 × 15
    page.paste(255, (76, 55, 84, 62))  # a white hole of 8 × 7 in the third column and second row
    pixels, _ = read(page, tmp_path)
    whole = np.tile([0, 0.5, 1, 1, 1, 1, 0.5, 0], (8, 1))
    whole[1, 2] = 1 - 8 * 7 / (16 * 15)
    np.testing.assert_allclose(pixels[0], whole, atol=1e-6)


def test_the_bundled_digits_fill_their_frame_in_the_same_way():
    """The convention above is theirs: ink in the top and the bottom row, and about five to six columns wide."""
    ink = load_all_digits().x[:, 0] > 0
    assert ink[:, 0].any(axis=1).all()
    assert ink[:, -1].any(axis=1).all()
    columns = ink.any(axis=1)
    width = 8 - columns.argmax(axis=1) - columns[:, ::-1].argmax(axis=1)
    assert 5 <= width.mean() <= 6


def test_thin_grey_pens_come_out_as_bright_as_thick_black_ones(tmp_path):
    page = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(page).line([(60, 20), (120, 180)], fill=150, width=3)
    assert read(page, tmp_path).pixels.max() == 1


@given(shape=st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 999))
def test_any_page_and_any_frame_give_pixels_from_0_to_1(tmp_path_factory, shape, seed):
    rng = np.random.default_rng(seed)
    W, H = rng.integers(3, 60, 2)
    left, top = rng.integers(W // 3, W), rng.integers(H // 3, H)  # so that more than half of the page is paper
    page = page_with((left, top, rng.integers(left, W) + 1, rng.integers(top, H) + 1), size=(W, H))
    pixels, _ = read(page, tmp_path_factory.mktemp("any"), shape=shape, invert=True)
    assert (pixels.shape, pixels.dtype) == (shape, np.float32)
    assert pixels.min() >= 0
    assert pixels.max() == 1


# whole digits, recognised without a network: the nearest of the bundled ones


def nearest(pixels, x, y):
    return int(y[((x - pixels) ** 2).sum(axis=(1, 2, 3)).argmin()])


def test_a_bundled_digit_of_the_right_size_comes_back_pixel_by_pixel(tmp_path):
    for i, x in enumerate(load_all_digits().x[:20]):
        light = Image.fromarray((x[0] * 255).round().astype(np.uint8))
        pixels, inverted = read(light, tmp_path, f"{i}.png")
        assert not inverted
        np.testing.assert_allclose(pixels, x, atol=0.51 / 255)
        dark = Image.fromarray(255 - np.asarray(light))
        again = read(dark, tmp_path, f"dark{i}.png")
        assert again.inverted
        np.testing.assert_allclose(again.pixels, pixels, atol=1e-6)


def test_bundled_digits_drawn_large_in_black_on_white_are_recognised(tmp_path):
    digits = load_all_digits()
    large = [
        Image.fromarray((255 - x[0] * 255).astype(np.uint8)).resize((240, 240), Image.Resampling.NEAREST)
        for x in digits.x[:100]
    ]
    found = [nearest(read(page, tmp_path, f"{i}.png").pixels, digits.x, digits.y) for i, page in enumerate(large)]
    assert np.mean(found == digits.y[:100]) >= 0.97


@pytest.mark.parametrize("digit", [0, 2, 3, 4, 5, 7])  # the others are printed unlike anything that was written by hand
def test_printed_digits_resemble_written_ones(tmp_path, digit):
    digits = load_all_digits()
    assert nearest(read(printed(digit), tmp_path).pixels, digits.x, digits.y) == digit


# dark or light


def test_black_on_white_and_white_on_black_are_the_same_picture(tmp_path):
    dark = printed(5)
    light = Image.fromarray(255 - np.asarray(dark))
    a, b = read(dark, tmp_path, "a.png"), read(light, tmp_path, "b.png")
    assert (a.inverted, b.inverted) == (True, False)
    np.testing.assert_allclose(a.pixels, b.pixels, atol=1e-5)


def test_invert_overrules_the_border(tmp_path):
    framed = page_with((60, 40, 140, 160))
    ImageDraw.Draw(framed).rectangle((0, 0, 199, 199), outline=0, width=1)  # the border is black, the paper white
    assert not read(framed, tmp_path, "auto.png").inverted
    assert read(framed, tmp_path, "told.png", invert=True).inverted


# colours, depths and formats


def formats():
    grey = printed(3)
    rgba = Image.new("RGBA", grey.size, (0, 0, 0, 0))
    rgba.putalpha(Image.fromarray(255 - np.asarray(grey)))  # black ink on nothing
    return {
        "x.png": (grey, {}),
        "x.bmp": (grey, {}),
        "x.jpg": (grey, {"quality": 95}),
        "rgb.png": (grey.convert("RGB"), {}),
        "palette.png": (grey.convert("P"), {}),
        "alpha.png": (rgba, {}),
        "clear_white.png": (grey, {"transparency": 255}),
        "sixteen.png": (Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), {}),
        "cmyk.jpg": (grey.convert("CMYK"), {"quality": 95}),
    }


@pytest.mark.parametrize("name", formats())
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_and_mode_gives_the_same_pixels(tmp_path, name, channels):
    image, options = formats()[name]
    expected = read(printed(3), tmp_path, "expected.png").pixels
    pixels, inverted = read(image, tmp_path, name, (channels, 8, 8), **options)
    assert inverted
    np.testing.assert_allclose(pixels, np.repeat(expected, channels, axis=0), atol=0.02)


def test_one_bit_pictures_are_read(tmp_path):
    pixels, _ = read(page_with((10, 20, 50, 100)).convert("1"), tmp_path)
    assert np.array_equal(pixels[0], np.tile([0, 0, 1, 1, 1, 1, 0, 0], (8, 1)))


def test_exif_rotation_is_applied(tmp_path):
    upright, exif = printed(7), Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter clockwise"
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    a = read(upright, tmp_path, "a.jpg", quality=95)
    b = read(turned, tmp_path, "b.jpg", quality=95, exif=exif)
    np.testing.assert_allclose(a.pixels, b.pixels, atol=0.02)


def test_very_large_pictures_are_averaged_down_and_stay_the_same(tmp_path):
    small, large = page_with((10, 20, 50, 100)), page_with((200, 400, 1000, 2000), size=(4000, 4000))
    np.testing.assert_allclose(read(small, tmp_path).pixels, read(large, tmp_path, "l.png").pixels, atol=0.02)


def test_a_network_of_other_channels_is_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"input_shape \(2, 8, 8\): .* C = 1 \(grey\) or 3 \(RGB\), not 2"):
        read(printed(3), tmp_path, shape=(2, 8, 8))


# bad files


def test_what_is_not_there_or_no_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        read_digit_image(tmp_path / "none.png", GREY)
    with pytest.raises(ImageError, match="this is a folder"):
        read_digit_image(str(tmp_path), GREY)


@pytest.mark.skipif(os.name == "nt", reason="a pipe with a name")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a regular file"):
        read_digit_image(tmp_path / "pipe.png", GREY)


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(50), b"\x89PNG\r\n\x1a\n", b"BM" + bytes(60)])
def test_what_is_no_picture_is_named(tmp_path, data):
    (tmp_path / "not.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"not\.png: (not a PNG, JPEG, BMP, GIF or TIFF|the picture cannot be read)"):
        read_digit_image(tmp_path / "not.png", GREY)


def encoded(format):
    buffer = io.BytesIO()
    printed(3).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused(tmp_path, format, part):
    data = encoded(format)
    (tmp_path / "cut.png").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError, match=r"cut\.png"):
        read_digit_image(tmp_path / "cut.png", GREY)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP"])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_an_image_error_or_a_picture_and_nothing_else(tmp_path_factory, format, where, bit):
    data = bytearray(encoded(format))
    data[int(where * len(data))] ^= 1 << bit
    path = tmp_path_factory.mktemp("flip") / "flip.png"
    path.write_bytes(data)
    try:
        pixels, _ = read_digit_image(path, GREY)
    except ImageError:
        return
    assert np.isfinite(pixels).all()


def test_every_flipped_bit_in_the_pixels_of_a_png_is_found(tmp_path):
    """Decoding alone misses some of these, and the checksums alone miss others elsewhere: hence both."""
    whole, path = encoded("PNG"), tmp_path / "flip.png"
    start = whole.index(b"IDAT") + 4
    for i in range(start, start + int.from_bytes(whole[start - 8 : start - 4]), 7):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(ImageError, match=r"flip\.png: the picture cannot be read"):
            read_digit_image(path, GREY)


def png_that_claims(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_001, 9_800, 30_000])  # below, at and above what Pillow itself warns of and refuses
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png_that_claims(side, side))
    with pytest.raises(ImageError, match=r"bomb\.png: larger than 64 megapixels"):
        read_digit_image(tmp_path / "bomb.png", GREY)


def test_a_picture_without_pixels_is_refused(tmp_path):
    (tmp_path / "zero.png").write_bytes(png_that_claims(0, 5))
    with pytest.raises(ImageError, match=r"zero\.png"):
        read_digit_image(tmp_path / "zero.png", GREY)


@pytest.mark.parametrize("size", [(200, 200), (8, 8)])
@pytest.mark.parametrize("paper", [0, 255, 128])
def test_a_blank_page_has_nothing_on_it(tmp_path, paper, size):
    noise = np.random.default_rng(0).integers(-4, 5, size)
    page = Image.fromarray((paper + noise).clip(0, 255).astype(np.uint8))
    with pytest.raises(ImageError, match=r"x\.png: nothing is drawn on it"):
        read(page, tmp_path)


def test_white_ink_on_a_transparent_page_has_nothing_on_white_paper(tmp_path):
    page = Image.new("RGBA", (50, 50), (255, 255, 255, 0))
    ImageDraw.Draw(page).rectangle((20, 10, 30, 40), fill="white")
    with pytest.raises(ImageError, match="nothing is drawn on it"):
        read(page, tmp_path)


def test_a_picture_that_was_only_enlarged_is_read_at_its_own_size(tmp_path):
    _, _, test = load_digits()
    pixels = (test.x[4, 0] * 255).round().astype(np.uint8)
    Image.fromarray(np.kron(pixels, np.ones((24, 24), np.uint8))).save(tmp_path / "large.png")
    found = read_digit_image(tmp_path / "large.png", (1, 8, 8))
    np.testing.assert_array_equal(found.pixels[0], pixels.astype(np.float32) / 255)
