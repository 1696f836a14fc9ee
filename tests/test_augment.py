"""Augmentation: repeatable by any number of workers, registered with its masks, and for training data alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tinycnn as tc
from tinycnn import Conv2D, Dense, Flatten, ReLU, Sequential
from tinycnn.data import (
    CentreCrop,
    Compose,
    Cutout,
    GaussianNoise,
    MixUp,
    Normalise,
    Pad,
    RandomAffine,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomGray,
    RandomHue,
    RandomRotate90,
    RandomSaturation,
    Resize,
    adjust,
    crop,
    mixup,
    one_hot,
)
from tinycnn.data.augment import Augmentation
from tinycnn.data.draws import Draws, scramble
from tinycnn.errors import ShapeError
from tinycnn.formula import formulas

MOVES = {
    "flip": RandomFlip(),
    "upside down": RandomFlip("vertical"),
    "quarters": RandomRotate90(),
    "crop": RandomCrop(5),
    "padded crop": RandomCrop(8, padding=(2, 1)),
    "mirrored crop": RandomCrop((8, 7), padding=3, border="reflect"),
    "edge crop": RandomCrop(9, padding=2, border="edge"),
    "turned": RandomAffine(angle=180),
    "affine": RandomAffine(30, (0.7, 1.5), 0.3, 0.2),
    "affine, edge": RandomAffine(90, 0.2, border="edge"),
    "affine, mirrored": RandomAffine(90, 0.2, shift=0.4, border="reflect"),
    "resize": Resize((11, 6)),
    "centre": CentreCrop((3, 5)),
    "pad": Pad((1, 0, 2, 3)),
    "pad, mirrored": Pad(2, border="reflect"),
    "several": Compose([RandomFlip(), RandomAffine(20), RandomCrop(6), Compose([RandomFlip("vertical"), Pad(1)])]),
}
LOOKS = {
    "brightness": RandomBrightness(0.4),
    "contrast": RandomContrast(0.5),
    "saturation": RandomSaturation((0, 2)),
    "hue": RandomHue(0.2),
    "gray": RandomGray(0.5),
    "noise": GaussianNoise(0.1),
    "cutout": Cutout((3, 4), 0.5),
    "normalise": Normalise((0.5, 0.4, 0.3), 0.2),
    "several looks": Compose([RandomBrightness(0.2), RandomHue(0.1), GaussianNoise(0.02)]),
}
ALL = MOVES | LOOKS
KEYS = st.tuples(st.integers(0, 2**70), st.integers(0, 1000))


def pictures(seed: int, N: int = 5, C: int = 3, H: int = 8, W: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).random((N, C, H, W))


# ---------------------------------------------------------------- the random numbers


def test_the_counter_is_scrambled_as_published():
    """The first numbers of SplitMix64 from the seed 1234567, as implementations of it agree on them."""
    steps = 1234567 + 0x9E3779B97F4A7C15 * np.arange(1, 6, dtype=object)
    state = np.array([int(s) % 2**64 for s in steps], np.uint64)
    assert scramble(state).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(key=KEYS, index=st.lists(st.integers(0, 10**9), min_size=1, max_size=6, unique=True))
def test_an_example_draws_the_same_numbers_in_any_company(key, index):
    def draw(index):
        draws = Draws(*key, index)
        return [
            draws.uniform(),
            draws.child(3).whole(-2, 9),
            draws.normal((2, 3)),
            draws.chance(0.3),
            draws.uniform(shape=(4,)),
        ]

    together = draw(index)
    for place, i in enumerate(index):
        for all_of_them, alone in zip(together, draw([i]), strict=True):
            np.testing.assert_array_equal(all_of_them[place], alone[0])


def test_the_numbers_look_drawn():
    """Moments, evenness and independence of 10⁵ numbers over every key, in five standard errors."""
    n = 100_000
    streams = {
        "seed": np.concatenate([Draws(s, 0, np.arange(10)).uniform() for s in range(n // 10)]),
        "epoch": np.concatenate([Draws(0, e, np.arange(10)).uniform() for e in range(n // 10)]),
        "index": Draws(0, 0, np.arange(n)).uniform(),
        "count": Draws(0, 0, [7]).uniform(shape=(n,))[0],
        "child": np.concatenate([Draws(0, 0, np.arange(100)).child(k).uniform() for k in range(n // 100)]),
    }
    for name, u in streams.items():
        assert abs(u.mean() - 0.5) < 5 / np.sqrt(12 * n), name
        chi2 = ((np.bincount((u * 100).astype(int), minlength=100) - n / 100) ** 2 / (n / 100)).sum()
        assert abs(chi2 - 99) < 5 * np.sqrt(2 * 99), name
        assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 5 / np.sqrt(n), name
    for a, b in ((0, 1), (1, 2)):
        one, other = Draws(a, 0, np.arange(n)).uniform(), Draws(b, 0, np.arange(n)).uniform()
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(n)
        assert abs(
            np.corrcoef(Draws(0, a, np.arange(n)).uniform(), Draws(0, b, np.arange(n)).uniform())[0, 1]
        ) < 5 / np.sqrt(n)
    z = Draws(1, 2, [3]).normal((n,))[0]
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - expected) < 5 * np.sqrt(variance / n)
    assert sorted(set(Draws(0, 0, np.arange(999)).whole(-1, 2))) == [-1, 0, 1, 2]


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


# ---------------------------------------------------------------- each of them


@given(key=KEYS, seed=st.integers(0, 999))
def test_flips_and_quarter_turns_are_exact_and_undone_by_themselves(key, seed):
    x, (s, e) = pictures(seed), key
    for augment, candidates in [
        (RandomFlip(), [x, x[..., ::-1]]),
        (RandomFlip("vertical"), [x, x[..., ::-1, :]]),
        (RandomRotate90(), [np.rot90(x, k, (2, 3)) for k in range(4)]),
    ]:
        y = augment(x, seed=s, epoch=e)
        for n in range(len(x)):
            assert sum(np.array_equal(y[n], one[n]) for one in candidates) == 1
        again = y
        for _ in range(len(candidates) - 1):  # the same draw again: a flip twice, a turn four times
            again = augment(again, seed=s, epoch=e)
        np.testing.assert_array_equal(again, x)


def test_flips_are_as_frequent_as_told():
    x = np.zeros((4000, 1, 1, 2), np.float32)
    x[..., 1] = 1
    for p in (0.0, 0.2, 0.5, 1.0):
        assert abs((RandomFlip(p=p)(x)[..., 0] == 1).mean() - p) < 5 * np.sqrt(p * (1 - p) / 4000) + 1e-9
    turned = RandomRotate90()(np.tile(np.arange(4.0).reshape(1, 1, 2, 2), (4000, 1, 1, 1)))
    counts = np.unique(turned[:, 0, 0, 0], return_counts=True)[1]
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 3 / 16)


def test_every_place_of_a_crop_comes_up():
    x = np.tile(np.arange(25.0).reshape(1, 1, 5, 5) / 25, (2000, 1, 1, 1))
    corners = (RandomCrop(3)(x)[:, 0, 0, 0] * 25).round().astype(int)
    assert sorted(set(corners)) == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    for y, corner in zip(RandomCrop(3)(x)[:9], corners, strict=False):
        np.testing.assert_array_equal(y, crop(x[0], 3, *divmod(corner, 5)))


def test_factors_are_drawn_from_their_range():
    x = np.full((2000, 3, 1, 1), 0.5, np.float64)
    factors = RandomBrightness((0.5, 1.5))(x)[:, 0, 0, 0] / 0.5
    assert 0.5 <= factors.min() < 0.51
    assert 1.49 < factors.max() < 1.5
    y = RandomContrast(0.3)(pictures(0, 1), seed=5)
    low, high = (adjust.contrast(pictures(0, 1), f) for f in (0.7, 1.3))
    assert ((np.minimum(low, high) - 1e-12 <= y) & (y <= np.maximum(low, high) + 1e-12)).all()


def test_affine_ranges_are_kept_to():
    draws = Draws(0, 0, np.arange(2000))
    way = RandomAffine(angle=(10, 20), scale=(0.5, 2), shear=0.1, shift=0.25).draw(draws, (8, 16))
    for name, low, high in (
        ("angle", 10, 20),
        ("scale", 0.5, 2),
        ("shear", -0.1, 0.1),
        ("down", -2, 2),
        ("right", -4, 4),
    ):
        assert low <= way[name].min() < low + 0.01 * (high - low), name
        assert high - 0.02 * (high - low) < way[name].max() <= high, name


def test_noise_has_its_deviation_and_is_clipped():
    y = GaussianNoise(0.1)(np.full((1, 1, 200, 200), 0.5))
    assert abs(y.std() - 0.1) < 5 * 0.1 / np.sqrt(2 * 40_000)
    assert abs(y.mean() - 0.5) < 5 * 0.1 / 200
    y = GaussianNoise(2.0)(np.full((1, 1, 50, 50), 0.5))
    assert (y.min(), y.max()) == (0, 1)


@given(seed=st.integers(0, 999), h=st.integers(1, 9), w=st.integers(1, 9))
def test_a_hole_is_one_rectangle_in_all_channels_and_the_rest_is_untouched(seed, h, w):
    x = 0.1 + 0.8 * pictures(seed, 3)
    y = Cutout((h, w))(x, seed=seed)
    hole = (y == 0).all(axis=1)
    np.testing.assert_array_equal(y, np.where(hole[:, None], 0, x))
    for one in hole:
        rows, columns = np.flatnonzero(one.any(axis=1)), np.flatnonzero(one.any(axis=0))
        assert one.sum() == len(rows) * len(columns)
        assert 1 <= len(rows) <= h
        assert 1 <= len(columns) <= w
        assert np.ptp(rows) == len(rows) - 1


@given(seed=st.integers(0, 999), alpha=st.floats(0.05, 5), N=st.integers(1, 7))
def test_mixup_mixes_pictures_and_targets_by_the_same_share(seed, alpha, N):
    labels = np.random.default_rng(seed).permutation(N)
    t = one_hot(labels, N)
    x = t.reshape(N, 1, 1, N).astype(np.float64)  # pictures that say what they are: so must the mixtures
    y, mixed = MixUp(alpha).batch(x, t, seed=seed, epoch=0, index=np.arange(N))
    np.testing.assert_allclose(y.reshape(N, N), mixed, atol=1e-6)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed.sum(), N, atol=1e-5)
    lam, partner = np.random.default_rng(seed).random(N), np.random.default_rng(seed).permutation(N)
    walked = formulas["mixup"].evaluate(x=x, lam=lam, partner=partner)
    np.testing.assert_allclose(mixup(x, lam, partner), walked.reshape(x.shape), atol=1e-15)


def test_mixup_agrees_with_pillow_s_blend():
    a, b = (pictures(s, 1, 3, 9, 7)[0] for s in (1, 2))
    images = [Image.fromarray((one.transpose(1, 2, 0) * 255).round().astype(np.uint8)) for one in (a, b)]
    x = np.stack([np.asarray(one).transpose(2, 0, 1) / 255 for one in images])
    theirs = np.asarray(Image.blend(images[1], images[0], 0.3)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(mixup(x, np.array([0.3, 1]), np.array([1, 0]))[0], theirs, atol=1.01 / 255)


def test_small_shares_come_from_a_small_alpha():
    t = np.eye(2, dtype=np.float32)[np.arange(400) % 2]
    x = t.reshape(400, 1, 1, 2)
    middle = [np.mean(np.abs(MixUp(a).batch(x, t, 0, 0, np.arange(400))[1][:, 0] - 0.5) < 0.25) for a in (0.05, 5.0)]
    assert middle[0] < 0.1 < middle[1]


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


# ---------------------------------------------------------------- training with it


class Seen(Augmentation):
    """Changes nothing that matters, and notes what it is given."""

    def __init__(self):
        self.calls = []

    def batch(self, x, t, seed, epoch, index):
        self.calls.append((seed, epoch, np.array(index), x.copy(), t.copy()))
        return x, t


def network(seed: int = 3) -> Sequential:
    model = Sequential([Conv2D(3, 3, padding="same"), ReLU(), Flatten(), Dense(10)], input_shape=(1, 8, 8), seed=seed)
    model.compile(optimizer="sgd", loss="cross_entropy", metrics=["accuracy"])
    return model


def weights(model) -> np.ndarray:
    return np.concatenate([w.ravel() for w in model.named_params().values()])


def test_training_sees_every_example_once_an_epoch_with_its_own_number_and_the_model_s_seed():
    train, val, _ = tc.data.load_digits()
    x, y, seen, model = train.x[:50], train.y[:50], Seen(), network(seed=3)
    model.fit(x, y, epochs=2, batch_size=16, augment=seen, validation_data=(val.x, val.y), verbose=0)
    model.fit(x, y, epochs=1, batch_size=16, augment=seen, verbose=0)
    assert {call[0] for call in seen.calls} == {3}
    assert [call[1] for call in seen.calls] == [0] * 4 + [1] * 4 + [2] * 4
    for epoch in range(3):
        index = np.concatenate([call[2] for call in seen.calls if call[1] == epoch])
        assert sorted(index) == list(range(50))
    for _, _, index, x_batch, t_batch in seen.calls:
        np.testing.assert_array_equal(x_batch, x[index])
        np.testing.assert_array_equal(t_batch, y[index])


def test_validation_and_test_data_are_never_augmented():
    """An augmentation that wipes every picture: training is blind, and validation is what it is without any."""

    class Wipe(Augmentation):
        def apply(self, x, mask, draws):
            return np.zeros_like(x), mask

    train, val, test = tc.data.load_digits()
    model = network()
    history = model.fit(train.x[:64], train.y[:64], validation_data=(val.x, val.y), augment=Wipe(), verbose=0)
    result = model.evaluate(val.x, val.y)
    assert history["val_loss"][-1] == result.loss
    assert history["val_accuracy"][-1] == result["accuracy"]
    assert len(np.unique(model.predict(test.x), axis=0)) > 100
    assert abs(history["loss"][-1] - np.log(10)) < 0.05  # blind: no better than a guess


def test_no_augmentation_and_one_that_changes_nothing_train_alike_and_a_seed_repeats_itself():
    train, _, _ = tc.data.load_digits()
    x, y, trained = train.x[:60], train.y[:60], {}
    augment = Compose([RandomCrop(8, padding=1), RandomBrightness(0.2)])
    for name, what in {"plain": None, "nothing": RandomFlip(p=0), "a": augment, "b": augment}.items():
        model = network()
        model.fit(x, y, epochs=2, batch_size=16, augment=what, verbose=0)
        trained[name] = weights(model)
    np.testing.assert_array_equal(trained["plain"], trained["nothing"])
    np.testing.assert_array_equal(trained["a"], trained["b"])
    assert not np.array_equal(trained["a"], trained["plain"])


def test_masks_are_moved_with_their_pictures_in_training():
    """Pixels to be told apart by their brightness: learnt only if mask and picture stay together."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (40, 1, 6, 6)).astype(np.float32)
    t = x[:, 0].astype(np.int64)
    model = Sequential([Conv2D(2, 1)], input_shape=(1, 6, 6), seed=0)
    model.compile(optimizer=tc.optim.Adam(0.1), loss="cross_entropy")
    augment = Compose([RandomFlip(), RandomRotate90(), RandomCrop(6, padding=2)])
    history = model.fit(x, t, epochs=12, batch_size=10, augment=augment, verbose=0)
    assert history["loss"][-1] < 0.1  # and 0.69 is a guess
    for targets in (t, t[:, None], np.stack([1 - t, t], axis=1).astype(np.float32)):
        y, moved = augment.batch(x, targets, 0, 0, np.arange(40))
        assert moved.shape == targets.shape
        np.testing.assert_array_equal(y[:, 0], moved if moved.ndim == 3 else moved[:, -1])


def test_mixup_trains_with_probabilities():
    train, _, _ = tc.data.load_digits()
    model = network()
    model.compile(optimizer="sgd", loss="cross_entropy")
    history = model.fit(train.x[:64], one_hot(train.y[:64], 10), augment=Compose([RandomFlip(), MixUp(0.4)]), verbose=0)
    assert np.isfinite(history["loss"][-1])


def test_what_cannot_augment_is_refused_before_training():
    train, _, _ = tc.data.load_digits()
    model = network()
    before = weights(model)
    with pytest.raises(TypeError, match=r"augment must be an augmentation of tinycnn\.data"):
        model.fit(train.x, train.y, augment=np.flip, verbose=0)
    with pytest.raises(ShapeError, match=r"augment made pictures \(1, 8, 8\) into \(1, 4, 4\)"):
        model.fit(train.x, train.y, augment=CentreCrop(4), verbose=0)
    np.testing.assert_array_equal(weights(model), before)


def test_each_is_public_and_every_step_is_an_augmentation():
    for augment in ALL.values():
        assert isinstance(augment, Augmentation)
        assert type(augment).__name__ in tc.data.__all__
