"""What settings may leave open, because the data and the length of the run say it.

A schedule that falls to the end falls for as long as the run is, and a crop that only shifts is as large as the picture
was. What was found is recorded with the run: one that goes on for longer keeps the schedule that it began with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinycnn import optim
from tinycnn.data.augment import Augmentation
from tinycnn.data.dataset import Dataset
from tinycnn.runs.parts import Parts
from tinycnn.runs.settings import Entry, Settings, SettingsError

COUNTS = {"cosine": "epoch", "one_cycle": "step"}  # schedules as long as a run, and what they count unless told
BATCH = 32


def completed(settings: Settings, parts: Parts) -> Settings:
    """The settings with the length of their schedule and the size of their crops, where they do not say it."""
    augment = settings.augment
    if augment and len(parts.shape) == 3:
        augment = tuple(
            {**entry, "size": parts.shape[1:]} if entry["type"] == "RandomCrop" and "size" not in entry else entry
            for entry in augment
        )
    epochs, kind = settings.epochs or 1, optim.OPTIMIZERS.get(settings.optimizer.get("name", "adam"))
    whole = getattr(kind, "full_batch", False)
    steps = 1 if whole else math.ceil(len(parts.train) / (settings.batch_size or BATCH))
    schedule = _as_long(settings.schedule, {"epoch": epochs, "step": epochs * steps})
    return replace(settings, augment=augment, schedule=schedule)


def _as_long(schedule: Entry, length: Mapping[str, int]) -> Entry:
    """The schedule with the length of the run in what it counts; after a warm-up, with what is left of it."""
    then = schedule.get("then")
    if schedule.get("name") == "warmup" and isinstance(then, Mapping):
        first = schedule.get("length")
        left = {what: most - first for what, most in length.items()} if isinstance(first, int) else length
        return {**schedule, "then": _as_long(then, left)}
    counts = schedule.get("every", COUNTS.get(schedule.get("name", "")))
    if "length" in schedule or schedule.get("name") not in COUNTS or counts not in length:
        return schedule
    return {**schedule, "length": max(1, length[counts])}


def check_augment(augment: Augmentation | None, parts: Parts) -> None:
    """Raise SettingsError if the pictures cannot be changed so, or would no longer be what the network takes."""
    if augment is None:
        return
    train = parts.train
    labels = train.y[:1] if train.y is not None else np.zeros((1, *parts.shape[1:]), np.int64)
    x = train.x[:1] if isinstance(train, Dataset) else np.zeros((1, *parts.shape), np.float32)
    try:
        shape = augment.batch(x, labels, 0, 0, np.arange(1))[0].shape[1:]
    except (ValueError, TypeError) as error:
        raise SettingsError(f"augment: {error}") from None
    if shape != parts.shape:
        raise SettingsError(f"augment makes pictures {parts.shape} into {shape}, and the network takes {parts.shape}")
