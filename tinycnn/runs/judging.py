"""How good is a trained network on a data set? The loss and metrics, every class, and who is taken for whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.data.dataset import Dataset
from tinycnn.data.survey import part_folders
from tinycnn.model import load
from tinycnn.model.sequential import Sequential
from tinycnn.runs.folder import model_file, read_config
from tinycnn.runs.parts import Part, named
from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.train.metrics import classification_report, confusion_matrix

AT_ONCE = 64  # pictures in one forward pass
MOST_SHOWN = 20  # classes whose confusion matrix fits a terminal


@dataclass(frozen=True)
class Judgement:
    """What was found: numbers by name, and for single classes the report and the confusion matrix."""

    data: str
    pictures: int
    numbers: dict[str, float]
    classes: tuple[str, ...]
    report: str = ""
    matrix: np.ndarray | None = None
    seen: bool = False  # whether the network learned from these very pictures, or from most of them

    def as_dict(self) -> dict[str, Any]:
        """As `tinycnn evaluate --json` prints it."""
        found: dict[str, Any] = {"data": self.data, "pictures": self.pictures, **self.numbers}
        if self.seen:
            found["seen_in_training"] = True
        return found if self.matrix is None else found | {
            "classes": list(self.classes), "confusion": self.matrix.tolist(),
        }  # fmt: skip

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in self.numbers.items())
        parts = [f"{self.pictures:,} pictures of {self.data}: {numbers}", self.report]
        if self.seen:
            parts.insert(1, "The network learned from these pictures, but for those held out to watch by; on others it "
                            "will hardly do as well.")  # fmt: skip
        if self.matrix is not None and len(self.classes) <= MOST_SHOWN:
            parts.append("Rows: what it is; columns: what it was taken for.\n" + _table(self.matrix, self.classes))
        return "\n\n".join(part for part in parts if part)


def judge(path: str | Path, where: str, skip_bad: bool = False) -> Judgement:
    """Judge the model of a file, or of a run's folder, on a data set by its name or path.

    With `skip_bad` files that cannot be used are left out, and a warning counts them.
    Raises FileNotFoundError, ModelFormatError, and SettingsError where the data do not fit the model: by the shape of
    their pictures, or by classes that the model did not learn.
    """
    path = Path(path)
    model = load(model_file(path))
    told = read_config(path) if path.is_dir() else Settings()
    if model.loss is None:
        raise SettingsError(f"{path} was saved before it was compiled: there is no loss to judge it by")
    asked = Settings(data=where, size=told.size, grey=told.grey, skip_bad=skip_bad)
    parts = named(asked, model.input_shape)
    part = as_learned(parts[-1], model)
    numbers = model.evaluate(part).as_dict()
    found = Judgement(where, len(part), numbers, part.classes, seen=len(parts) == 1 and learned_from(told.data, where))
    if isinstance(part, Dataset) and part.y.ndim == 3:
        return replace(found, report=_areas(_pixels(model, part), part.classes))
    if not isinstance(part, Dataset) or part.y.ndim != 1:
        return found
    scores = model.predict(part.x)  # not every loss makes probabilities of them, but the highest wins with any
    if scores.ndim != 2:
        return found
    matrix = confusion_matrix(part.y, scores, num_classes=scores.shape[1])
    return replace(found, report=str(classification_report(part.y, scores, part.classes)), matrix=matrix)


def learned_from(data: str, where: str) -> bool:
    """Whether a run on these data learned from what is there: they are the same, or their part to learn from."""
    parts = part_folders(Path(data)) if data and Path(data).is_dir() else []
    return any(same_data(one, where) for one in (data, *map(str, parts[:1])))


def same_data(one: str, other: str) -> bool:
    """Whether two names of data, or paths of them, are the same."""
    return bool(one) and (one == other or Path(one).resolve() == Path(other).resolve())


def as_learned(part: Part, model: Sequential) -> Part:
    """The same examples with the labels counted as the model counts its classes."""
    shape = part.x.shape[1:] if isinstance(part, Dataset) else part.shape
    if model.input_shape is not None and tuple(shape) != tuple(model.input_shape):
        raise SettingsError(f"the pictures are {tuple(shape)}, and the model learned from {tuple(model.input_shape)}")
    by_pixel, out = part.y is None or part.y.ndim == 3, model.output_shape
    if out is not None and by_pixel != (len(out) == 3):
        what = ("pixel", "picture") if by_pixel else ("picture", "pixel")
        raise SettingsError(f"the data have a class for each {what[0]}, and the model gives one for each {what[1]}")
    learned = model.classes
    if learned is None or learned == part.classes:
        return part
    if unknown := [name for name in part.classes if name not in learned]:
        raise SettingsError(f"the model did not learn {', '.join(map(repr, unknown))}; it knows {', '.join(learned)}")
    if not isinstance(part, Dataset) or part.y.ndim == 2:
        raise SettingsError("the data have other classes than the model, in another order")
    places = np.array([learned.index(name) for name in part.classes])
    return Dataset(part.x, places[part.y], learned, part.name)


def _pixels(model: Sequential, part: Dataset) -> np.ndarray:
    """How many pixels of each class were taken for each (K, K), a few pictures at a time."""
    K = len(part.classes)
    total = np.zeros((K, K), np.int64)
    for first in range(0, len(part), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        total += confusion_matrix(part.y[some].ravel(), model.predict_classes(part.x[some]).ravel(), num_classes=K)
    return total


def _areas(matrix: np.ndarray, classes: tuple[str, ...]) -> str:
    """IoU and Dice of each class, of its area and the one that was found; NaN where there are neither."""
    both, true, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid="ignore"):
        scores = [both / (true + said - both), 2 * both / (true + said)]
    rows = [f"{'':<11}{'IoU':>8}{'Dice':>8}{'pixels':>12}"]
    rows += [f"{c[:10]:<11}{i:8.3f}{d:8.3f}{n:12,}" for c, i, d, n in zip(classes, *scores, true, strict=True)]
    means = [float(np.nanmean(one)) for one in scores]
    return "\n".join([*rows, f"{'mean':<11}{means[0]:8.3f}{means[1]:8.3f}{true.sum():12,}"])


def _table(matrix: np.ndarray, classes: tuple[str, ...]) -> str:
    width = max(4, *(len(name[:10]) + 1 for name in classes), len(str(matrix.max())) + 1)
    head = " " * 11 + "".join(f"{name[:10]:>{width}}" for name in classes)
    rows = [
        f"{name[:10]:<11}" + "".join(f"{n:>{width}}" for n in row) for name, row in zip(classes, matrix, strict=True)
    ]
    return "\n".join([head, *rows])
