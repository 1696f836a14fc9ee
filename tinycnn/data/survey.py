"""What a path holds, as far as data go: which kind of data set, how large, how its classes are filled, what is bad.

A set is told by its files alone: MNIST by its four, CIFAR by its batches, a table by its suffix, pictures by their
folders. Every picture is read, which is the only way to know that it can be.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.data.cifar import load_cifar10, load_cifar100
from tinycnn.data.dataset import Dataset
from tinycnn.data.idx import idx_pair, load_fashion_mnist, load_idx_pair, load_mnist
from tinycnn.data.listing import Listing, list_folder, list_pairs
from tinycnn.data.picture import read_image
from tinycnn.data.reading import ADVICE, Bad, PictureReader, Size, load_listing
from tinycnn.data.statistics import Moments
from tinycnn.data.table import has_paths, list_table, load_table
from tinycnn.errors import ImageError

TRAIN, VAL, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
KINDS = {
    "parts": "a folder for each part, to learn from and to be judged on",
    "mnist": "the four idx files of MNIST",
    "fashion-mnist": "the four idx files of MNIST, in a folder that is called after fashion",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "pairs": "pictures in images/ and masks of the same names in masks/",
    "table": "a CSV table of pictures",
    "folder": "a folder for each class",
}


@dataclass(frozen=True)
class Survey:
    """What was found: `parts` (train, test …) with their counts, the sizes of the pictures, statistics, bad files."""

    path: str
    kind: str
    pictures: int
    parts: dict[str, int]
    sizes: dict[str, int]
    classes: dict[str, int]
    mean: list[float]
    std: list[float]
    bad: list[tuple[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """As `tinycnn data info --json` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        parts = "" if len(self.parts) < 2 else " (" + ", ".join(f"{k} {n:,}" for k, n in self.parts.items()) + ")"
        lines = [f"{self.path}: {KINDS[self.kind]}", f"pictures  {self.pictures:,}{parts}"]
        lines.append("sizes     " + ", ".join(f"{size}: {n:,}" for size, n in self.sizes.items()))
        lines.append(f"classes   {len(self.classes)}: " + ", ".join(f"{k} {n:,}" for k, n in self.classes.items()))
        for word, numbers in (("mean", self.mean), ("std", self.std)):
            lines.append(f"{word:9} " + ", ".join(f"{v:.4f}" for v in numbers))
        lines.append(f"bad files {len(self.bad)}")
        lines += [f"  {reason if path in reason else f'{path}: {reason}'}" for path, reason in self.bad]
        return "\n".join(lines)


def kind_of(path: str | os.PathLike) -> str:
    """Which of KINDS a path holds; FileNotFoundError if nothing is there, ValueError if it is none of them."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder.")
    if path.is_dir() and part_folders(path):
        return "parts"
    if path.is_file():
        name = path.name.lower()
        if name.endswith(".csv"):
            return "table"
        if name.endswith((".tar.gz", ".tgz", ".tar")):
            return "cifar100" if "100" in name else "cifar10"
        raise ValueError(f"{path}: a data set is {'; or '.join(KINDS.values())}.")
    try:
        idx_pair(path, "train")
        return "fashion-mnist" if "fashion" in path.resolve().name.lower() else "mnist"
    except FileNotFoundError:
        pass
    inner = [path, *path.glob("cifar-*")]
    for names, kind in ((("data_batch_1", "data_batch_1.bin"), "cifar10"), (("train.bin", "meta"), "cifar100")):
        if any((place / name).is_file() for place in inner for name in names):
            return kind
    return "pairs" if (path / "images").is_dir() and (path / "masks").is_dir() else "folder"


def part_folders(path: Path) -> list[Path]:
    """The folders train, val and test, in this order, where a folder holds those instead of classes."""
    inside = {p.name.lower(): p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")}
    chosen = [next((inside[name] for name in names if name in inside), None) for names in (TRAIN, VAL, TEST)]
    if chosen[0] is None or set(inside) - {*TRAIN, *VAL, *TEST}:
        return []
    if chosen[1] is not None and chosen[2] is None:  # two parts are to learn from and to be judged on
        return [chosen[0], chosen[1]]
    return [place for place in chosen if place is not None]


def open_data(
    path: str | os.PathLike, size: Size = None, channels: int = 3, skip_bad: bool = False
) -> tuple[Dataset, ...] | Listing:  # fmt: skip
    """The data set at a path: its parts as Datasets, or the Listing of its picture files, not yet read.

    `skip_bad` is for pictures inside a table, which are read here.
    """
    kind, path = kind_of(path), Path(path)
    if kind in ("mnist", "fashion-mnist"):
        try:
            idx_pair(path, "t10k")
        except FileNotFoundError:
            return (load_idx_pair(*idx_pair(path, "train"), tuple("0123456789"), "train"),)
        return load_mnist(path) if kind == "mnist" else load_fashion_mnist(path)
    if kind in ("cifar10", "cifar100"):
        return (load_cifar10 if kind == "cifar10" else load_cifar100)(path)
    if kind == "table":
        return list_table(path) if has_paths(path) else (
            load_table(path, size=size, channels=channels, skip_bad=skip_bad),
        )  # fmt: skip
    return list_pairs(path) if kind == "pairs" else list_folder(path)


def survey(path: str | os.PathLike, channels: int = 3) -> Survey:
    """Read all of a data set and say what it is; a picture that cannot be read is in `bad`, and counts nowhere else.

    Raises FileNotFoundError, and ValueError for what is no data set or is damaged as a whole.
    """
    if kind_of(path) == "parts":
        opened = {place.name: open_data(place, channels=channels) for place in part_folders(Path(path))}
        listings = {name: one for name, one in opened.items() if isinstance(one, Listing)}
        if len(listings) < len(opened):
            raise ValueError(f"{path}: its parts must be folders of pictures.")
        return _survey_files(path, listings, channels)
    try:
        found = open_data(path, channels=channels)
    except ImageError as error:
        raise ImageError(str(error).removesuffix(ADVICE)) from None  # a survey leaves nothing out
    if isinstance(found, Listing):
        return _survey_files(path, {"all": found}, channels)
    moments, counts = Moments(), np.zeros(len(found[0].classes), np.int64)
    for part in found:
        moments.add(part.x)
        counts += part.counts()
    sizes = {"×".join(map(str, found[0].x.shape[1:])): sum(map(len, found))}
    return Survey(
        str(path), kind_of(path), sum(map(len, found)), {part.name.split()[-1]: len(part) for part in found}, sizes,
        dict(zip(found[0].classes, counts.tolist(), strict=True)), **moments.values(), bad=[],
    )  # fmt: skip


def _survey_files(path: str | os.PathLike, parts: Mapping[str, Listing], channels: int) -> Survey:
    moments, sizes, bad = Moments(), Counter[str](), list[Bad]()
    counts = {name: 0 for listing in parts.values() for name in listing.classes}
    readable = dict.fromkeys(parts, 0)
    for part, listing in parts.items():
        reader = PictureReader(listing, None, channels)
        for i, file in enumerate(listing.files):
            try:
                x, t = reader(i)
            except (ImageError, OSError) as error:
                bad.append((file, str(error)))
                continue
            moments.add(x[None])
            readable[part] += 1
            sizes["×".join(map(str, x.shape))] += 1
            for k in np.unique(t):
                counts[listing.classes[k]] += 1
    if not sizes:
        raise ImageError(f"{path}: none of {len(bad):,} pictures can be read; the first: {bad[0][1]}")
    return Survey(
        str(path), kind_of(path), sum(readable.values()), readable, dict(sizes.most_common()), counts,
        **moments.values(), bad=[(str(file), reason) for file, reason in bad],
    )  # fmt: skip


def sample(
    path: str | os.PathLike, count: int, size: tuple[int, int] | None, seed: int, skip_bad: bool = False
) -> Dataset:  # fmt: skip
    """Some examples of a data set, chosen by the seed, in the order they have there; pictures resized to `size`.

    Of a set with parts they are of the one to learn from. Of files, only those chosen are read; without a size they
    take that of the first which is a picture. With `skip_bad` those that cannot be used are left out, and a warning
    counts them. Raises as `open_data` and `load_listing`.
    """
    if kind_of(path) == "parts":
        path = part_folders(Path(path))[0]
    found = open_data(path, skip_bad=skip_bad)
    data = found[0] if isinstance(found, tuple) else found
    rows = np.sort(np.random.default_rng(seed).permutation(len(data))[:count])
    chosen = data[rows]
    if isinstance(chosen, Dataset):
        return chosen
    return load_listing(chosen, size or _first_size(chosen), skip_bad=skip_bad)


def _first_size(listing: Listing) -> Size:
    """The size of the first file that is a picture."""
    for file in listing.files:
        with contextlib.suppress(ImageError):
            H, W = read_image(file).shape[1:]
            return H, W
    return None
