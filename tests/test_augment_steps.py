"""The random numbers of augmentation, and what each single step does with them."""

from __future__ import annotations

import numpy as np
from augmentations import KEYS, pictures
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tinycnn.data import (
    Cutout,
    GaussianNoise,
    MixUp,
    RandomAffine,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotate90,
    adjust,
    crop,
    mixup,
    one_hot,
)
from tinycnn.data.draws import Draws, scramble
from tinycnn.formula import formulas

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
