"""Colours: each conversion is its formula, agrees with Pillow and colorsys, and comes back."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tinycnn.data import adjust, hsv_to_rgb, rgb_to_gray, rgb_to_hsv, rgb_to_ycbcr, ycbcr_to_rgb
from tinycnn.errors import ShapeError
from tinycnn.formula import formulas

CONVERSIONS = {f.__name__: f for f in (rgb_to_gray, rgb_to_hsv, hsv_to_rgb, rgb_to_ycbcr, ycbcr_to_rgb)}
BYTE = 0.5 / 255 + 2e-5  # what rounding to a byte may cost, with weights of 16 bits


def pictures(seed: int, shape=(2, 3, 5, 4), corners: bool = True) -> np.ndarray:
    """Random colours, with black, white, pure colours and greys among them: where formulas have their cases."""
    rng = np.random.default_rng(seed)
    x = rng.random(shape)
    if corners:
        x[..., 0, :] = rng.integers(0, 2, (*shape[:-2], shape[-1]))
        x[..., 1, :] = rng.random((*shape[:-3], 1, shape[-1]))
    return x


def bytes_of(x: np.ndarray) -> np.ndarray:
    return (x.transpose(1, 2, 0) * 255).round().astype(np.uint8)


def every_colour() -> np.ndarray:
    """16 levels of each channel, all combinations, as bytes (64, 64, 3)."""
    level = np.arange(16, dtype=np.uint8) * 17
    return np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(64, 64, 3)


@pytest.mark.parametrize("name", CONVERSIONS)
@given(seed=st.integers(0, 10**6))
def test_a_conversion_is_its_formula(name, seed):
    x = pictures(seed)
    walked = formulas[name].evaluate(x=x)
    if isinstance(walked, tuple):
        walked = np.stack([walked.hue, walked.sat, walked.value] if name == "rgb_to_hsv" else walked, axis=1)
    np.testing.assert_allclose(CONVERSIONS[name](x).reshape(walked.shape), walked, atol=1e-15)


@given(seed=st.integers(0, 10**6), dtype=st.sampled_from([np.float32, np.float64]))
def test_there_and_back_again(seed, dtype):
    x = pictures(seed).astype(dtype)
    before, atol = x.copy(), 1e-6 if dtype == np.float32 else 1e-14
    for there, back in ((rgb_to_hsv, hsv_to_rgb), (rgb_to_ycbcr, ycbcr_to_rgb)):
        y = there(x)
        assert (y.dtype, y.shape) == (dtype, x.shape)
        np.testing.assert_allclose(back(y), x, atol=atol)
        np.testing.assert_array_equal(there(x[0]), y[0])
    assert (rgb_to_hsv(x) >= 0).all()
    assert (rgb_to_hsv(x)[:, 0] < 1).all()
    np.testing.assert_array_equal(x, before)


def test_hue_saturation_value_are_those_of_colorsys():
    x = pictures(0)[0]
    for place in np.ndindex(x.shape[1:]):
        one = x[:, *place]
        np.testing.assert_allclose(rgb_to_hsv(x)[:, *place], colorsys.rgb_to_hsv(*one), atol=1e-14)
        np.testing.assert_allclose(hsv_to_rgb(x)[:, *place], colorsys.hsv_to_rgb(*one), atol=1e-14)


def test_every_conversion_agrees_with_pillow_to_its_bytes():
    rgb = every_colour()
    x = rgb.transpose(2, 0, 1) / 255
    np.testing.assert_allclose(rgb_to_gray(x)[0], np.asarray(Image.fromarray(rgb).convert("L")) / 255, atol=BYTE)
    ycc = np.asarray(Image.fromarray(rgb).convert("YCbCr")).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(rgb_to_ycbcr(x).clip(0, 1), ycc, atol=2 * BYTE)  # Pillow's tables round twice
    hsv = np.asarray(Image.fromarray(rgb).convert("HSV")).transpose(2, 0, 1) / 255
    ours = rgb_to_hsv(x)
    ours[0] *= 256 / 255 * 255 / 256  # Pillow's hue counts 255 to the turn
    np.testing.assert_allclose(ours, hsv, atol=1.01 / 255)  # it cuts off where we round


@pytest.mark.parametrize("name", CONVERSIONS)
def test_what_is_no_picture_in_colour_is_refused(name):
    for shape in [(1, 4, 4), (4, 4, 3), (3, 4), (2, 4, 4, 4)]:
        with pytest.raises(ShapeError, match=r"x must be \(3, H, W\) or \(N, 3, H, W\)"):
            CONVERSIONS[name](np.zeros(shape))
    with pytest.raises(TypeError, match="bytes become"):
        CONVERSIONS[name](np.zeros((3, 4, 4), np.uint8))


# ---------------------------------------------------------------- adjusting


ENHANCE = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}


@pytest.mark.parametrize("name", ENHANCE)
@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7, 3.0])
def test_brightness_contrast_and_saturation_agree_with_pillow(name, factor):
    """Pillow blends bytes with a grey that it rounded to a byte: half a byte here, that half times the factor there."""
    image = Image.fromarray(bytes_of(pictures(1, (3, 40, 30))))
    x = np.asarray(image).transpose(2, 0, 1) / 255
    theirs = np.asarray(ENHANCE[name](image).enhance(factor)).transpose(2, 0, 1) / 255
    allowed = 1.01 / 255 + (
        abs(1 - factor) / 255 if name != "brightness" else 0
    )  # Pillow cuts, and the grey is rounded
    np.testing.assert_allclose(getattr(adjust, name)(x, factor), theirs, atol=allowed)


@pytest.mark.parametrize("name", ENHANCE)
@given(seed=st.integers(0, 10**6), C=st.sampled_from([1, 3]))
def test_adjusting_is_its_formula_with_a_factor_for_each_picture(name, seed, C):
    rng = np.random.default_rng(seed)
    x, factor = pictures(seed, (3, 3, 4, 5))[:, :C], rng.random(3) * 3
    y = getattr(adjust, name)(x, factor)
    np.testing.assert_allclose(y, formulas[name].evaluate(x=x, factor=factor), atol=1e-14)
    np.testing.assert_allclose(getattr(adjust, name)(x[1], factor[1]), y[1], atol=1e-14)
    np.testing.assert_allclose(getattr(adjust, name)(x, 1.0), x, atol=1e-15)
    assert getattr(adjust, name)(x.astype(np.float32), factor).dtype == np.float32


@given(seed=st.integers(0, 10**6), turn=st.floats(-2, 2))
def test_hue_turns_the_wheel_and_turning_back_undoes_it(seed, turn):
    x = pictures(seed, (3, 4, 5), corners=False)
    y = adjust.hue(x, turn)
    np.testing.assert_allclose(rgb_to_hsv(y)[1:], rgb_to_hsv(x)[1:], atol=1e-12)
    np.testing.assert_allclose(adjust.hue(y, -turn), x, atol=1e-12)
    np.testing.assert_allclose(adjust.hue(x, 1 / 3), np.roll(x, 1, axis=0), atol=1e-12)  # red to green to blue


def test_a_colour_matrix_agrees_with_pillow_and_its_formula():
    m = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    offset, x = np.array([0.1, 0.0, -0.05]), pictures(3, (2, 3, 9, 8))
    y = adjust.colour_matrix(x, m, offset)
    np.testing.assert_allclose(y, formulas["colour_matrix"].evaluate(x=x, m=m, offset=offset), atol=1e-14)
    image = Image.fromarray(bytes_of(x[0]))
    flat = tuple(np.concatenate([m, offset[:, None] * 255], axis=1).ravel())
    theirs = np.asarray(image.convert("RGB", flat)).transpose(2, 0, 1) / 255
    ours = adjust.colour_matrix(np.asarray(image).transpose(2, 0, 1) / 255, m, offset).clip(0, 1)
    np.testing.assert_allclose(ours, theirs, atol=BYTE)


def test_grey_keeps_its_channels():
    x = pictures(0)
    np.testing.assert_array_equal(adjust.gray(x), np.repeat(rgb_to_gray(x), 3, axis=1))
    np.testing.assert_array_equal(adjust.gray(x[:, :1]), x[:, :1])


def test_normalising_by_its_own_mean_and_deviation_gives_0_and_1():
    x = pictures(5, (6, 3, 7, 5))
    mean, std = x.mean(axis=(0, 2, 3)), x.std(axis=(0, 2, 3))
    y = adjust.normalise(x, mean, std)
    np.testing.assert_allclose(y, formulas["normalise"].evaluate(x=x, mean=mean, std=std), rtol=1e-14)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-14)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-14)
    assert adjust.normalise(x.astype(np.float32), mean, std).dtype == np.float32
    with pytest.raises(ValueError, match=r"std must be above 0"):
        adjust.normalise(x, mean, 0.0)
    with pytest.raises(ShapeError, match=r"mean must be one number, or one for each of 3 channels; got shape \(2,\)"):
        adjust.normalise(x, mean[:2], std)


def test_factors_and_matrices_that_do_not_fit_are_refused():
    x = pictures(0)
    for factor in (np.ones(3), np.ones((2, 1))):
        with pytest.raises(ShapeError, match="a factor is one number, or one for each picture"):
            adjust.brightness(x, factor)
    with pytest.raises(ShapeError, match=r"m must be \(F, C\) with C = 3"):
        adjust.colour_matrix(x, np.eye(4))
    with pytest.raises(TypeError, match="bytes become"):
        adjust.contrast(np.zeros((3, 2, 2), np.uint8), 1)
