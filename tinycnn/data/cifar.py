"""CIFAR-10 and CIFAR-100: 60,000 colour photographs of 32×32 pixels, in 10 classes or in 100.

In the binary version an example is one record: its label (for CIFAR-100 the coarse one, then the fine one) and 3072
bytes, red, green, blue, row by row. The Python version holds the same numbers in pickles, which are read as data alone.
Source: A. Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images", https://www.cs.toronto.edu/~kriz/cifar.html
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.archive import MAX_BYTES, read_archive
from tinycnn.data.dataset import Dataset
from tinycnn.data.plain_pickle import read_pickle

PIXELS = 3 * 32 * 32
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
Raw = tuple[NDArray[np.uint8], NDArray]  # pixels (N, 3072), labels (N,)
Files = dict[str, Path | bytes]  # where each file is, or what an archive held of it


class Version(NamedTuple):
    """One way in which a CIFAR is published: its files, and where the names of its classes are."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    binary: bool


TEN = (
    Version(tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",), "batches.meta.txt", True),
    Version(tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",), "batches.meta", False),
)
HUNDRED = {
    "fine": (Version(("train.bin",), ("test.bin",), "fine_label_names.txt", True),
             Version(("train",), ("test",), "meta", False)),
    "coarse": (Version(("train.bin",), ("test.bin",), "coarse_label_names.txt", True),
               Version(("train",), ("test",), "meta", False)),
}  # fmt: skip


def load_cifar10(path: str | os.PathLike) -> tuple[Dataset, Dataset]:
    """Read CIFAR-10, binary or Python version, from its archive (.tar.gz) or its folder, as (train, test).

    x (N, 3, 32, 32) float32 in [0, 1]; y (N,). `tinycnn data fetch cifar10 --to DIR` gets the archive, which need not
    be unpacked. Raises FileNotFoundError naming what is missing, ValueError naming the file that is damaged or hostile.
    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html
    """
    version, files = _open(path, TEN)
    read: Callable[[str, bytes], Raw] = _records(1, 0) if version.binary else _batch("labels")
    return _parts(version, files, read, CIFAR10, "CIFAR-10")


def load_cifar100(path: str | os.PathLike, labels: Literal["fine", "coarse"] = "fine") -> tuple[Dataset, Dataset]:
    """Read CIFAR-100, binary or Python version, from its archive or its folder, as (train, test).

    x (N, 3, 32, 32) float32 in [0, 1]; y (N,): one of 100 classes, or with labels="coarse" of 20 groups of them.
    Raises as `load_cifar10`, and ValueError for other labels.
    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html
    """
    if labels not in HUNDRED:
        raise ValueError(f"labels must be 'fine' or 'coarse', got {labels!r}")
    version, files = _open(path, HUNDRED[labels])
    if version.binary:
        classes = tuple(_bytes(files[version.names]).decode("ascii", "replace").split())
        read: Callable[[str, bytes], Raw] = _records(2, 0 if labels == "coarse" else 1)
    else:
        classes = tuple(_texts(_bytes(files[version.names]), f"{labels}_label_names", version.names))
        read = _batch(f"{labels}_labels")
    return _parts(version, files, read, classes, "CIFAR-100")


def _open(path: str | os.PathLike, versions: tuple[Version, ...]) -> tuple[Version, Files]:
    """The version that is there, and its files."""
    path = Path(path)
    needed = [{*v.train, *v.test, v.names} for v in versions]
    if path.is_dir():
        found: Files = _from_folder(path, set().union(*needed))
    elif path.is_file():
        found = dict(read_archive(path, set().union(*needed)))
    else:
        raise FileNotFoundError(f"{path}: no such file or folder.")
    for version, names in zip(versions, needed, strict=True):
        if names <= set(found):
            return version, found
    nearest = min(needed, key=lambda names: len(names - set(found)))
    raise FileNotFoundError(f"{path}: {', '.join(sorted(nearest - set(found)))} not found in it.")


def _from_folder(path: Path, names: set[str]) -> Files:
    """The files of these names in a folder, or in the one folder in it that holds some."""
    places = [path, *sorted(p for p in path.glob("cifar-*") if p.is_dir())]
    place = next((p for p in places if any((p / name).is_file() for name in names)), path)
    there = [place / name for name in sorted(names) if (place / name).is_file()]
    for file in there:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"{file}: {file.stat().st_size:,} bytes are over the limit of {MAX_BYTES:,}.")
    return {file.name: file for file in there}


def _bytes(file: Path | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def _records(label_bytes: int, which: int) -> Callable[[str, bytes], Raw]:
    """A reader of records of some labels and 3072 pixels, which takes the label at `which`."""
    length = label_bytes + PIXELS

    def read(name: str, data: bytes) -> Raw:
        if not data or len(data) % length:
            raise ValueError(f"{name}: {len(data):,} bytes are no whole number of records of {length}: cut short?")
        rows = np.frombuffer(data, np.uint8).reshape(-1, length)
        return rows[:, label_bytes:], rows[:, which]

    return read


def _batch(key: str) -> Callable[[str, bytes], Raw]:
    """A reader of a pickled batch: "data" (N, 3072) bytes, and its labels under `key`."""

    def read(name: str, data: bytes) -> Raw:
        found = _pickled(name, data)
        pixels, labels = found.get("data"), found.get(key)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (PIXELS,):
            raise ValueError(f"{name}: 'data' must be bytes of shape (N, {PIXELS}).")
        if not isinstance(labels, list) or len(labels) != len(pixels) or not all(type(k) is int for k in labels):
            raise ValueError(f"{name}: {key!r} must be a list of {len(pixels)} integers.")
        return pixels, np.array(labels)

    return read


def _pickled(name: str, data: bytes) -> dict[Any, Any]:
    """The dict in a pickle, its keys as text."""
    try:
        found = read_pickle(data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: a dict was expected, it holds a {type(found).__name__}.")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in found.items()}


def _texts(data: bytes, key: str, name: str) -> list[str]:
    found = _pickled(name, data).get(key)
    if not isinstance(found, list) or not all(isinstance(one, str | bytes) for one in found):
        raise ValueError(f"{name}: {key!r} must be a list of names.")
    return [one.decode("latin-1") if isinstance(one, bytes) else one for one in found]


def _parts(
    version: Version, files: Files, read: Callable[[str, bytes], Raw], classes: tuple[str, ...], name: str
) -> tuple[Dataset, Dataset]:
    """Both parts, file after file, so that no more than one of them is in memory beside its pictures."""
    made = []
    for part, names in (("train", version.train), ("test", version.test)):
        size = sum(len(f) if isinstance(f := files[one], bytes) else f.stat().st_size for one in names)
        x = np.empty((size // PIXELS, PIXELS), np.float32)  # no file holds more pictures than it has room for
        labels, at = [], 0
        for one in names:
            pixels, y = read(one, _bytes(files[one]))
            np.divide(pixels, np.float32(255), out=x[at : at + len(pixels)])
            labels.append(y)
            at += len(pixels)
        made.append(Dataset(x[:at].reshape(-1, 3, 32, 32), np.concatenate(labels), classes, f"{name} {part}"))
    return made[0], made[1]
