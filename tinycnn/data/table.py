"""A table of pictures: a row of a CSV file is an example, with its label, and its picture in one of three ways.

A column of paths (`path`, `file`, `filename` or `image`), each inside the table's folder; a column of contents
(`image_data`), which are numbers with spaces between them, or a picture file in base64; or a column for every pixel.
"""

import base64
import binascii
import csv
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.dataset import Dataset
from tinycnn.data.listing import Listing, inside, labels_of
from tinycnn.data.picture import read_image
from tinycnn.data.reading import ADVICE, Bad, Size, bad_files, load_listing
from tinycnn.data.resizing import resize
from tinycnn.errors import ImageError

PATHS, CONTENTS = ("path", "file", "filename", "image"), ("image_data",)
LONGEST = 2**26  # characters in one cell: a picture of ten megapixels in base64
Rows = list[tuple[int, list[str]]]


def load_table(
    path: str | os.PathLike, label: str = "label", shape: tuple[int, int, int] | None = None, scale: float = 255,
    size: Size = None, channels: int = 3, skip_bad: bool = False,
) -> Dataset:  # fmt: skip
    """Read a CSV file with a header: labels in the column `label`, and pictures as paths, contents or pixels.

    x (N, C, H, W) float32 in [0, 1]; y (N,), classes in order of their names. Picture files are read with `channels`
    and resized to `size` (H, W). Numbers run from 0 to `scale`; they are pixels in the order of `shape` (C, H, W), not
    needed where they make a grey square.

    Raises FileNotFoundError, ValueError naming the line that is wrong or a path that leaves the table's folder,
    ImageError naming every picture that cannot be used; with `skip_bad` those are left out, and a warning counts them.
    """
    header, rows = _read(Path(path), label)
    column = _picture_column(header)
    if column in PATHS:
        return load_listing(_listing(Path(path), label, header, rows), size, channels, skip_bad)
    texts = [row[header.index(label)] for _, row in rows]
    if column and rows and not _is_numbers(rows[0][1][header.index(column)]):
        x, kept = _decoded(Path(path), header.index(column), rows, size, channels, skip_bad)
        texts = [texts[i] for i in kept]
    else:
        x = _numbers(Path(path), header, label, column, rows, shape, scale)
        x = x if size is None else resize(x, size)
    y, classes = labels_of(texts)
    return Dataset(x, y, classes, Path(path).stem)


def list_table(path: str | os.PathLike, label: str = "label") -> Listing:
    """The files that a CSV file with a column of paths names, without reading them: for a `Stream`.

    Raises ValueError naming the line if a path leaves the table's folder, or if there is no column of paths.
    """
    header, rows = _read(Path(path), label)
    return _listing(Path(path), label, header, rows)


def has_paths(path: str | os.PathLike) -> bool:
    """Whether the table says where its pictures are, rather than holding them."""
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return any(name.strip() in PATHS for name in file.readline(LONGEST).split(","))


def _read(path: Path, label: str) -> tuple[list[str], Rows]:
    """The header and the rows with their line numbers; ValueError for what is no table with this label."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: {'not a file' if path.exists() else 'no such file'}.")
    before = csv.field_size_limit(LONGEST)  # one for the whole process: put back below
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = [name.strip() for name in next(lines, [])]
            rows = [(lines.line_num, row) for row in lines if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV file in UTF-8: {error}.") from None
    finally:
        csv.field_size_limit(before)
    if label not in header or len(set(header)) != len(header):
        raise ValueError(f"{path}: the first line must name every column once, {label!r} among them; got {header[:9]}.")
    for line, row in rows:
        if len(row) != len(header):
            raise ValueError(f"{path}, line {line}: {len(row)} cells, the header has {len(header)}.")
    if not rows:
        raise ValueError(f"{path}: there are no rows below the header.")
    return header, rows


def _picture_column(header: Sequence[str]) -> str:
    """The column of paths or contents; "" where every other column is a pixel."""
    found = [name for name in header if name in PATHS + CONTENTS]
    if len(found) > 1:
        raise ValueError(f"the table has several columns of pictures: {', '.join(found)}.")
    return found[0] if found else ""


def _listing(path: Path, label: str, header: list[str], rows: Rows) -> Listing:
    column = _picture_column(header)
    if column not in PATHS:
        raise ValueError(f"{path}: there is no column of paths ({', '.join(PATHS)}).")
    files = []
    for line, row in rows:
        try:
            files.append(inside(path.parent, row[header.index(column)].strip()))
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
    y, classes = labels_of([row[header.index(label)] for _, row in rows])
    return Listing(tuple(files), classes, y, name=path.stem)


def _is_numbers(cell: str) -> bool:
    """Whether a cell holds numbers with spaces between them, rather than base64, which has no spaces."""
    words = cell.split()
    try:
        float(words[0])
    except (ValueError, IndexError):
        return False
    return len(words) > 1 or len(words[0]) < 9


def _numbers(
    path: Path, header: list[str], label: str, column: str, rows: Rows, shape: tuple[int, int, int] | None, scale: float
) -> NDArray[np.float32]:
    """Pixels as numbers, (N, C, H, W) in [0, 1]; ValueError naming the first line that does not fit."""
    pixels = [i for i, name in enumerate(header) if name != label]
    cells = (row[header.index(column)].split() if column else [row[i] for i in pixels] for _, row in rows)
    x = np.empty((0, 0), np.float32)
    for k, ((line, _), words) in enumerate(zip(rows, cells, strict=True)):
        if k == 0:
            shape = shape or _square(path, len(words))
            x = np.empty((len(rows), len(words)), np.float32)
        if len(words) != x.shape[1] or len(words) != math.prod(shape or ()):
            raise ValueError(f"{path}, line {line}: {len(words)} pixels, where {math.prod(shape or ())} make {shape}.")
        try:
            x[k] = words
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}.") from None
        if not ((x[k] >= 0) & (x[k] <= scale)).all():
            raise ValueError(f"{path}, line {line}: pixels must lie from 0 to scale={scale:g}.")
    assert shape is not None
    return (x / np.float32(scale)).reshape(-1, *shape)


def _square(path: Path, count: int) -> tuple[int, int, int]:
    side = math.isqrt(count)
    if side * side != count:
        raise ValueError(f"{path}: {count} pixels make no grey square: give their shape=(C, H, W).")
    return 1, side, side


def _decoded(
    path: Path, column: int, rows: Rows, size: Size, channels: int, skip_bad: bool
) -> tuple[NDArray[np.float32], list[int]]:
    """Picture files in base64, and which rows they are of."""
    found: list[NDArray] = []
    kept: list[int] = []
    bad: list[Bad] = []
    for k, (name, x) in enumerate(_pictures(path, column, rows, size, channels)):
        if isinstance(x, str) or (found and x.shape != found[0].shape):
            bad.append((name, x if isinstance(x, str) else f"{x.shape[1:]} pixels, the first has {found[0].shape[1:]}"))
            continue
        found.append(x)
        kept.append(k)
    if bad and not (skip_bad and found):
        raise ImageError(bad_files(bad, len(rows)) + ADVICE)
    if bad:
        import warnings

        warnings.warn(bad_files(bad, len(rows), "are left out"), stacklevel=3)
    return np.stack(found), kept


def _pictures(path: Path, column: int, rows: Rows, size: Size, channels: int) -> Iterator[tuple[Path, NDArray | str]]:
    for line, row in rows:
        name = Path(f"{path}, line {line}")
        try:
            x = read_image(base64.b64decode(row[column].strip(), validate=True), "gray" if channels == 1 else "rgb")
            yield name, x if size is None else resize(x, size)
        except binascii.Error:
            yield name, "neither numbers with spaces between them nor base64"
        except ImageError as error:
            yield name, str(error)
