"""Which size of network do these data want? The same network at several widths, trained on several amounts of data.

A network that is too small cannot even learn what it is shown: it underfits, and both losses are high. One that is too
large for the data learns them by heart: it overfits, and the loss on what it was not shown is far above the other. More
data move the point where that begins.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.data.dataset import Dataset
from tinycnn.data.split import train_test_split
from tinycnn.files import write_whole
from tinycnn.runs.completed import BATCH, completed
from tinycnn.runs.network import network_for
from tinycnn.runs.parts import Parts
from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.runs.things import augment_of, optimizer_of
from tinycnn.runs.width import scaled

FAR = 1.5  # a validation loss this many times the training loss is that of a network that learned by heart
RECORD = "capacity.json"


@dataclass(frozen=True)
class Trial:
    """One width on one amount of data: how many weights, and what it reached there and on what it was not shown."""

    width: float
    pictures: int
    weights: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


def measure_capacity(
    settings: Settings, parts: Parts, widths: Sequence[float], sizes: Sequence[int], out: Path,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:  # fmt: skip
    """Train every width on every amount of data; what `out` already holds of the same question is not done again.

    All get as many steps as the settings' epochs are for all pictures, so that few pictures are not trained less.
    Raises SettingsError for amounts that the data do not have, and for data that are not in memory with a class each.
    """
    if not isinstance(parts.train, Dataset) or parts.train.y.ndim != 1:
        raise SettingsError("capacity is measured on pictures in memory, with one class each")
    least, most = len(parts.classes), len(parts.train)
    if outside := [size for size in sizes if not least <= size <= most]:
        raise SettingsError(f"a size must be from {least} (the classes) to {most:,} pictures, got {outside[0]}")
    asked = settings.as_dict()
    done = _recorded(out, asked)
    for size in sizes:
        few = replace(parts, train=subset(parts.train, size, settings.seed or 0))
        for width in widths:
            if not any((trial.width, trial.pictures) == (width, size) for trial in done):
                done.append(_try(settings, few, width, most))
                text = json.dumps({"settings": asked, "trials": [asdict(trial) for trial in done]}, indent=1)
                write_whole(out / RECORD, text.encode())
            tell(next(trial for trial in done if (trial.width, trial.pictures) == (width, size)))
    return sorted(
        (trial for trial in done if trial.width in widths and trial.pictures in sizes),
        key=lambda trial: (trial.pictures, trial.width),
    )


def subset(part: Dataset, size: int, seed: int) -> Dataset:
    """So many examples of a part, with the same mix of classes."""
    if size == len(part):
        return part
    chosen, _ = train_test_split(part, test_size=1 - size / len(part), seed=seed, stratify=part.y)
    return chosen[:size]


def verdicts(trials: Sequence[Trial]) -> list[str]:
    """For each amount of data, in words: which width did best on what it was not shown, and what the others lack."""
    lines = []
    for size in sorted({trial.pictures for trial in trials}):
        mine = sorted((t for t in trials if t.pictures == size), key=lambda t: t.width)
        best = min(mine, key=lambda t: t.val_loss if np.isfinite(t.val_loss) else np.inf)
        parts = [f"{size:,} pictures: width {best.width:g} does best ({best.weights:,} weights, "
                 f"validation accuracy {best.val_accuracy:.1%})"]  # fmt: skip
        if small := [t for t in mine if t.width < best.width and t.loss > best.loss]:
            parts.append("narrower ones underfit, down to " + _losses(small[0]))
        if large := [t for t in mine if t.width > best.width and t.val_loss > FAR * t.loss]:
            parts.append("wider ones overfit, up to " + _losses(large[-1]))
        lines.append("; ".join(parts))
    return lines


def _losses(trial: Trial) -> str:
    return f"width {trial.width:g} (loss {trial.loss:.3g} in training, {trial.val_loss:.3g} in validation)"


def _try(settings: Settings, parts: Parts, width: float, most: int) -> Trial:
    train, val = parts.train, parts.val
    assert isinstance(train, Dataset)  # measure_capacity has seen to it
    assert isinstance(val, Dataset)
    batch = settings.batch_size or BATCH
    epochs = max(1, round((settings.epochs or 1) * math.ceil(most / batch) / math.ceil(len(train) / batch)))
    settings = completed(replace(settings, epochs=epochs), parts)
    whole = network_for(settings, parts)
    model = scaled(whole, width)
    model.classes, model.preprocessing = whole.classes, whole.preprocessing
    model.compile(optimizer_of(settings), settings.loss or "cross_entropy", ["accuracy"], whole.regularizer)
    batch_size = None if model.optimizer is not None and model.optimizer.full_batch else batch
    try:
        model.fit(train.x, train.y, epochs, batch_size, verbose=0, augment=augment_of(settings))
    except FloatingPointError:  # it diverged, which is a finding too
        return Trial(width, len(train), model.count_params(), math.inf, 0.0, math.inf, 0.0)
    found, unseen = (model.evaluate(part.x, part.y) for part in (train, val))
    return Trial(width, len(train), model.count_params(), *found, *unseen)


def _recorded(out: Path, asked: dict[str, Any]) -> list[Trial]:
    """What an earlier call found with the very same settings; nothing if there is none."""
    if not (out / RECORD).is_file():
        return []
    try:
        found = json.loads((out / RECORD).read_text(encoding="utf-8"))
        if found["settings"] != json.loads(json.dumps(asked)):
            raise SettingsError(f"{out / RECORD} was made with other settings: give another --out")
        return [Trial(**trial) for trial in found["trials"]]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{out / RECORD} is no record of this command: {error}") from None
