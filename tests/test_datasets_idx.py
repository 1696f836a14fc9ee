"""The idx format: read exactly, and refused before memory is asked for when it lies."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycnn.data import idx, load_fashion_mnist, load_mnist, read_idx

CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx_bytes(x, code=0x08):
    """An array as the format's description says, written without the reader's help."""
    return bytes([0, 0, code, x.ndim]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.tobytes()


def four_files(folder, seed, train=7, test=3, size=(6, 5), packed=False):
    rng, made = np.random.default_rng(seed), {}
    for start, n in (("train", train), ("t10k", test)):
        x, y = rng.integers(0, 256, (n, *size), np.uint8), rng.integers(0, 10, n).astype(np.uint8)
        made[start] = x, y
        for kind, data in (("images-idx3", x), ("labels-idx1", y)):
            raw = idx_bytes(data)
            path = folder / f"{start}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(raw) if packed else raw)
    return made


@given(kind=st.sampled_from(list(CODES)), shape=st.lists(st.integers(0, 5), min_size=1, max_size=4),
       packed=st.booleans(), seed=st.integers(0, 99))  # fmt: skip
def test_every_type_and_shape_comes_back_as_it_was_written(tmp_path_factory, kind, shape, packed, seed):
    x = (np.random.default_rng(seed).standard_normal(shape) * 100).astype(kind)
    path = tmp_path_factory.mktemp("idx") / "some-idx"
    raw = idx_bytes(x, CODES[kind])
    path.write_bytes(gzip.compress(raw) if packed else raw)
    found = read_idx(path)
    assert found.dtype == x.dtype.newbyteorder("=")
    assert np.array_equal(found, x)
    found[...] = 0  # the caller's own


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_from_its_four_files(tmp_path, packed):
    made = four_files(tmp_path, seed=1, packed=packed)
    for load, classes in ((load_mnist, tuple("0123456789")), (load_fashion_mnist, idx.CLOTHES)):
        for part, start in zip(load(tmp_path), ("train", "t10k"), strict=True):
            x, y = made[start]
            assert part.x.shape == (len(x), 1, 6, 5)
            assert np.array_equal(part.x[:, 0], x.astype(np.float32) / np.float32(255))
            assert part.y.tolist() == y.tolist()
            assert part.classes == classes


def test_what_is_missing_is_named(tmp_path):
    four_files(tmp_path, seed=1)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte\.gz"):
        load_mnist(tmp_path)


def test_pictures_and_labels_that_do_not_belong_together_are_refused(tmp_path):
    four_files(tmp_path, seed=1)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(6, np.uint8)))
    with pytest.raises(ValueError, match=r"got uint8 \(7, 6, 5\) and uint8 \(6,\)"):
        load_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1, 2, 3, 4, 5, 11], np.uint8)))
    with pytest.raises(ValueError, match="label 11 at position 6; there are 10 classes"):
        load_mnist(tmp_path)


GOOD = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no idx file: it begins with nothing"),
        (b"\x89PNG", "no idx file: it begins with 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\1\0", "no idx file"),
        (b"\0\0\x08\x00", "no idx file"),
        (b"\0\0\x08\xff" + bytes(2000), "no idx file"),
        (GOOD[:10], "cut short in its header: 10 of 16 bytes"),
        (GOOD[:-1], r"cut short: \(2, 3, 4\) of uint8 make 40 bytes, there are 39"),
        (GOOD + b"\0", r"longer than it says: \(2, 3, 4\) of uint8 make 40 bytes, there are 41"),
        (b"\0\0\x08\x03" + b"\xff" * 12, r"claims \(4294967295, 4294967295, 4294967295\)"),
        (b"\0\0\x08\x02\0\0\x80\0\0\0\x70\0", "cut short"),
    ],
)  # fmt: skip
def test_a_file_that_lies_is_refused_by_name_and_costs_no_memory(tmp_path, raw, message, packed):
    path = tmp_path / "bad-idx"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"bad-idx: .*({message})"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_a_gzipped_file_that_is_cut_short_changed_or_goes_on_is_refused(tmp_path):
    packed = gzip.compress(GOOD)
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # in the checksum
    for raw in (packed[:-1], packed[:-9], packed[:20], bytes(flipped), packed + b"\0", packed + packed):
        path = tmp_path / "bad.gz"
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=r"bad\.gz: "):
            read_idx(path)


def test_a_small_file_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    bomb = gzip.compress(b"\0\0\x08\x01\0\0\0\x05" + bytes(50_000_000))
    (tmp_path / "bomb").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(ValueError, match="longer than it says"):
        read_idx(tmp_path / "bomb")
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_a_limit_of_the_callers_own_holds(tmp_path):
    (tmp_path / "x").write_bytes(GOOD)
    assert read_idx(tmp_path / "x", max_bytes=24).size == 24
    with pytest.raises(ValueError, match="over the limit of 23 bytes"):
        read_idx(tmp_path / "x", max_bytes=23)
