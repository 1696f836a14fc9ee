"""Data sets, batches, labels, and the bundled digits."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycnn.data import Dataset, batches, load_all_digits, load_digits, one_hot, to_categorical, to_nchw
from tinycnn.data import digits as digits_module
from tinycnn.errors import ShapeError

# Dataset


def pets():
    return Dataset(np.arange(12.0).reshape(4, 1, 1, 3), np.array([0, 1, 1, 0], np.uint8), ("cat", "dog"), "pets")


@pytest.mark.parametrize(
    ("index", "rows"),
    [(slice(1, 3), [1, 2]), ([3, 0], [3, 0]), (np.array([True, False, False, True]), [0, 3]), (-1, [3]), ([], [])],
)
def test_indexing_takes_examples_and_labels_together(index, rows):
    index = np.asarray(index, int) if isinstance(index, list) else index
    part = pets()[index]
    assert np.array_equal(part.x, pets().x[rows])
    assert np.array_equal(part.y, pets().y[rows])
    assert (part.classes, part.name, len(part)) == (("cat", "dog"), "pets", len(rows))


def test_labels_become_int64_and_the_dataset_is_frozen():
    ds = pets()
    assert ds.y.dtype == np.int64
    with pytest.raises(AttributeError):
        ds.name = "other"


def test_repr_says_what_is_in_it():
    assert repr(pets()) == "Dataset 'pets': 4 examples, x (4, 1, 1, 3) float64, 2 classes: cat 2, dog 2"
    many = Dataset(np.zeros(1), [0], tuple(map(str, range(100))))
    assert repr(many).endswith("11 0, …")


def test_a_dataset_that_does_not_fit_together_is_refused():
    with pytest.raises(ShapeError, match=r"x \(3,\) and y \(2,\) must have the same length"):
        Dataset(np.zeros(3), [0, 1], ("a", "b"))
    with pytest.raises(ValueError, match=r"y: 2 at position 1 is not a class: .* the classes are 0 … 1"):
        Dataset(np.zeros(3), [0, 2, 5], ("a", "b"))
    with pytest.raises(TypeError, match="expected integers, got float64"):
        Dataset(np.zeros(2), [0.0, 1.0], ("a", "b"))


# batches


@given(N=st.integers(0, 60), size=st.integers(1, 70), seed=st.none() | st.integers(0, 9))
def test_batches_hold_every_example_once_with_its_label(N, size, seed):
    x = np.arange(N)
    got = list(batches(x, -x, size, rng=seed))
    sizes = [len(xb) for xb, _ in got]
    assert sizes == [size] * (N // size) + ([N % size] if N % size else [])
    assert all(np.array_equal(xb, -yb) for xb, yb in got)
    seen = [int(v) for xb, _ in got for v in xb]
    assert sorted(seen) == list(range(N))
    if seed is None:
        assert seen == list(range(N))


def test_a_seed_shuffles_and_the_same_seed_shuffles_the_same():
    def order(rng):
        return [int(v) for xb, _ in batches(np.arange(50), np.arange(50), 8, rng) for v in xb]

    assert order(np.random.default_rng(3)) == order(np.random.default_rng(3)) == order(3)
    assert order(3) != order(4) != list(range(50))


def test_one_generator_shuffles_every_epoch_anew():
    rng = np.random.default_rng(0)
    first, second = ([xb.tolist() for xb, _ in batches(np.arange(50), np.arange(50), 50, rng)] for _ in range(2))
    assert first != second


def test_bad_batches_are_refused_at_the_call():
    with pytest.raises(ShapeError, match="must have the same length"):
        batches(np.zeros(3), np.zeros(2), 1)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        batches(np.zeros(3), np.zeros(3), 0)


# one-hot


@given(K=st.integers(1, 12), N=st.integers(0, 30), seed=st.integers(0, 99))
def test_one_hot_has_a_single_one_at_the_label(K, N, seed):
    labels = np.random.default_rng(seed).integers(0, K, N)
    t = one_hot(labels, K)
    assert (t.shape, t.dtype) == ((N, K), np.float32)
    assert np.array_equal(t.sum(axis=1), np.ones(N))
    assert np.array_equal(t.argmax(axis=1), labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i4", np.uint64])
def test_labels_of_any_integer_type_and_of_one_column_are_the_same(dtype):
    labels = np.array([2, 0, 1], dtype)
    assert np.array_equal(one_hot(labels, 3), np.eye(3)[[2, 0, 1]])
    assert np.array_equal(one_hot(labels[:, None], 3), np.eye(3)[[2, 0, 1]])


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, -1], ValueError, "-1 at position 1 is not a class: with num_classes = 3 the classes are 0 … 2"),
        ([0, 1, 3], ValueError, "3 at position 2 is not a class"),
        ([[0], [7]], ValueError, "7 at position 1"),
        ([0.0, 1.0], TypeError, r"expected integers, got float64 \(0.0 at position 0\).*astype\(int\)"),
        (["cat"], TypeError, "expected integers, got <U3 .'cat' at position 0"),
        ([True, False], TypeError, "expected integers, got bool"),
        ([[0, 1]], ShapeError, r"shape \(N,\) or \(N, 1\), got shape \(1, 2\)"),
        (3, ShapeError, r"got shape \(\)"),
    ],
)
def test_bad_labels_are_named_with_value_and_position(labels, error, message):
    with pytest.raises(error, match=message):
        one_hot(labels, 3)


def test_to_categorical_finds_the_number_of_classes_as_keras_does():
    assert np.array_equal(to_categorical([0, 2]), [[1, 0, 0], [0, 0, 1]])
    assert to_categorical([0, 2], 5).shape == (2, 5)
    assert to_categorical([]).shape == (0, 0)
    with pytest.raises(ValueError, match="-2 at position 0 is not a class: classes start at 0"):
        to_categorical([-2])


# channels first


def test_to_nchw_moves_the_channels_and_copies():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    y = to_nchw(x)
    assert y.shape == (2, 5, 3, 4)
    assert all(y[n, c, h, w] == x[n, h, w, c] for n, h, w, c in np.ndindex(x.shape))
    assert y.flags.c_contiguous
    for source in (x, x[..., :1], x[..., 0]):
        assert not np.shares_memory(to_nchw(source), x)
    assert to_nchw(x[..., 0]).shape == (2, 1, 3, 4)


@pytest.mark.parametrize("shape", [(), (4,), (8, 8), (1, 2, 3, 4, 5)])
def test_to_nchw_refuses_what_is_no_batch_of_pictures(shape):
    with pytest.raises(ShapeError, match=re.escape(f"got shape {shape}")):
        to_nchw(np.zeros(shape))


# the bundled digits


def test_the_parts_are_disjoint_cover_everything_and_are_what_the_docs_say():
    parts = load_digits()
    assert [len(p) for p in parts] == [1257, 180, 360]
    for part in parts:
        assert part.x.shape[1:] == (1, 8, 8)
        assert (part.x.dtype, part.y.dtype) == (np.float32, np.int64)
        assert (part.x.min(), part.x.max()) == (0, 1)
        assert part.classes == tuple("0123456789")
    together = sorted((x.tobytes(), y) for p in parts for x, y in zip(p.x, p.y, strict=True))
    everything = load_all_digits()
    assert together == sorted((x.tobytes(), y) for x, y in zip(everything.x, everything.y, strict=True))


def test_the_split_never_changes():
    """Numbers measured on the test part mean something only while it stays the same."""
    known = ["da9090dd1fffaac9", "051005e6b81a1046", "886ace84318f3f1c"]
    found = [hashlib.sha256(p.x.tobytes() + p.y.astype("<i8").tobytes()).hexdigest()[:16] for p in load_digits()]
    assert found == known


def test_every_class_is_as_frequent_in_every_part():
    whole = np.bincount(load_all_digits().y)
    for part in load_digits():
        assert abs(np.bincount(part.y) - whole * len(part) / 1797).max() <= 1


def test_what_a_caller_changes_is_its_own():
    first, *_ = load_digits()
    first.x[:] = 7
    assert load_digits()[0].x.max() == 1


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, damage):
    data = bytearray(digits_module.PATH.read_bytes())
    data[1000] ^= 1
    path = tmp_path / "digits.npz"
    path.write_bytes({"flip": bytes(data), "cut": bytes(data[:999]), "empty": b""}[damage])
    monkeypatch.setattr(digits_module, "PATH", path)
    with pytest.raises(ValueError, match=r"digits.npz is damaged: expected SHA-256 .*Reinstall tinycnn"):
        load_digits()


def test_the_bundled_digits_are_scikit_learns_and_the_script_in_the_docs_makes_them(tmp_path):
    pytest.importorskip("sklearn")
    text = (Path(digits_module.__file__).parent / "DIGITS.md").read_text(encoding="utf-8")
    script = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    namespace = {}
    exec(script, namespace)
    namespace["make_digits"](tmp_path / "made.npz")
    with np.load(tmp_path / "made.npz") as made, np.load(digits_module.PATH) as bundled:
        assert sorted(made) == sorted(bundled) == ["images", "labels"]
        for name in made:
            assert np.array_equal(made[name], bundled[name])
            assert made[name].dtype == bundled[name].dtype == np.uint8


def test_importing_the_data_package_loads_neither_pillow_nor_matplotlib():
    code = "import sys, tinycnn.data; print([m for m in ('PIL', 'matplotlib', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
