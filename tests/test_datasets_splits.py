"""Splits that divide no group, statistics of the training part alone, and the generated shapes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinycnn as tc
from tinycnn.data import (
    Dataset,
    channel_statistics,
    class_weights,
    folds,
    group_folds,
    group_split,
    load_shapes,
    train_test_split,
)
from tinycnn.data.statistics import Moments
from tinycnn.errors import ModelFormatError, ShapeError
from tinycnn.verify.witness_data import data_rows

bounded = settings(deadline=None, max_examples=100)
group_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=15)
weights = st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any)


def groups_of(sizes, seed):
    return np.random.default_rng(seed).permutation(np.repeat([f"g{i}" for i in range(len(sizes))], sizes))


@bounded
@given(sizes=group_sizes, weights=weights, seed=st.integers(0, 99))
def test_groups_are_never_divided_and_parts_are_disjoint_covering_and_near_their_sizes(sizes, weights, seed):
    groups, fractions = groups_of(sizes, seed), np.array(weights) / sum(weights)
    parts = group_split(groups, fractions, seed)
    assert sorted(int(i) for p in parts for i in p) == list(range(len(groups)))
    held = [set(groups[p]) for p in parts]
    assert sum(map(len, held)) == len(set(groups))
    for part, fraction in zip(parts, fractions, strict=True):
        assert np.array_equal(part, np.sort(part))
        assert len(part) - fraction * len(groups) <= max(sizes)
    again = group_split(groups, fractions, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


@bounded
@given(sizes=group_sizes, k=st.integers(2, 6), seed=st.integers(0, 99))
def test_group_folds_test_each_group_once_and_whole(sizes, k, seed):
    groups = groups_of(sizes, seed)
    if len(sizes) < k:
        with pytest.raises(ValueError, match=f"from 2 to the number of groups, {len(sizes)}; got {k}"):
            group_folds(groups, k, seed)
        return
    rounds = list(group_folds(groups, k, seed))
    assert sorted(int(i) for _, test in rounds for i in test) == list(range(len(groups)))
    for train, test in rounds:
        assert sorted([*train, *test]) == list(range(len(groups)))
        assert not set(groups[train]) & set(groups[test])
        assert len(test) > 0
    lengths = [len(test) for _, test in rounds]
    assert max(lengths) - min(lengths) <= max(sizes)


@bounded
@given(n=st.integers(2, 60), k=st.integers(2, 8), seed=st.integers(0, 99))
def test_folds_test_each_example_once(n, k, seed):
    if n < k:
        with pytest.raises(ValueError, match="from 2 to the number of examples"):
            folds(n, k, seed)
        return
    tests = [test for _, test in folds(n, k, seed)]
    assert sorted(int(i) for test in tests for i in test) == list(range(n))
    assert {len(test) for test in tests} <= {n // k, n // k + 1}


@bounded
@given(n=st.integers(4, 80), share=st.floats(0.1, 0.9), seed=st.integers(0, 99), K=st.integers(1, 4))
def test_train_test_split_keeps_examples_together_with_their_labels(n, share, seed, K):
    x, y = np.arange(n), np.arange(n) % K
    if not 0 < round(share * n) < n:
        return
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=share, seed=seed, stratify=y)
    assert np.array_equal(y_train, x_train % K)
    assert np.array_equal(y_test, x_test % K)
    assert sorted([*x_train, *x_test]) == list(range(n))
    assert abs(len(x_test) - share * n) < 1
    for k in range(K):
        assert abs((y_test == k).sum() - (y == k).sum() * len(x_test) / n) <= 1


def test_a_dataset_is_split_with_its_classes_and_groups_stay_whole():
    data = load_shapes(40, size=8)
    train, test = train_test_split(data, test_size=0.25, stratify=data.y)
    assert (len(train), len(test), train.classes) == (30, 10, data.classes)
    patients = np.arange(40) // 5
    _, _, left, right = train_test_split(data, patients, test_size=0.25, groups=patients)
    assert not set(left) & set(right)
    assert len(right) == 10


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [((), {}, "same length, got no data"), ((range(3), range(4)), {}, r"same length, got \[3, 4\]"),
     ((range(3),), {"test_size": 1.0}, "between 0 and 1"), ((range(3),), {"stratify": [0]}, "1 labels to stratify by"),
     ((range(3),), {"groups": [0]}, "1 groups, 3 examples"), ((range(1),), {}, "leave 1 to train and 0 to test"),
     ((range(2),), {"stratify": [0, 1], "groups": [0, 1]}, "stratify or group"),
     ((range(3),), {"groups": [0, 0, 0]}, "leave 3 to train and 0 to test")],
)  # fmt: skip
def test_a_split_that_makes_no_sense_is_refused(data, options, said):
    with pytest.raises(ValueError, match=said):
        train_test_split(*data, **options)


# Statistics


@bounded
@given(cuts=st.lists(st.integers(0, 20), max_size=4), seed=st.integers(0, 99))
def test_statistics_of_parts_are_those_of_the_whole(cuts, seed):
    x = np.random.default_rng(seed).standard_normal((20, 3, 2, 4)) * [[[[5.0]], [[0.1]], [[1.0]]]] + 100
    moments = Moments()
    for part in np.split(x, sorted(cuts)):
        if len(part):
            moments.add(part)
    found = moments.values()
    assert np.allclose(found["mean"], x.mean(axis=(0, 2, 3)), rtol=1e-13)
    assert np.allclose(found["std"], x.std(axis=(0, 2, 3)), rtol=1e-10)


def test_statistics_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match="there are no numbers"):
        channel_statistics(np.zeros((0, 3, 2, 2)))
    with pytest.raises(ValueError, match="not all numbers are finite"):
        channel_statistics(np.array([[np.nan, 1.0]]))
    with pytest.raises(ShapeError, match=r"expected x \(N, C, …\)"):
        channel_statistics(np.zeros(3))


def test_class_weights_make_every_class_count_alike():
    y = np.array([0] * 7 + [1] * 2 + [2])
    w = class_weights(y)
    assert np.allclose([w[k] * (y == k).sum() for k in range(3)], 10 / 3)
    with pytest.raises(ValueError, match="there is no example of 1, 3"):
        class_weights([0, 2], num_classes=4)


def test_the_statistics_have_their_witnesses():
    for seed in (0, 1):
        rows = data_rows(seed=seed)
        assert len({(row.formula, row.witness) for row in rows}) == 5
        assert all(row.passed for row in rows), [row for row in rows if not row.passed]


def network(**options):
    model = tc.Sequential([tc.Flatten(), tc.Dense(3)], input_shape=(2, 8, 9), seed=1, **options)
    model.compile(optimizer="sgd", loss="cross_entropy", metrics=["accuracy"])
    return model


def test_a_model_normalises_in_fit_evaluate_and_predict_alike_and_so_does_its_file(tmp_path):
    data = load_shapes(30, size=(8, 9), channels=2, seed=4)
    train, test = train_test_split(data, stratify=data.y)
    statistics = channel_statistics(train.x)
    m, s = (np.array(statistics[k], np.float32).reshape(1, 2, 1, 1) for k in ("mean", "std"))
    by_hand = [Dataset((part.x - m) / s, part.y, part.classes) for part in (train, test)]
    own, plain = network(preprocessing={"normalise": statistics}), network()
    first = own.fit(train.x, train.y, epochs=2, validation_data=(test.x, test.y), verbose=0)
    second = plain.fit(by_hand[0].x, by_hand[0].y, epochs=2, validation_data=(by_hand[1].x, by_hand[1].y), verbose=0)
    assert dict(first) == dict(second)
    assert np.array_equal(own.predict(test.x), plain.predict(by_hand[1].x))
    assert own.evaluate(test.x, test.y).as_dict() == plain.evaluate(by_hand[1].x, by_hand[1].y).as_dict()
    own.save(tmp_path / "m.safetensors")
    loaded = tc.load(tmp_path / "m.safetensors")
    assert loaded.preprocessing == {"normalise": statistics}
    assert np.array_equal(loaded.predict(test.x), own.predict(test.x))


@pytest.mark.parametrize("bad", [{}, {"mean": [1.0]}, {"mean": [1.0], "std": [0.0]}, {"mean": [1.0], "std": [1.0, 2.0]},
                                 {"mean": [float("nan")], "std": [1.0]}, {"mean": [], "std": []}, 7,
                                 {"mean": ["a"], "std": [1.0]}])  # fmt: skip
def test_statistics_that_are_none_are_refused_also_in_a_file(tmp_path, bad):
    with pytest.raises(ValueError, match="to normalise takes"):
        network(preprocessing={"normalise": bad})
    from tinycnn.model.files import from_config, to_config

    config = json.loads(json.dumps(to_config(network())))
    with pytest.raises(ModelFormatError, match="to normalise takes"):
        from_config(config | {"preprocessing": {"normalise": bad}})


# Shapes


@given(n=st.integers(0, 6), H=st.integers(8, 20), W=st.integers(8, 20), C=st.integers(1, 4), seed=st.integers(0, 9),
       noise=st.sampled_from([0.0, 0.2]))  # fmt: skip
def test_shapes_have_the_size_asked_for_and_say_what_is_in_them(n, H, W, C, seed, noise):
    drawn = {t: load_shapes(n, (H, W), C, noise, seed, t) for t in ("class", "mask", "labels")}
    for data in drawn.values():
        assert data.x.shape == (n, C, H, W)
        assert data.x.dtype == np.float32
        assert data.x.min(initial=0) >= 0
        assert data.x.max(initial=0) <= 1
    assert np.array_equal(drawn["mask"].x, drawn["labels"].x)
    for k in range(3):
        there = (drawn["mask"].y == k + 1).any(axis=(1, 2))
        assert np.array_equal(drawn["labels"].y[:, k], there)
    more = load_shapes(n + 2, (H, W), C, noise, seed, "mask")
    assert np.array_equal(more.x[:n], drawn["mask"].x)
    assert np.array_equal(more.y[:n], drawn["mask"].y)


def test_a_drawn_circle_is_round_a_square_has_its_area_and_a_mask_fits_the_picture():
    data = load_shapes(60, size=64, noise=0, target="class", seed=2)
    masks = (data.x[:, 0] - data.x[:, 0, :1, :1]) > 0.2
    for k, area in ((0, np.pi), (1, 2.0), (2, 3 * np.sqrt(3) / 4)):  # of a circle, square, triangle in a unit circle
        for mask in masks[data.y == k]:
            rows, columns = np.nonzero(mask)
            centre = rows.mean(), columns.mean()
            radius = np.hypot(rows - centre[0], columns - centre[1]).max()
            assert abs(mask.sum() / radius**2 - area) < 0.35
    assert [int((data.y == k).sum()) > 10 for k in range(3)] == [True] * 3
    seg = load_shapes(20, size=32, noise=0, target="mask", seed=3)
    coloured = load_shapes(20, channels=3, noise=0, target="mask")
    for x, y in zip(coloured.x, coloured.y, strict=True):
        seen = np.unique(np.concatenate([x.reshape(3, -1), y.reshape(1, -1)]), axis=1)
        assert seen.shape[1] == np.unique(seen[:3], axis=1).shape[1]  # what has one colour is one shape, of one class
    for x, y in zip(seg.x[:, 0], seg.y, strict=True):
        assert x[y == 0].std() < 1e-6
        assert (x[y > 0] > x[y == 0].max()).all()


def test_shapes_that_cannot_be_drawn_are_refused():
    for options, said in (({"size": 7}, "size ≥ 8"), ({"channels": 0}, "channels ≥ 1"), ({"noise": -1}, "noise must"),
                          ({"noise": np.nan}, "noise must be"), ({"target": "all"}, "target must be")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            load_shapes(3, **options)


def test_a_small_network_learns_to_segment_the_shapes():
    data = load_shapes(96, size=16, noise=0.05, target="mask", seed=1)
    layers = [tc.Conv2D(12, 5, padding="same"), tc.ReLU(), tc.Conv2D(12, 5, padding="same"), tc.ReLU(), tc.Conv2D(4, 1)]
    model = tc.Sequential(layers, input_shape=(1, 16, 16), seed=0)
    model.compile(optimizer=tc.optim.Adam(0.01), loss="cross_entropy")
    history = model.fit(data.x, data.y, epochs=8, verbose=0)
    assert history["loss"][-1] < 0.6 * history["loss"][0]


def test_a_dataset_holds_masks_and_several_labels_and_refuses_what_is_neither():
    x = np.zeros((2, 1, 3, 4))
    masks = Dataset(x, np.array([[[0, 1, 1, 0]] * 3, [[0] * 4] * 3]), ("a", "b"))
    assert masks.counts().tolist() == [2, 1]
    assert masks[1:].y.shape == (1, 3, 4)
    labels = Dataset(x, [[1, 1, 0], [0, 1, 0]], ("a", "b", "c"))
    assert labels.counts().tolist() == [1, 2, 0]
    with pytest.raises(ValueError, match="pixel by pixel: 2 at position 13 is not a class"):
        Dataset(x, np.array([[0, 1] + [0] * 10, [0, 2] + [0] * 10]).reshape(2, 3, 4), ("a", "b"))
    for y in ([[1, 2, 0], [0, 1, 0]], [[1, 1], [0, 1]], [[0.5, 0.5, 0], [0, 1, 0]]):
        with pytest.raises(ShapeError, match="rows must hold 0 or 1 for each of the 3 classes"):
            Dataset(x, y, ("a", "b", "c"))
