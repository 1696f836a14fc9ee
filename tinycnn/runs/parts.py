"""The parts of a data set, each with one purpose: to learn from, to watch by, to be judged on.

Bundled sets go by their names, others by their path. What has no part of its own to watch by gives up a share of its
training part, class by class; statistics are of what is left of it, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn import data
from tinycnn.data.dataset import Dataset
from tinycnn.data.listing import Listing
from tinycnn.data.reading import load_listing
from tinycnn.data.split import train_test_split
from tinycnn.data.stream import Stream
from tinycnn.data.survey import open_data, part_folders
from tinycnn.runs.settings import Settings, SettingsError, nearest

Part = Dataset | Stream
IN_MEMORY = 2**30  # bytes of float32: a larger set of picture files stays on disk
SHAPES = 1200, 300  # pictures of the generated set, to learn from and to be judged on


@dataclass(frozen=True)
class Parts:
    """What a run learns from, watches by, and, where the set has such a part, is judged on."""

    train: Part
    val: Part
    test: Part | None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.train.classes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.x.shape[1:] if isinstance(self.train, Dataset) else self.train.shape

    def __str__(self) -> str:
        test = f", {len(self.test):,} to be judged on" if self.test is not None else ""
        size = "×".join(map(str, self.shape))
        return (
            f"{len(self.train):,} pictures ({size}) of {len(self.classes)} classes to learn from, "
            f"{len(self.val):,} to watch by{test}"
        )


def _digits() -> tuple[Dataset, ...]:
    return data.load_digits()


def _shapes() -> tuple[Dataset, ...]:
    learn, judge = SHAPES
    both = data.load_shapes(learn + judge)
    return both[:learn], both[learn:]


BUNDLED = {"digits": _digits, "shapes": _shapes}


def open_parts(settings: Settings, default_size: tuple[int, ...] | None = None) -> Parts:
    """The data that the settings name, in parts, checked.

    `default_size` (C, H, W) is what picture files become where the settings do not say. Raises FileNotFoundError for a
    path that is not there, SettingsError for a set that nothing can be learned from, and what the readers raise.
    """
    opened = named(settings, default_size)
    val = 0.1 if settings.val is None else settings.val
    if len(opened) == 3:
        parts = Parts(*opened)
    else:
        parts = Parts(*_held_out(opened[0], val, settings.seed or 0), opened[1] if len(opened) == 2 else None)
    check_parts(parts)
    return parts


def named(settings: Settings, default_size: tuple[int, ...] | None = None) -> tuple[Part, ...]:
    """A data set by its name or path, in the parts that it comes in."""
    if not settings.data:
        raise SettingsError("which data? Give a path, or the name of a bundled set: " + ", ".join(BUNDLED))
    if settings.data in BUNDLED and not Path(settings.data).exists():
        return as_asked(BUNDLED[settings.data](), settings)
    path = Path(settings.data)
    if not path.exists():
        hint = nearest(settings.data, BUNDLED)
        raise FileNotFoundError(f"there is no file, folder or bundled set {settings.data!r}{hint}")
    (channels, size), skip_bad = _pictures(settings, default_size), bool(settings.skip_bad)
    if path.is_dir() and (places := part_folders(path)):
        found = [open_data(place, size, channels, skip_bad) for place in places]
        listings = [one for one in found if isinstance(one, Listing)]
        if len(listings) < len(found):
            raise SettingsError(f"{path}: its parts must be folders of pictures")
        return tuple(_read(one, size, channels, skip_bad) for one in _same_classes(path, places, listings))
    opened = open_data(path, size, channels, skip_bad)
    return as_asked((_read(opened, size, channels, skip_bad),) if isinstance(opened, Listing) else opened, settings)


def as_asked(parts: tuple[Part, ...], settings: Settings) -> tuple[Part, ...]:
    """The parts, once it is sure that a size or a number of channels that was asked for is theirs."""
    shape = parts[0].x.shape[1:] if isinstance(parts[0], Dataset) else parts[0].shape
    only = f"{settings.data} comes as {'×'.join(map(str, shape))}, and picture files alone are"
    if settings.size is not None and shape[1:] != settings.size:
        raise SettingsError(f"{only} resized to {'×'.join(map(str, settings.size))}")
    if settings.grey is not None and shape[0] != (1 if settings.grey else 3):
        raise SettingsError(f"{only} read in grey or in colour as one asks")
    return parts


def _pictures(settings: Settings, default: tuple[int, ...] | None) -> tuple[int, tuple[int, int] | None]:
    """How picture files are read: channels, and their size."""
    default = default if default is not None and len(default) == 3 else None
    channels = (default[0] if default else 3) if settings.grey is None else 1 if settings.grey else 3
    size = settings.size or ((default[1], default[2]) if default else None)
    return channels if channels in (1, 3) else 3, size


def _same_classes(path: Path, places: Sequence[Path], listings: Sequence[Listing]) -> Sequence[Listing]:
    """The parts, once it is sure that a class is one and the same in all of them.

    Masks to watch by or to be judged on may lack a value that those to learn from have: they count as those do.
    """
    first = listings[0]
    for place, other in zip(places[1:], listings[1:], strict=True):
        lacking = sorted(set(first.classes) - set(other.classes))
        unknown = sorted(set(other.classes) - set(first.classes))
        if unknown or (lacking and other.y is not None):
            pairs = ((lacking, places[0], place), (unknown, place, places[0]))
            said = [f"{_in_short(names)} in {one.name}/ and not in {two.name}/" for names, one, two in pairs if names]
            raise SettingsError(f"{path}: the parts have not the same classes: {'; '.join(said)}")
    return [one if one.y is not None else replace(one, classes=first.classes, values=first.values) for one in listings]


def _in_short(names: Sequence[str]) -> str:
    """Up to ten names in words, and how many more there are."""
    shown = ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"


def _read(listing: Listing, size: tuple[int, int] | None, channels: int, skip_bad: bool) -> Part:
    """Picture files as arrays, or as a stream where they would fill the memory."""
    if size is not None and len(listing) * channels * size[0] * size[1] * 4 > IN_MEMORY:
        return Stream(listing, size, channels, skip_bad=skip_bad)
    return load_listing(listing, size, channels, skip_bad)


def _held_out(part: Part, share: float, seed: int) -> tuple[Any, Any]:
    """A part in two: what is left to learn from, and what is held out to watch by, of every class its share."""
    if not 0.5 < share * len(part) <= len(part) - 0.5:  # else rounding leaves one of the two empty
        raise SettingsError(f"of {len(part):,} pictures, {share:g} cannot be held out to watch by: give another --val")
    if isinstance(part, Stream):
        first, second = train_test_split(part.listing, test_size=share, seed=seed, stratify=part.y)
        learn, watch = (Stream(one, part.shape[1:], part.shape[0], check=False) for one in (first, second))
        return learn, watch
    stratify = part.y if part.y.ndim == 1 else None
    learn, watch = train_test_split(part, test_size=share, seed=seed, stratify=stratify)
    return learn, watch


def check_parts(parts: Parts) -> None:
    """Raise SettingsError for data that nothing can be learned from, or judged by."""
    if len(parts.classes) < 2:
        raise SettingsError(f"there is one class alone, {parts.classes[0]!r}: nothing is to be told apart")
    learned = _seen(parts.train)
    if learned is None:
        return
    for what, part in (("to watch by", parts.val), ("to be judged on", parts.test)):
        seen = None if part is None else _seen(part)
        if seen is not None and (unknown := sorted(seen - learned)):
            names = ", ".join(repr(parts.classes[k]) for k in unknown)
            raise SettingsError(f"the pictures {what} hold a class that none to learn from has: {names}")
    if isinstance(parts.train, Dataset) and parts.train.y.ndim < 3 and len(learned) == 1:
        (only,) = learned
        raise SettingsError(f"all pictures to learn from are of one class, {parts.classes[only]!r}")


def _seen(part: Part) -> set[int] | None:
    """The classes that a part holds; None where only its masks on disk could tell."""
    if isinstance(part, Dataset):
        return set(np.flatnonzero(part.counts()).tolist())
    return None if part.y is None else set(np.unique(part.y).tolist())
