"""From files on disk to arrays: every picture of a data set at one size, and not a broken one among them.

One file cut short among ten thousand would stop a training hours after it began. So all are read before it begins, and
an error then names all that cannot be used. They are left out only when that is asked for, and then they are counted.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.dataset import Dataset
from tinycnn.data.listing import Listing, list_folder, list_pairs
from tinycnn.data.picture import read_image, read_mask
from tinycnn.data.resizing import resize
from tinycnn.errors import ImageError

MOST_NAMED = 20  # bad files in one message
ADVICE = "\n  Leave them out with skip_bad=True."
Size = tuple[int, int] | None
Bad = tuple[Path, str]
Example = tuple[NDArray[np.float32], NDArray[np.int64] | np.int64]


class PictureReader:
    """Reads the pictures and targets of a listing as arrays, of `size` (H, W) if given, else as the file has it.

    One channel is grey, three are red, green and blue. A picture is resized smoothly; a mask takes the nearest pixel,
    for there is no class between two classes.
    """

    def __init__(self, listing: Listing, size: Size = None, channels: int = 3):
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels!r}")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f"size must be (H, W), both at least 1, got {size!r}")
        self.listing, self.size, self.channels = listing, size, channels

    def __call__(self, i: int) -> Example:
        """Picture i (C, H, W) in [0, 1], and its class or its mask (H, W) of classes.

        Raises ImageError naming the file that is no picture, a mask with a value that is no class, or one of another
        size than its picture.
        """
        x = read_image(self.listing.files[i], "gray" if self.channels == 1 else "rgb")
        t = self._mask(i, x.shape[1:]) if self.listing.y is None else self.listing.y[i]
        if self.size in (None, x.shape[1:]):
            return x, t
        return resize(x, self.size), resize(t, self.size, "nearest") if np.ndim(t) else t

    def _mask(self, i: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        path, values = self.listing.masks[i], np.array(self.listing.values)
        mask = read_mask(path)
        if mask.shape != shape:
            raise ImageError(f"{path}: the mask is {mask.shape}, its picture {shape}.")
        classes = np.searchsorted(values, mask).clip(0, len(values) - 1)
        wrong = mask[values[classes] != mask]
        if wrong.size:
            known = ", ".join(map(str, values))
            raise ImageError(f"{path}: a pixel of {wrong[0]} is no class; the values are {known}.")
        return classes


class Inspector:
    """Finds out which files can be used: each that is a picture, and of the size of the first that is."""

    def __init__(self, listing: Listing):
        self.listing = listing
        self.shape: tuple[int, ...] = ()
        self.good: list[int] = []
        self.bad: list[Bad] = []

    def look(self, i: int, seen: tuple[int, ...] | Exception) -> None:
        """Take note of file i, of the shape of its picture or of why there is none; in order."""
        path = self.listing.files[i]
        if isinstance(seen, Exception):
            self.bad.append((path, str(seen)))
        elif self.good and seen != self.shape:
            size, first = "×".join(map(str, seen[1:])), "×".join(map(str, self.shape[1:]))
            self.bad.append((path, f"{size} pixels, where the first has {first}: give a size=(H, W) for all"))
        else:
            self.shape = seen
            self.good.append(i)

    def verdict(self, skip_bad: bool) -> Listing:
        """The files that can be used; ImageError naming the others unless they are to be skipped and some are left.

        A warning then tells how many there are.
        """
        if self.bad and not (skip_bad and self.good):
            raise ImageError(bad_files(self.bad, len(self.listing)) + ADVICE)
        if self.bad:
            warnings.warn(bad_files(self.bad, len(self.listing), "are left out"), stacklevel=4)
            return self.listing[self.good]
        return self.listing


def bad_files(bad: Sequence[Bad], count: int, what: str = "cannot be used") -> str:
    """What to say of files that cannot be used: how many, which, and why."""
    lines = [f"  {reason if str(path) in reason else f'{path}: {reason}'}" for path, reason in bad[:MOST_NAMED]]
    more = [f"  … and {len(bad) - MOST_NAMED} more"] if len(bad) > MOST_NAMED else []
    return "\n".join([f"{len(bad)} of {count:,} files {what}:", *lines, *more])


def load_listing(listing: Listing, size: Size = None, channels: int = 3, skip_bad: bool = False) -> Dataset:
    """Read all pictures of a listing into memory.

    x (N, C, H, W) float32 in [0, 1]; y (N,), or (N, H, W) from masks. Raises ImageError naming every file that cannot
    be used, or that has another size than the first where no `size` (H, W) is given; with `skip_bad` a warning counts
    them.
    """
    reader, inspector = PictureReader(listing, size, channels), Inspector(listing)
    examples: list[Example] = []
    for i in range(len(listing)):
        try:
            found = reader(i)
        except (ImageError, OSError) as error:
            inspector.look(i, error)
            continue
        inspector.look(i, found[0].shape)
        if inspector.good[-1] == i:
            examples.append(found)
    inspector.verdict(skip_bad)
    x, y = (np.stack(parts) for parts in zip(*examples, strict=True))
    return Dataset(x, y, listing.classes, listing.name)


def load_folder(
    folder: str | os.PathLike, size: Size = None, channels: int = 3, skip_bad: bool = False
) -> Dataset:  # fmt: skip
    """Read the pictures of a folder that holds a folder for each class, named after it.

    x (N, channels, H, W) float32 in [0, 1], resized to `size` (H, W) if given; y (N,), classes in order of their names.
    Raises as `list_folder` and `load_listing`.
    """
    return load_listing(list_folder(folder), size, channels, skip_bad)


def load_pairs(
    folder: str | os.PathLike, size: Size = None, channels: int = 3, classes: Sequence[str] | None = None,
    values: Sequence[int] | None = None, skip_bad: bool = False,
) -> Dataset:  # fmt: skip
    """Read the pictures in folder/images with their masks in folder/masks, to learn the class of every pixel.

    x (N, channels, H, W) float32 in [0, 1]; y (N, H, W), where k stands for a mask's pixel of `values[k]`. Raises as
    `list_pairs` and `load_listing`.
    """
    return load_listing(list_pairs(folder, classes, values), size, channels, skip_bad)
