"""Augmentation: repeatable by any number of workers, and registered with its masks."""

from __future__ import annotations

import numpy as np
import pytest
from augmentations import ALL, KEYS, LOOKS, MOVES, pictures
from hypothesis import given
from hypothesis import strategies as st

import tinycnn as tc
from tinycnn.data import (
    Compose,
    GaussianNoise,
    MixUp,
    RandomAffine,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotate90,
    Resize,
)
from tinycnn.data.augment import Augmentation
from tinycnn.errors import ShapeError

# ---------------------------------------------------------------- what holds of every augmentation


@pytest.mark.parametrize("name", ALL)
@given(key=KEYS, seed=st.integers(0, 999), single=st.booleans())
def test_the_same_example_in_the_same_epoch_is_changed_alike_by_any_number_of_workers(name, key, seed, single):
    x, augment = pictures(seed), ALL[name]
    mask = np.random.default_rng(seed).integers(0, 9, (5, 8, 8))
    index, options = np.array([40, 3, 17, 8, 9]), {"seed": key[0], "epoch": key[1]}
    y, moved = augment(x, mask, index=index, **options)
    for part in ([0], [1, 2], [3, 4]) if not single else ():
        again, moved_again = augment(x[part], mask[part], index=index[part], **options)
        np.testing.assert_array_equal(again, y[part])
        np.testing.assert_array_equal(moved_again, moved[part])
    one, moved_one = augment(x[2], mask[2], index=17, **options)
    np.testing.assert_array_equal(one, y[2])
    np.testing.assert_array_equal(moved_one, moved[2])


@pytest.mark.parametrize("name", ALL)
@given(seed=st.integers(0, 999), dtype=st.sampled_from([np.float32, np.float64]), N=st.integers(0, 3))
def test_arguments_are_left_alone_the_type_is_kept_and_the_result_is_its_own(name, seed, dtype, N):
    x = pictures(seed, N).astype(dtype)
    mask = (x[:, :1] * 9).astype(np.uint8)
    x.flags.writeable = mask.flags.writeable = False
    y, moved = ALL[name](x, mask, seed=seed)
    assert (y.dtype, moved.dtype) == (dtype, np.uint8)
    assert len(y) == len(moved) == N
    assert moved.shape[1:] == (1, *y.shape[2:])
    assert not np.shares_memory(y, x)
    strange = np.asfortranarray(x)[:, :, ::-1][:, :, ::-1].astype(np.dtype(dtype).newbyteorder(">"))
    np.testing.assert_allclose(ALL[name](strange, seed=seed), y, atol=1e-6)


@pytest.mark.parametrize(
    "name", {k: v for k, v in ALL.items() if k not in ("resize", "centre", "pad", "pad, mirrored", "normalise")}
)
def test_seeds_epochs_and_examples_differ(name):
    x, augment = np.repeat(pictures(1, 1), 16, axis=0), ALL[name]
    y = augment(x)
    assert any(not np.array_equal(y[0], one) for one in y[1:])
    assert not np.array_equal(augment(x, epoch=1), y)
    assert not np.array_equal(augment(x, seed=1), y)


@pytest.mark.parametrize("name", MOVES)
@given(key=KEYS, seed=st.integers(0, 999))
def test_image_and_mask_stay_registered(name, key, seed):
    """A picture whose colour says which class each pixel is: after any movement it still does, blended ones aside."""
    rng, (s, e) = np.random.default_rng(seed), key
    mask = rng.integers(1, 5, (4, 8, 8))
    own = mask.repeat(8, axis=1).repeat(8, axis=2) if "affine" in name or name in ("turned", "several") else mask
    x = np.stack([own / 4.0, 1 - own / 4.0], axis=1)  # both channels know the class
    augment = MOVES[name]
    y, moved = augment(x, own, seed=s, epoch=e)
    wanted = np.where(moved[:, None] > 0, np.stack([moved / 4.0, 1 - moved / 4.0], axis=1), 0)
    right = np.isclose(y, wanted, atol=1e-9).all(axis=1)
    if name == "resize":  # blended everywhere: where a pixel is pure, it is right
        nearest = Resize((11, 6), "nearest")(x)
        np.testing.assert_allclose(nearest, wanted)
    elif own is mask:
        assert right.all()
    else:
        assert right.mean() > 0.6  # all but the blended seams between classes
        blended = np.abs(y[:, 0] - wanted[:, 0])[~right]
        assert (blended <= 1).all()


@pytest.mark.parametrize("name", MOVES)
@given(seed=st.integers(0, 999))
def test_a_mask_moves_as_the_same_picture_would_by_its_nearest_pixels(name, seed):
    """Exactly: where each pixel went is read from a picture of places, one and the same for both."""
    augment = MOVES[name]
    places = np.arange(1, 65).reshape(1, 8, 8).repeat(3, axis=0)
    smooth = np.stack([places / 64.0, np.indices((8, 8))[0] / 8.0 + 0.0 * places], axis=1)
    y, moved = augment(smooth, places, seed=seed)
    inside = moved > 0
    row, column = (moved - 1) // 8, (moved - 1) % 8
    expected_row = y[:, 1] * 8
    spread = 8 / 11 + 0.5 if name == "resize" else 0.5
    if name not in ("affine", "affine, edge", "affine, mirrored", "turned", "several"):
        np.testing.assert_array_less(np.abs(expected_row - row)[inside], spread + 1e-6)
    else:  # blended with the outside at the border: there the value fades, and only there
        deep = inside & (row > 0) & (row < 7) & (column > 0) & (column < 7) & (y[:, 0] > 0)
        if augment is MOVES["several"]:
            return
        np.testing.assert_array_less(np.abs(expected_row - row)[deep], 0.5 + 1e-6)


@pytest.mark.parametrize("name", LOOKS)
def test_what_only_recolours_leaves_the_mask_alone(name):
    mask = np.random.default_rng(0).integers(0, 9, (5, 8, 8))
    y, same = LOOKS[name](pictures(0), mask)
    np.testing.assert_array_equal(same, mask)
    assert y.shape == (5, 3, 8, 8)


# ---------------------------------------------------------------- what is refused


def test_what_does_not_fit_is_refused():
    x, square = pictures(0), RandomFlip()
    for wrong, error, words in [
        (lambda: square(np.zeros((3, 8, 8), np.uint8)), TypeError, "bytes become"),
        (lambda: square(x[0, 0]), ShapeError, r"got shape \(8, 8\)"),
        (lambda: square(x, np.zeros((4, 8, 8))), ShapeError, r"must be \(5, 8, 8\), got shape \(4, 8, 8\)"),
        (lambda: square(x[0], np.zeros((8, 7))), ShapeError, r"must be \(8, 8\), got shape \(8, 7\)"),
        (lambda: square(x, index=[1, 2]), ShapeError, "index must be 5 integers"),
        (lambda: RandomFlip("left"), ValueError, "axis must be"),
        (lambda: RandomFlip(p=1.5), ValueError, r"a probability is in \[0, 1\]"),
        (lambda: RandomCrop(9)(x), ShapeError, "9×9 does not fit into 8×8"),
        (lambda: RandomRotate90()(pictures(0, H=6)), ShapeError, "must be square"),
        (lambda: RandomAffine(scale=1.5), ValueError, "scale must stay above 0"),
        (lambda: RandomBrightness(1.5), ValueError, "must not be negative"),
        (lambda: RandomContrast((2, 1)), ValueError, "a range"),
        (lambda: RandomAffine(border="wrap"), ValueError, "border must be"),
        (lambda: Resize(3, "cubic"), ValueError, "method must be"),
        (lambda: GaussianNoise(-1), ValueError, "std must be"),
        (lambda: MixUp(0), ValueError, "alpha must be"),
        (lambda: MixUp()(x), ShapeError, "with their targets"),
        (lambda: Compose([RandomFlip(), np.flip]), TypeError, "Compose takes augmentations"),
        (lambda: MixUp().batch(x, np.zeros(5, int), 0, 0, np.arange(5)), TypeError, "use one_hot"),
    ]:
        with pytest.raises(error, match=words):
            wrong()


def test_an_augmentation_prints_as_it_is_written():
    assert repr(Compose([RandomFlip(), RandomBrightness(0.25)])) == (
        "Compose([RandomFlip(axis='horizontal', p=0.5), RandomBrightness(amount=(0.75, 1.25))])"
    )


def test_each_is_public_and_every_step_is_an_augmentation():
    for augment in ALL.values():
        assert isinstance(augment, Augmentation)
        assert type(augment).__name__ in tc.data.__all__
