"""The idx format of MNIST and Fashion-MNIST: a few sizes, and then all numbers in a row.

Four bytes (two zeros, the type of the numbers, the number of axes), each size as four bytes, most significant first,
and the numbers. A header that claims more than the file can hold is refused before any memory is asked for.
Source: LeCun, Cortes & Burges, the MNIST database; Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.
"""

import math
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.dataset import Dataset

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_BYTES = 2**30  # of numbers in one file, unless told otherwise: MNIST has 47 million
MOST_AXES = 8
GZIP = b"\x1f\x8b"
PARTS = (("train", "train"), ("t10k", "test"))
CLOTHES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def load_mnist(folder: str | os.PathLike, classes: tuple[str, ...] = tuple("0123456789")) -> tuple[Dataset, Dataset]:
    """Read MNIST from the four files it is published in, gzipped or not, as (train, test).

    x (N, 1, 28, 28) float32 in [0, 1], ink bright; y (N,). Any set in the same four files is read, of any size.
    `tinycnn data fetch mnist --to DIR` gets them. Raises FileNotFoundError naming what is missing, ValueError for a
    file that is damaged or does not fit the other.
    Source: LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86(11).
    """
    train, test = (load_idx_pair(*idx_pair(folder, start), classes, name) for start, name in PARTS)
    return train, test


def load_fashion_mnist(folder: str | os.PathLike) -> tuple[Dataset, Dataset]:
    """Read Fashion-MNIST, ten kinds of clothes in the format of MNIST, as (train, test).

    x (N, 1, 28, 28) float32 in [0, 1]; y (N,). Raises as `load_mnist`.
    Source: Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.
    """
    return load_mnist(folder, CLOTHES)


def load_idx_pair(images: Path, labels: Path, classes: tuple[str, ...], name: str = "") -> Dataset:
    """A file of pictures and one of labels as a Dataset, x in [0, 1]; ValueError if they do not belong together."""
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3 or x.dtype != np.uint8 or y.ndim != 1 or y.dtype != np.uint8 or len(x) != len(y):
        raise ValueError(
            f"{images}, {labels}: expected pictures (N, H, W) and labels (N,) in bytes; got {x.dtype} {x.shape} and "
            f"{y.dtype} {y.shape}."
        )
    if y.size and y.max() >= len(classes):
        raise ValueError(f"{labels}: label {y.max()} at position {y.argmax()}; there are {len(classes)} classes.")
    return Dataset(to_unit(x)[:, None], y, classes, name)


def to_unit(x: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes 0 … 255 as float32 in [0, 1].

    >>> to_unit(np.array([0, 51, 255], np.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    return np.divide(x, np.float32(255), dtype=np.float32)


def idx_pair(folder: str | os.PathLike, start: str) -> tuple[Path, Path]:
    """The pictures and the labels of the part whose files begin with `start`; FileNotFoundError if one is missing."""
    found = []
    for kind in ("images-idx3", "labels-idx1"):
        names = [f"{start}-{kind}-ubyte{end}" for end in ("", ".gz")]
        there = [Path(folder) / name for name in names if (Path(folder) / name).is_file()]
        if not there:
            raise FileNotFoundError(f"{folder}: neither {names[0]} nor {names[1]} is there.")
        found.append(there[0])
    return found[0], found[1]


def read_idx(path: str | os.PathLike, max_bytes: int = MAX_BYTES) -> NDArray:
    """The array in an idx file, gzipped or not, in the type and shape that its header says.

    Raises FileNotFoundError if it is not there, ValueError naming the file if it is no idx file, is cut short, goes on
    after its end, is damaged, or claims more than `max_bytes`.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    >>> _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([7, 2, 1]))
    >>> read_idx(file)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        if length > max_bytes + 4 * (MOST_AXES + 1):
            raise ValueError(f"{path}: {length:,} bytes are over the limit of {max_bytes:,}.")
        head = file.read(64)
        file.seek(0)
        if head[:2] == GZIP:
            return _read_gzipped(path, file.read(), max_bytes)
        dtype, shape, start = _header(path, head, max_bytes)
        expected = start + dtype.itemsize * math.prod(shape)
        if length != expected:
            raise ValueError(_wrong_length(path, shape, dtype, expected, length))
        file.seek(start)
        return _native(np.fromfile(file, dtype, math.prod(shape)).reshape(shape))


def _read_gzipped(path: Path, data: bytes, max_bytes: int) -> NDArray:
    """The array in gzipped bytes: the header first, then as much as it says and no more."""
    try:
        dtype, shape, start = _header(path, zlib.decompressobj(31).decompress(data, 64), max_bytes)
        expected = start + dtype.itemsize * math.prod(shape)
        whole = zlib.decompressobj(31)  # a gzip stream: its checksum is looked at where it ends
        payload = whole.decompress(data, expected + 1)
    except zlib.error as error:
        raise ValueError(f"{path}: damaged: {error}.") from None
    if len(payload) != expected or not whole.eof or whole.unused_data:
        seen = len(payload) + len(whole.unused_data)
        raise ValueError(_wrong_length(path, shape, dtype, expected, seen) + " Is the gzip stream whole?")
    return _native(np.frombuffer(payload, dtype, offset=start).reshape(shape))


def _header(path: Path, head: bytes, max_bytes: int) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape, and where the numbers begin; ValueError unless all of it makes sense."""
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= MOST_AXES:
        raise ValueError(
            f"{path}: no idx file: it begins with {head[:4].hex(' ') or 'nothing'}; expected 00 00, a type "
            f"({', '.join(f'{t:02x}' for t in TYPES)}) and 1 … {MOST_AXES} axes."
        )
    dtype, start = np.dtype(TYPES[head[2]]), 4 + 4 * head[3]
    if len(head) < start:
        raise ValueError(f"{path}: cut short in its header: {len(head)} of {start} bytes.")
    shape = tuple(int.from_bytes(head[i : i + 4], "big") for i in range(4, start, 4))
    if dtype.itemsize * math.prod(shape) > max_bytes:
        raise ValueError(f"{path}: its header claims {shape} of {dtype}, over the limit of {max_bytes:,} bytes.")
    return dtype, shape, start


def _wrong_length(path: Path, shape: tuple[int, ...], dtype: np.dtype, expected: int, seen: int) -> str:
    state = "cut short" if seen < expected else "longer than it says"
    return f"{path}: {state}: {shape} of {dtype} make {expected:,} bytes, there are {seen:,}."


def _native(x: NDArray) -> NDArray:
    """In this machine's byte order, and the caller's own to write to."""
    return x.astype(x.dtype.newbyteorder("="), copy=not x.flags.writeable)
