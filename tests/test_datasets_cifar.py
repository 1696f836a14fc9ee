"""CIFAR in both versions, read alike; archives and pickles that mean harm are refused, and nothing of them is run."""

import contextlib
import gzip
import io
import os
import pickle
import pickletools
import tarfile
import time
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycnn.data import load_cifar10, load_cifar100
from tinycnn.data.archive import read_archive
from tinycnn.data.plain_pickle import read_pickle

TEN = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def examples(n, labels, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3072), np.uint8), [rng.integers(0, k, n).tolist() for k in labels]


def python2_pickle(pixels, lists, columns_first=False):
    """A batch as Python 2 and the NumPy of 2009 wrote it, protocol 2: text is bytes, arrays are rebuilt by name."""
    short = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
    integer = lambda k: b"K" + bytes([k])  # noqa: E731
    out = b"\x80\x02}q\x01(" + short(b"data") + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    out += b"K\x00\x85" + short(b"b") + b"\x87R(K\x01" + b"M" + len(pixels).to_bytes(2, "little") + b"M\x00\x0c\x86"
    out += b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R(K\x03" + short(b"|")
    out += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    raw = pixels.tobytes("F" if columns_first else "C")
    out += (b"\x88" if columns_first else b"\x89") + b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    for key, values in lists.items():
        out += short(key.encode()) + b"]q\x02("
        out += b"".join(integer(v) if isinstance(v, int) else short(v.encode()) for v in values) + b"e"
    return out + b"u."


def ten_binary(folder, seed=0):
    made = []
    for k, name in enumerate(TEN):
        pixels, (labels,) = examples(4 + k, [10], seed + k)
        rows = [bytes([y]) + x.tobytes() for x, y in zip(pixels, labels, strict=True)]
        (folder / f"{name}.bin").write_bytes(b"".join(rows))
        made.append((pixels, labels))
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\n")
    return made


def ten_python(folder, seed=0, write=python2_pickle):
    for k, name in enumerate(TEN):
        pixels, (labels,) = examples(4 + k, [10], seed + k)
        (folder / name).write_bytes(write(pixels, {"labels": labels, "filenames": ["a.png"] * len(labels)}))
    (folder / "batches.meta").write_bytes(python2_pickle(np.zeros((1, 3072), np.uint8), {"label_names": ["airplane"]}))


def packed(folder, target):
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, arcname="cifar-10-batches-bin")
    return target


def check_ten(found, made):
    train, test = found
    for part, pieces in ((train, made[:5]), (test, made[5:])):
        pixels = np.concatenate([x for x, _ in pieces])
        assert np.array_equal(part.x.reshape(len(pixels), -1), pixels.astype(np.float32) / np.float32(255))
        assert part.y.tolist() == [y for _, labels in pieces for y in labels]
        assert part.classes[0] == "airplane"
        assert part.x.shape[1:] == (3, 32, 32)


def test_cifar10_is_the_same_in_every_version_folder_and_archive(tmp_path):
    (tmp_path / "a").mkdir()
    made = ten_binary(tmp_path / "a")
    check_ten(load_cifar10(tmp_path / "a"), made)
    (tmp_path / "parent").mkdir()
    os.rename(tmp_path / "a", tmp_path / "parent" / "cifar-10-batches-bin")
    check_ten(load_cifar10(tmp_path / "parent"), made)
    check_ten(load_cifar10(packed(tmp_path / "parent", tmp_path / "c.tar.gz")), made)
    by_column = partial(python2_pickle, columns_first=True)
    for n, write in enumerate((python2_pickle, by_column, as_python3(2), as_python3(5))):
        folder = tmp_path / f"p{n}"
        folder.mkdir()
        ten_python(folder, write=write)
        check_ten(load_cifar10(folder), made)


def as_python3(protocol):
    return lambda pixels, lists: pickle.dumps({"data": pixels, **lists}, protocol)


@pytest.mark.parametrize("labels", ["fine", "coarse"])
def test_cifar100_has_its_fine_and_its_coarse_labels(tmp_path, labels):
    (tmp_path / "b").mkdir()
    (tmp_path / "p").mkdir()
    names = {"coarse": [f"group{k}" for k in range(20)], "fine": [f"kind{k}" for k in range(100)]}
    for k, part in enumerate(("train", "test")):
        pixels, (coarse, fine) = examples(5 + k, [20, 100], k)
        rows = [bytes([c, f]) + x.tobytes() for x, c, f in zip(pixels, coarse, fine, strict=True)]
        (tmp_path / "b" / f"{part}.bin").write_bytes(b"".join(rows))
        (tmp_path / "p" / part).write_bytes(python2_pickle(pixels, {"fine_labels": fine, "coarse_labels": coarse}))
    for kind, texts in names.items():
        (tmp_path / "b" / f"{kind}_label_names.txt").write_text("\n".join(texts) + "\n")
    meta = {f"{kind}_label_names": texts for kind, texts in names.items()}
    (tmp_path / "p" / "meta").write_bytes(python2_pickle(np.zeros((1, 3072), np.uint8), meta))
    for folder in ("b", "p"):
        for k, part in enumerate(load_cifar100(tmp_path / folder, labels)):
            pixels, (coarse, fine) = examples(5 + k, [20, 100], k)
            assert part.y.tolist() == {"coarse": coarse, "fine": fine}[labels]
            assert np.array_equal(part.x.reshape(len(pixels), -1), pixels.astype(np.float32) / np.float32(255))
            assert part.classes == tuple(names[labels])
    with pytest.raises(ValueError, match="'fine' or 'coarse'"):
        load_cifar100(tmp_path / "b", "other")


def test_what_is_missing_or_cut_short_is_named(tmp_path):
    ten_binary(tmp_path)
    (tmp_path / "data_batch_3.bin").write_bytes((tmp_path / "data_batch_3.bin").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3\.bin: .* bytes are no whole number of records of 3073"):
        load_cifar10(tmp_path)
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_3\.bin not found"):
        load_cifar10(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_cifar10(tmp_path / "nowhere")


# Pickles


class Harm:
    """What a hostile pickle would do, if anything of it were run: leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path, protocol):
    data = pickle.dumps({"data": Harm(tmp_path / "harm"), "labels": [0]}, protocol)
    with pytest.raises(ValueError, match="which is no plain data"):
        read_pickle(data)
    assert not (tmp_path / "harm").exists()
    pickle.loads(data)["data"].close()  # it is harmful where it is believed
    assert (tmp_path / "harm").exists()


HOSTILE = {
    "a system call": b"cos\nsystem\n(S'echo'\ntR.",
    "the same through INST": b"(S'echo'\nios\nsystem\n.",
    "the same through OBJ": b"(cos\nsystem\nS'echo'\no.",
    "NEWOBJ": b"\x80\x02cnumpy\nndarray\n(K\x05t\x81.",
    "numpy's own load": b"cnumpy\nload\n(S'x'\ntR.",
    "a name with dots": b"\x80\x04\x8c\x0bnumpy.core.\x8c\x04load\x93.",
    "an array made by size": b"cnumpy\nndarray\n(I9999999999\ntR.",
    "rebuilt at once, large":
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x8a\x05\xff\xff\xff\xff\x7f\x85U\x01b\x87R.",
    "a type that is large": b"\x80\x02cnumpy\ndtype\nU\x07V999999K\x00K\x01\x87R.",
    "a type of objects": b"\x80\x02cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R.",
    "a type with a subarray": b"\x80\x02cnumpy\ndtype\nU\x06(9,9)fK\x00K\x01\x87R.",
    "bytes that are not there": b"\x80\x02T\xff\xff\xff\x7fabc.",
    "text that is not there": b"\x80\x02X\xff\xff\xff\x7fabc.",
    "a bytearray that is not there": b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00a.",
    "a frame that is not there": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "a memo far away": b"\x80\x02]r\xff\xff\xff\x7f0h\x05.",
    "a persistent id": b"Pabc\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "more taken than there is": b"\x80\x02\x86.",
    "taken through a mark": b"(K\x01(a.",
    "no stop": b"\x80\x02]",
    "nothing": b"",
    "a key that is a tuple": b"\x80\x02}))s.",
    "a list of names": b"\x80\x02]cnumpy\ndtype\na.",
    "an array never filled": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R.",
    "state of a dict": b"\x80\x02}}b.",
    "long text as a number": b"I" + b"9" * 5000 + b"\n.",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_and_costs_neither_memory_nor_time(name):
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(ValueError, match=r"pickle|array|type|key|plain|bytes|number|digit|expected|string"):
        read_pickle(HOSTILE[name])
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    assert time.perf_counter() - started < 2
    tracemalloc.stop()


def test_an_array_whose_bytes_do_not_fit_its_shape_is_refused():
    good = python2_pickle(np.zeros((2, 3072), np.uint8), {"labels": [1, 2]})
    assert read_pickle(good)["data"].shape == (2, 3072)
    with pytest.raises(ValueError, match=r"shape \(60000, 3072\) does not fit its 6,144 bytes"):
        read_pickle(good.replace(b"M\x02\x00M\x00\x0c", b"M\x60\xeaM\x00\x0c"))


def test_tuples_in_tuples_without_end_cost_nothing():
    bomb = b"\x80\x02)" + b"q\x00h\x00\x86" * 5000 + b"."  # each holds the last one twice: 2**5000 empty tuples
    started = time.perf_counter()
    read_pickle(bomb)
    assert time.perf_counter() - started < 2
    with pytest.raises(ValueError, match="a key is a tuple"):
        read_pickle(b"\x80\x02}" + bomb[2:-1] + b"K\x01s.")
    assert time.perf_counter() - started < 4


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=12,
)  # fmt: skip


@given(value=plain, protocol=st.integers(0, 5))
def test_plain_data_comes_back_as_they_were(value, protocol):
    data = pickle.dumps(value, protocol)
    assume_known = {op.name for op, _, _ in pickletools.genops(data)}
    if "LONG4" in assume_known or (protocol < 3 and "GLOBAL" in assume_known and b"__builtin__" in data):
        return  # an integer of thousands of digits, or the empty bytes written as a call: not what CIFAR holds
    assert read_pickle(data) == value


@pytest.mark.parametrize("kind", ["u1", "<i8", ">i4", "f4", ">f8", "?"])
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_kind_of_number_come_back_as_numpy_reads_them(kind, protocol):
    x = (np.random.default_rng(1).standard_normal((3, 5)) * 50).astype(kind)
    for y in (x, np.asfortranarray(x)):
        found = read_pickle(pickle.dumps([y, 3], protocol))
        assert np.array_equal(found[0], pickle.loads(pickle.dumps(y, protocol)))
        assert found[0].dtype == x.dtype


@given(data=st.binary(max_size=200))
def test_noise_is_an_error_in_words_or_plain_data(data):
    with contextlib.suppress(ValueError):
        read_pickle(data)


# Archives


def tar(path, *entries, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, kind, data in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [("../evil", tarfile.REGTYPE, "leaves the folder"), ("a/../../evil", tarfile.REGTYPE, "leaves the folder"),
     ("/etc/evil", tarfile.REGTYPE, "leaves the folder"), ("C:\\evil", tarfile.REGTYPE, "leaves the folder"),
     ("..\\evil", tarfile.REGTYPE, "leaves the folder"), ("x.bin", tarfile.SYMTYPE, "link or a device"),
     ("x.bin", tarfile.LNKTYPE, "link or a device"), ("x.bin", tarfile.CHRTYPE, "link or a device"),
     ("x.bin", tarfile.FIFOTYPE, "link or a device")],
)  # fmt: skip
def test_an_archive_that_leaves_its_folder_is_refused_as_a_whole(tmp_path, name, kind, said):
    path = tar(tmp_path / "a.tar.gz", ("good.bin", tarfile.REGTYPE, b"1"), (name, kind, b""))
    with pytest.raises(ValueError, match=f"a.tar.gz: .*{said}"):
        read_archive(path, {"good.bin"})
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_an_archive_gives_what_is_asked_for_and_no_more(tmp_path):
    for mode, name in (("w", "a.tar"), ("w:gz", "b.tar.gz")):
        path = tar(tmp_path / name, ("d/x.bin", tarfile.REGTYPE, b"12"), ("d/y.bin", tarfile.REGTYPE, b"3"), mode=mode)
        assert read_archive(path, {"x.bin", "z.bin"}) == {"x.bin": b"12"}
    with pytest.raises(ValueError, match=r"two files called x\.bin"):
        read_archive(tar(tmp_path / "c", ("d/x.bin", b"0", b"1"), ("e/x.bin", b"0", b"2")), {"x.bin"})


def test_an_archive_that_is_cut_short_changed_or_none_is_refused(tmp_path):
    data = tar(tmp_path / "a", ("x.bin", tarfile.REGTYPE, np.random.default_rng(0).bytes(5000))).read_bytes()
    flipped = bytearray(data)
    flipped[-5] ^= 1  # in the checksum behind all else
    for raw in (data[:-1], data[:3000], bytes(flipped), b"", b"no archive at all" * 100, b"\x1f\x8b" + b"x" * 50):
        (tmp_path / "bad").write_bytes(raw)
        with pytest.raises(ValueError, match="bad: not an archive"):
            read_archive(tmp_path / "bad", {"x.bin"})


def test_the_checksum_behind_a_long_end_is_looked_at_too(tmp_path):
    plain = tar(tmp_path / "a", ("x.bin", tarfile.REGTYPE, b"12"), mode="w").read_bytes()
    data = bytearray(gzip.compress(plain + bytes(5_000_000)))
    (tmp_path / "b").write_bytes(data)
    assert read_archive(tmp_path / "b", {"x.bin"}) == {"x.bin": b"12"}
    data[-5] ^= 1
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(ValueError, match="b: not an archive"):
        read_archive(tmp_path / "b", {"x.bin"})


def test_an_archive_that_unpacks_to_more_than_is_allowed_is_stopped(tmp_path):
    path = tar(tmp_path / "bomb", ("unwanted", tarfile.REGTYPE, bytes(30_000_000)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than 5,000,000 bytes"):
        read_archive(path, {"x"}, max_bytes=5_000_000)
    assert tracemalloc.get_traced_memory()[1] < 12_000_000
    tracemalloc.stop()
