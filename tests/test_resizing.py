"""Resizing and moving: each is its formula, agrees with Pillow and PyTorch, and is exact where it can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tinycnn.data import affine, crop, pad, resize
from tinycnn.data.resizing import METHODS, area_shares, nearest_shares, tent_shares
from tinycnn.data.warp import affine_places, cosine_and_sine, fold, inverse_affine, sample, sample_nearest
from tinycnn.errors import ShapeError
from tinycnn.formula import formulas

SIZES = st.integers(1, 12)
PILLOW = {"nearest": Image.Resampling.NEAREST, "antialias": Image.Resampling.BILINEAR, "area": Image.Resampling.BOX}


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def in_pillow(x: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Floats, so that nothing is rounded to bytes."""
    image = Image.fromarray(x.astype(np.float32))
    return np.asarray(image.resize(size[::-1], PILLOW[method]))


# ---------------------------------------------------------------- resizing


@given(H=SIZES, OH=SIZES)
def test_shares_are_their_formulas_and_add_up_to_one(H, OH):
    for name, own in (("nearest_shares", nearest_shares(H, OH)), ("area_shares", area_shares(H, OH))):
        np.testing.assert_allclose(own, formulas[name].evaluate(H=H, OH=OH), atol=1e-14)
    for antialias in (True, False):
        walked = formulas["tent_shares"].evaluate(H=H, OH=OH, antialias=antialias)
        np.testing.assert_allclose(tent_shares(H, OH, antialias), walked, atol=1e-14)
    for shares in METHODS.values():
        np.testing.assert_allclose(shares(H, OH).sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(area_shares(H, OH).sum(axis=0), OH / H, atol=1e-14)  # no pixel counts more than another


@pytest.mark.parametrize("method", METHODS)
@given(H=SIZES, W=SIZES, OH=SIZES, OW=SIZES, seed=st.integers(0, 999))
def test_resizing_is_its_formula_and_keeps_a_flat_picture(method, H, W, OH, OW, seed):
    x = noise(seed, 2, 2, H, W)
    y = resize(x, (OH, OW), method)
    np.testing.assert_allclose(y, formulas["resize"].evaluate(x=x, size=(OH, OW), method=method), atol=1e-12)
    np.testing.assert_allclose(resize(np.full((H, W), 0.25), (OH, OW), method), 0.25, atol=1e-14)
    np.testing.assert_allclose(resize(x, (H, W), method), x, atol=1e-14)
    assert resize(x.astype(np.float32), (OH, OW), method).dtype == np.float32


@given(
    H=st.integers(1, 30), W=st.integers(1, 30), OH=st.integers(1, 30), OW=st.integers(1, 30), seed=st.integers(0, 999)
)
def test_nearest_and_antialias_agree_with_pillow(H, W, OH, OW, seed):
    x = noise(seed, H, W)
    clear = np.ix_(*((2 * np.arange(out) + 1) * old % (2 * out) != 0 for old, out in ((H, OH), (W, OW))))
    ours, theirs = resize(x, (OH, OW), "nearest").astype(np.float32), in_pillow(x, (OH, OW), "nearest")
    np.testing.assert_array_equal(ours[clear], theirs[clear])  # where a middle lies on an edge, theirs is round-off's
    np.testing.assert_allclose(resize(x, (OH, OW)), in_pillow(x, (OH, OW), "antialias"), atol=2e-6)


@given(OH=SIZES, OW=SIZES, kv=st.integers(1, 4), kh=st.integers(1, 4), seed=st.integers(0, 999))
def test_area_agrees_with_pillow_where_new_pixels_cover_whole_old_ones(OH, OW, kv, kh, seed):
    x = noise(seed, OH * kv, OW * kh)
    np.testing.assert_allclose(resize(x, (OH, OW), "area"), in_pillow(x, (OH, OW), "area"), atol=2e-6)


@given(H=SIZES, W=SIZES, OH=SIZES, OW=SIZES, seed=st.integers(0, 999))
def test_area_keeps_the_mean(H, W, OH, OW, seed):
    x = noise(seed, H, W)
    np.testing.assert_allclose(resize(x, (OH, OW), "area").mean(), x.mean(), atol=1e-13)


@pytest.mark.torch
@given(H=SIZES, W=SIZES, OH=SIZES, OW=SIZES, seed=st.integers(0, 999))
def test_every_method_agrees_with_pytorch(H, W, OH, OW, seed):
    torch = pytest.importorskip("torch")
    x = noise(seed, 2, 3, H, W)

    def theirs(**how):
        return torch.nn.functional.interpolate(torch.tensor(x), (OH, OW), **how).numpy()

    clear = np.ix_(*((2 * np.arange(out) + 1) * old % (2 * out) != 0 for old, out in ((H, OH), (W, OW))))
    ours = resize(x, (OH, OW), "nearest")
    np.testing.assert_array_equal(ours[..., *clear], theirs(mode="nearest-exact")[..., *clear])
    np.testing.assert_allclose(resize(x, (OH, OW), "bilinear"), theirs(mode="bilinear"), atol=1e-12)
    if W > 1 and OW > 1:  # of one column, PyTorch 2.13 gives the first pixel for all
        np.testing.assert_allclose(resize(x, (OH, OW)), theirs(mode="bilinear", antialias=True), atol=1e-12)
    if H % OH == 0 and W % OW == 0:
        np.testing.assert_allclose(resize(x, (OH, OW), "area"), theirs(mode="area"), atol=1e-12)


def test_masks_keep_their_type_and_their_numbers():
    mask = np.random.default_rng(0).integers(0, 9, (4, 7, 5))
    y = resize(mask, (11, 3), "nearest")
    assert y.dtype == mask.dtype
    assert set(np.unique(y)) <= set(np.unique(mask))
    with pytest.raises(TypeError, match="class numbers have no mean"):
        resize(mask, 3)
    with pytest.raises(ValueError, match="method must be one of nearest, bilinear, antialias, area"):
        resize(mask, 3, "cubic")
    with pytest.raises(ShapeError, match=r"pictures \(…, H, W\)"):
        resize(np.zeros(3), 3)


# ---------------------------------------------------------------- moving


@st.composite
def movements(draw):
    return {
        "angle": draw(st.floats(-400, 400)),
        "scale": draw(st.floats(0.3, 3)),
        "shear": draw(st.floats(-1, 1)),
        "down": draw(st.floats(-4, 4)),
        "right": draw(st.floats(-4, 4)),
    }


@given(way=movements(), H=SIZES, W=SIZES)
def test_the_way_back_undoes_the_way_there(way, H, W):
    """Sheared, turned, scaled and shifted by hand, and back by the matrix."""
    m = inverse_affine(**way)[0]
    np.testing.assert_allclose(m, formulas["inverse_affine"].evaluate(**way)[0], atol=1e-12)
    turn = np.deg2rad(way["angle"])
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    place = np.array([1.5, -0.7])
    sheared = place + [0, way["shear"] * place[0]]
    there = way["scale"] * rotate @ sheared + [way["down"], way["right"]]
    np.testing.assert_allclose(m[:, :2] @ there + m[:, 2], place, atol=1e-10)
    row, column = affine_places(m[None], H, W)
    walked = formulas["affine_places"].evaluate(m=m[None], H=H, W=W)
    np.testing.assert_allclose([row, column], [walked.row, walked.column], atol=1e-10)


@given(H=SIZES, W=SIZES, seed=st.integers(0, 999), fill=st.sampled_from([0.0, 0.7]))
def test_sampling_is_the_sum_of_the_tents(H, W, seed, fill):
    rng = np.random.default_rng(seed)
    x, row, column = noise(seed, 2, 2, H, W), rng.uniform(-2, H + 1, (2, 3, 4)), rng.uniform(-2, W + 1, (2, 3, 4))
    row[0, 0], column[0, 1] = rng.integers(-2, H + 2, 4), rng.integers(-2, W + 2, 4)  # on pixels and edges too
    walked = formulas["sample"].evaluate(x=x, row=row, column=column, fill=fill)
    np.testing.assert_allclose(sample(x, row, column, fill), walked, atol=1e-13)


@pytest.mark.torch
@given(way=movements(), H=SIZES, W=SIZES, seed=st.integers(0, 999), border=st.sampled_from(["fill", "edge", "reflect"]))
def test_affine_agrees_with_pytorch(way, H, W, seed, border):
    """PyTorch counts from −1 to 1 over each side, columns first: its θ is our matrix in those units."""
    torch = pytest.importorskip("torch")
    x, m = noise(seed, 1, 2, H, W), inverse_affine(**way)[0]
    theta = np.array([[m[1, 1], m[1, 0] * H / W, 2 * m[1, 2] / W], [m[0, 1] * W / H, m[0, 0], 2 * m[0, 2] / H]])
    grid = torch.nn.functional.affine_grid(torch.tensor(theta[None]), (1, 2, H, W), align_corners=False)
    padding = {"fill": "zeros", "edge": "border", "reflect": "reflection"}[border]
    theirs = torch.nn.functional.grid_sample(torch.tensor(x), grid, padding_mode=padding, align_corners=False)
    np.testing.assert_allclose(affine(x, **way, border=border), theirs.numpy(), atol=1e-9)


@pytest.mark.parametrize("angle", [-70, -15, 3, 30, 45, 100, 200])
def test_rotation_agrees_with_pillow_inside_the_picture(angle):
    """At its edge Pillow fades differently; there only the inside is compared."""
    x = noise(7, 31, 40)
    theirs = np.asarray(Image.fromarray(x.astype(np.float32)).rotate(angle, Image.Resampling.BILINEAR))
    row, column = affine_places(inverse_affine(angle=angle), 31, 40)
    inside = ((row > 0) & (row < 30) & (column > 0) & (column < 39))[0]
    assert inside.mean() > 0.4
    np.testing.assert_allclose(affine(x[None], angle=angle)[0][inside], theirs[inside], atol=1e-4)


@given(L=SIZES, k=st.integers(-8, 8), seed=st.integers(0, 999), nearest=st.booleans())
def test_quarter_turns_of_a_square_are_exact(L, k, seed, nearest):
    x = noise(seed, 2, L, L)
    np.testing.assert_array_equal(affine(x, angle=90.0 * k, nearest=nearest), np.rot90(x, k, axes=(1, 2)))
    assert np.all(np.abs(np.array(cosine_and_sine(90.0 * k))).sum() == 1)


@given(H=SIZES, W=SIZES, down=st.integers(-5, 5), right=st.integers(-5, 5), seed=st.integers(0, 999))
def test_whole_shifts_are_exact_for_every_border(H, W, down, right, seed):
    x = noise(seed, 1, H, W)
    for border, how in (("fill", "constant"), ("edge", "edge"), ("reflect", "symmetric")):
        wide = np.pad(x, ((0, 0), (5, 5), (5, 5)), how)
        expected = wide[:, 5 - down : 5 - down + H, 5 - right : 5 - right + W]
        for nearest in (True, False):
            got = affine(x, down=down, right=right, border=border, nearest=nearest)
            np.testing.assert_array_equal(got, expected)


@given(place=st.floats(-50, 50), size=st.integers(1, 9))
def test_folding_stays_inside(place, size):
    for border in ("edge", "reflect"):
        assert 0 <= fold(np.array([place]), size, border)[0] <= size - 1


def test_each_picture_of_a_batch_goes_its_own_way():
    x, angles = noise(1, 3, 2, 6, 9), np.array([0.0, 30.0, 180.0])
    y = affine(x, angle=angles, scale=2.0)
    for one, angle, expected in zip(x, angles, y, strict=True):
        np.testing.assert_allclose(affine(one, angle=angle, scale=2.0), expected, atol=1e-14)


def test_what_cannot_be_moved_is_refused():
    with pytest.raises(TypeError, match="class numbers have no mean"):
        affine(np.zeros((1, 4, 4), int), angle=3)
    with pytest.raises(ValueError, match="border must be one of fill, edge, reflect"):
        affine(np.zeros((1, 4, 4)), border="wrap")
    with pytest.raises(ValueError, match="scale must be above 0"):
        affine(np.zeros((1, 4, 4)), scale=0)
    with pytest.raises(ShapeError, match=r"x must be \(C, H, W\)"):
        affine(np.zeros((4, 4)))


def test_nearest_takes_the_nearest_pixel_and_fill_outside():
    x = np.arange(12).reshape(1, 1, 3, 4)
    row, column = np.array([[[0.49, 0.5, -0.6, 2.4]]]), np.array([[[0.0, 3.4, 1.0, 3.5]]])
    assert sample_nearest(x, row, column, fill=99).ravel().tolist() == [0, 7, 99, 99]


# ---------------------------------------------------------------- padding and cropping


@given(H=SIZES, W=SIZES, padding=st.tuples(*[st.integers(0, 3)] * 4), seed=st.integers(0, 999))
def test_a_crop_undoes_a_padding(H, W, padding, seed):
    x = noise(seed, 2, H, W)
    for border in ("fill", "edge", "reflect"):
        wide = pad(x, padding, border, fill=7)
        assert wide.shape == (2, H + padding[0] + padding[1], W + padding[2] + padding[3])
        np.testing.assert_array_equal(crop(wide, (H, W), padding[0], padding[2]), x)


def test_a_crop_beyond_the_edge_is_refused():
    for size, top in ((5, None), (2, 3), (2, -1)):
        with pytest.raises(ShapeError, match=r"reaches outside the 4×4 picture"):
            crop(np.zeros((4, 4)), size, top=top)
    with pytest.raises(ValueError, match="border must be one of"):
        pad(np.zeros((4, 4)), 1, "wrap")
