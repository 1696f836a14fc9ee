"""A data set on disk, before a picture of it is read: which files there are, and the class or the mask of each.

A list of files is somebody else's text, so no path in it may leave the folder it belongs to: not by `..`, not from the
root of the disk, not through a link.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.dataset import check_labels
from tinycnn.data.picture import read_mask

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Listing:
    """Picture files, and of each either its class in `y` (N,) or its mask among `masks`; what the pixels of a mask say
    is then in `values`, a number for each class.

    Indexing with a slice, an index array or a mask gives a Listing, as it does for a Dataset.
    """

    files: tuple[Path, ...]
    classes: tuple[str, ...]
    y: NDArray[np.int64] | None = None
    masks: tuple[Path, ...] = ()
    values: tuple[int, ...] = ()
    name: str = ""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index) -> "Listing":
        rows = np.atleast_1d(np.arange(len(self))[index])
        take = lambda paths: tuple(paths[i] for i in rows) if paths else ()  # noqa: E731
        y = None if self.y is None else self.y[rows]
        return Listing(take(self.files), self.classes, y, take(self.masks), self.values, self.name)

    def __repr__(self) -> str:
        what = "masks" if self.y is None else "labels"
        return f"Listing {self.name!r}: {len(self):,} pictures with {what}, {len(self.classes)} classes"


def inside(root: str | os.PathLike, text: str) -> Path:
    """The file that a relative path means in a folder.

    Raises ValueError for a path that is empty or absolute, goes up, or leads out of the folder through a link.

    >>> inside("/data/pets", "../../etc/passwd")
    Traceback (most recent call last):
    ValueError: '../../etc/passwd' leaves the folder /data/pets.
    """
    parts = (PurePosixPath(text), PureWindowsPath(text))
    if not text.strip() or "\0" in text or any(p.is_absolute() or p.anchor or ".." in p.parts for p in parts):
        raise ValueError(f"{text[:200]!r} leaves the folder {root}.")
    return stays(root, Path(root) / text)


def stays(root: str | os.PathLike, path: Path) -> Path:
    """The path, once it is known that no link in it leads out of the folder; ValueError otherwise."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise ValueError(f"{path} is a link that leaves the folder {root}.")
    return path


def pictures_in(folder: Path, root: Path) -> list[Path]:
    """All picture files in a folder and those below it, by name; ValueError for a link to a folder or out of `root`."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in folders:
            if os.path.islink(os.path.join(place, name)):
                raise ValueError(f"{Path(place) / name} is a link to a folder: put the pictures themselves there.")
        paths = [Path(place) / name for name in files if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        found += [stays(root, path) for path in paths]
    return sorted(found)


def list_folder(folder: str | os.PathLike) -> Listing:
    """The pictures of a folder that holds a folder for each class, named after it; classes in order of their names.

    Files that are no pictures by their suffix are passed over. Raises FileNotFoundError if there is no such folder,
    ValueError for a picture outside the class folders, a class without pictures, a link to a folder or out of it.
    """
    root = _folder(folder)
    places = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if linked := [p for p in places if p.is_symlink()]:
        raise ValueError(f"{linked[0]} is a link to a folder: put the pictures themselves there.")
    stray = [p for p in root.iterdir() if p.is_file() and p.name.lower().endswith(SUFFIXES)]
    if stray:
        raise ValueError(f"{stray[0]} belongs to no class: every class has a folder of its own.")
    files: list[Path] = []
    y: list[int] = []
    for k, place in enumerate(places):
        found = pictures_in(place, root)
        if not found:
            raise ValueError(f"{place}: the class has no pictures.")
        files += found
        y += [k] * len(found)
    if not files:
        raise ValueError(f"{root}: there are no class folders in it.")
    return Listing(tuple(files), tuple(p.name for p in places), np.array(y, np.int64), name=root.name)


def list_pairs(
    folder: str | os.PathLike, classes: Sequence[str] | None = None, values: Sequence[int] | None = None,
) -> Listing:  # fmt: skip
    """The pictures in folder/images with their masks in folder/masks, which have the same names but for the suffix.

    A mask's pixel of `values[k]` belongs to `classes[k]`; without values these are 0, 1, 2 …, and without classes all
    masks are read to see which values there are. Raises FileNotFoundError if a folder is missing, ValueError naming the
    pictures without a mask and the masks without a picture, ImageError naming a mask that cannot be read.
    """
    root = _folder(folder)
    images, masks = (
        {p.relative_to(sub).with_suffix("").as_posix(): p for p in pictures_in(sub, root)}
        for sub in map(_folder, (root / "images", root / "masks"))
    )
    if alone := sorted(set(images) ^ set(masks)):
        where = "masks" if alone[0] in images else "images"
        raise ValueError(f"{root}: {len(alone)} without a partner; the first is {alone[0]!r}, which {where}/ lacks.")
    if not images:
        raise ValueError(f"{root}: there are no pictures in images/.")
    if values is None:
        values = _values_of(masks.values()) if classes is None else range(len(classes))
    names = tuple(str(v) for v in values) if classes is None else tuple(classes)
    if len(names) != len(values) or list(values) != sorted(set(values)):
        raise ValueError(f"list_pairs: {len(names)} classes need as many values, ascending; got {list(values)}.")
    order = sorted(images)
    files, theirs = (tuple(paths[s] for s in order) for paths in (images, masks))
    return Listing(files, names, None, theirs, tuple(values), root.name)


def _values_of(masks: Iterable[Path]) -> tuple[int, ...]:
    found: set[int] = set()
    for path in masks:
        found |= set(np.unique(read_mask(path)).tolist())
    return tuple(sorted(found))


def _folder(folder: str | os.PathLike) -> Path:
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: {'not a folder' if path.exists() else 'no such folder'}.")
    return path


def labels_of(texts: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Classes from the words of a table: in order of their names, or of their numbers if all are whole numbers.

    >>> labels_of(["10", "2", "10"])
    (array([1, 0, 1]), ('2', '10'))
    """
    names = sorted(set(texts), key=int if all(t.isdecimal() for t in texts) else str)
    place = {name: k for k, name in enumerate(names)}
    return check_labels([place[t] for t in texts], len(names)), tuple(names)
