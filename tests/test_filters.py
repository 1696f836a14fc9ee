"""Fixed filters and degradations: each is its formula, agrees with Pillow, and does what its name says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from tinycnn.data import (
    bit_depth,
    box_blur,
    box_kernel,
    edges,
    equalise,
    filter_image,
    gaussian_blur,
    gaussian_kernel,
    jpeg_quality,
    sharpen,
)
from tinycnn.data.filters import LAPLACIAN, SHARPEN, SOBEL
from tinycnn.errors import ShapeError
from tinycnn.formula import formulas

SIZES = st.integers(1, 9)
KERNELS = {
    "sobel": SOBEL,
    "laplacian": LAPLACIAN,
    "sharpen": SHARPEN,
    "box": box_kernel(3),
    "gaussian": gaussian_kernel(1, 5),
}


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@given(H=SIZES, W=SIZES, kv=st.integers(0, 2), kh=st.integers(0, 2), seed=st.integers(0, 999))
def test_a_filter_is_the_sum_over_its_window_with_the_edge_going_on(H, W, kv, kh, seed):
    x, kernel = picture(seed, 2, 3, H, W), picture(seed + 1, 2 * kv + 1, 2 * kh + 1) - 0.5
    y = filter_image(x, kernel)
    for u, v in np.ndindex(H, W):
        rows, columns = (
            np.clip(np.arange(u - kv, u + kv + 1), 0, H - 1),
            np.clip(np.arange(v - kh, v + kh + 1), 0, W - 1),
        )
        window = x[:, :, rows[:, None], columns]
        np.testing.assert_allclose(y[:, :, u, v], (window * kernel).sum(axis=(2, 3)), atol=1e-13)
    np.testing.assert_allclose(filter_image(x[1], kernel), y[1], atol=1e-14)


@pytest.mark.parametrize("name", KERNELS)
def test_a_filter_agrees_with_pillow_inside_the_picture(name):
    """Pillow's kernel is laid on as it is printed too; it leaves the border as it was and rounds to bytes."""
    kernel = KERNELS[name]
    image = Image.fromarray((picture(3, 20, 30) * 255).round().astype(np.uint8))
    theirs = np.asarray(image.filter(ImageFilter.Kernel(kernel.shape, kernel.ravel().tolist(), scale=1, offset=100)))
    ours = filter_image(np.asarray(image, np.float64)[None], kernel)[0] + 100
    k = len(kernel) // 2
    np.testing.assert_allclose(ours.clip(0, 255)[k:-k, k:-k], theirs[k:-k, k:-k], atol=0.51)


def test_blurs_agree_with_pillow():
    """The box exactly; the bell, which Pillow builds of three boxes, to two hundredths, inside."""
    image = Image.fromarray((picture(4, 40, 50) * 255).round().astype(np.uint8))
    x = np.asarray(image)[None] / 255
    theirs = np.asarray(image.filter(ImageFilter.BoxBlur(2)))[None] / 255
    np.testing.assert_allclose(box_blur(x, 5), theirs, atol=1.01 / 255)
    theirs = np.asarray(image.filter(ImageFilter.GaussianBlur(2)))[None] / 255
    np.testing.assert_allclose(gaussian_blur(x, 2.0)[:, 8:-8, 8:-8], theirs[:, 8:-8, 8:-8], atol=0.02)


@given(size=st.integers(1, 9), sigma=st.floats(0.2, 4))
def test_kernels_are_their_formulas_and_add_up_to_one(size, sigma):
    np.testing.assert_allclose(box_kernel(size), formulas["box_kernel"].evaluate(size=size), rtol=1e-15)
    for chosen in (size, None):
        w = gaussian_kernel(sigma, chosen)
        np.testing.assert_allclose(w, formulas["gaussian_kernel"].evaluate(sigma=sigma, size=chosen), rtol=1e-12)
        np.testing.assert_allclose(w.sum(), 1, atol=1e-14)
        np.testing.assert_array_equal(w, w.T)
        np.testing.assert_array_equal(w, w[::-1])


@given(seed=st.integers(0, 999), flat=st.floats(0, 1))
def test_what_each_filter_does_to_flat_pictures_and_slopes(seed, flat):
    even = np.full((3, 6, 7), flat)
    for filtered in (box_blur(even), gaussian_blur(even, 1.5), sharpen(even)):
        np.testing.assert_allclose(filtered, flat, atol=1e-14)
    np.testing.assert_allclose(edges(even), 0, atol=1e-14)
    np.testing.assert_allclose(filter_image(even, LAPLACIAN), 0, atol=1e-14)
    r, q = np.indices((6, 7))
    plane = (0.03 * r + 0.05 * q)[None]
    inside = np.s_[:, 1:-1, 1:-1]
    np.testing.assert_allclose(filter_image(plane, SOBEL)[inside], 8 * 0.05, atol=1e-14)
    np.testing.assert_allclose(filter_image(plane, SOBEL.T)[inside], 8 * 0.03, atol=1e-14)
    np.testing.assert_allclose(filter_image(plane, LAPLACIAN)[inside], 0, atol=1e-14)
    x = picture(seed, 1, 2, 6, 7)
    np.testing.assert_allclose(edges(x), formulas["edges"].evaluate(x=x), atol=1e-13)
    np.testing.assert_allclose(edges(x.transpose(0, 1, 3, 2)), edges(x).transpose(0, 1, 3, 2), atol=1e-13)


def test_borders_and_what_cannot_be_filtered():
    np.testing.assert_allclose(filter_image(np.ones((1, 3, 3)), box_kernel(3), "zero")[0, 0], [4 / 9, 6 / 9, 4 / 9])
    assert filter_image(np.ones((1, 3, 3), np.float32), SOBEL).dtype == np.float32
    for x, kernel, options, error, words in [
        (np.ones((3, 3)), SOBEL, {}, ShapeError, r"x must be \(C, H, W\)"),
        (np.ones((1, 3, 3)), np.ones((2, 2)), {}, ShapeError, "both odd"),
        (np.ones((1, 3, 3), int), SOBEL, {}, TypeError, "floats"),
        (np.ones((1, 3, 3)), SOBEL, {"border": "wrap"}, ValueError, "edge or zero"),
    ]:
        with pytest.raises(error, match=words):
            filter_image(x, kernel, **options)
    for sigma in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="sigma must be above 0"):
            gaussian_kernel(sigma)


# ---------------------------------------------------------------- degradations, and levels spread evenly


@given(bits=st.integers(1, 16), seed=st.integers(0, 999))
def test_bit_depth_is_its_formula_and_the_nearest_of_its_levels(bits, seed):
    x = picture(seed, 1, 2, 5, 4)
    y = bit_depth(x, bits)
    np.testing.assert_array_equal(y, formulas["bit_depth"].evaluate(x=x, bits=bits))
    step = 1 / (2**bits - 1)
    assert abs(y - x).max() <= step / 2 + 1e-15
    np.testing.assert_allclose(y / step, (y / step).round(), atol=1e-10)
    np.testing.assert_array_equal(bit_depth(y, bits), y)


def test_one_bit_is_what_pillow_calls_black_and_white():
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    theirs = np.asarray(image.convert("1", dither=Image.Dither.NONE))
    np.testing.assert_array_equal(bit_depth(np.asarray(image)[None] / 255, 1)[0], theirs)


@given(seed=st.integers(0, 999), levels=st.integers(1, 12), low=st.integers(0, 100))
def test_equalising_is_its_formula_and_spreads_the_levels(seed, levels, low):
    rng = np.random.default_rng(seed)
    x = (low + 7 * rng.integers(0, levels, (1, 2, 4, 5))) / 255
    y = equalise(x)
    np.testing.assert_allclose(y, formulas["equalise"].evaluate(x=x), atol=1e-15)
    for before, after in zip(x[0], y[0], strict=True):
        if len(np.unique(before)) > 1:
            assert (after.min(), after.max()) == (0, 1)
            order = np.argsort(before, axis=None)
            assert (np.diff(after.ravel()[order]) >= 0).all()  # what was darker stays darker
        else:
            np.testing.assert_array_equal(after, before)


@given(seed=st.integers(0, 999))
def test_equalising_agrees_with_pillow(seed):
    """Where its step, a 255th of the pixels below the brightest, is a whole number; it cuts off to whole numbers."""
    rng = np.random.default_rng(seed)
    values = np.sort(rng.integers(0, 200, 2 * 255)).astype(np.uint8)
    pixels = rng.permutation(np.concatenate([values, np.full(42, 220, np.uint8)])).reshape(24, 23)
    theirs = np.asarray(ImageOps.equalize(Image.fromarray(pixels))) / 255
    np.testing.assert_allclose(equalise(pixels[None] / 255)[0], theirs, atol=0.51 / 255)


@pytest.mark.parametrize("C", [1, 3])
def test_jpeg_quality_is_what_pillow_s_encoder_does_and_worse_with_less(C):
    r, q = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 40), indexing="ij")
    x = np.stack([r, q, r * q])[:C].astype(np.float32)
    worse = [float(((jpeg_quality(x, quality) - x) ** 2).mean()) for quality in (95, 50, 10, 1)]
    assert worse == sorted(worse)
    buffer = io.BytesIO()
    pixels = np.floor(x * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    Image.fromarray(pixels[..., 0] if C == 1 else pixels).save(buffer, "JPEG", quality=30, subsampling=0)
    theirs = np.asarray(Image.open(buffer), np.float32).reshape(24, 40, C).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(jpeg_quality(x, 30), theirs, atol=1e-6)
    batch = np.stack([x, x[:, ::-1]])
    np.testing.assert_array_equal(jpeg_quality(batch, 30)[0], jpeg_quality(x, 30))
    assert jpeg_quality(batch.astype(np.float64), 30).dtype == np.float64


def test_what_cannot_be_degraded_is_refused():
    x = np.full((1, 4, 4), 0.5)
    for bits in (0, 17, 1.5, True):
        with pytest.raises(ValueError, match="bits must be an int from 1 to 16"):
            bit_depth(x, bits)
    for quality in (0, 96, 50.0):
        with pytest.raises(ValueError, match="quality must be an int from 1 to 95"):
            jpeg_quality(x, quality)
    with pytest.raises(ShapeError, match="C = 1 or 3"):
        jpeg_quality(np.zeros((2, 4, 4)), 50)
    with pytest.raises(ValueError, match=r"x must hold floats in \[0, 1\]"):
        equalise(x * 3)
