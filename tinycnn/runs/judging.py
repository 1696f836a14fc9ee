"""How good is a trained network on a data set? The loss and metrics, every class, and who is taken for whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.data.dataset import Dataset
from tinycnn.model import load
from tinycnn.model.sequential import Sequential
from tinycnn.runs.folder import MODEL, read_config
from tinycnn.runs.parts import Part, named
from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.train.metrics import classification_report, confusion_matrix

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

    def as_dict(self) -> dict[str, Any]:
        """As `tinycnn evaluate --json` prints it."""
        found: dict[str, Any] = {"data": self.data, "pictures": self.pictures, **self.numbers}
        return found if self.matrix is None else found | {
            "classes": list(self.classes), "confusion": self.matrix.tolist(),
        }  # fmt: skip

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in self.numbers.items())
        parts = [f"{self.pictures:,} pictures of {self.data}: {numbers}", self.report]
        if self.matrix is not None and len(self.classes) <= MOST_SHOWN:
            parts.append("Rows: what it is; columns: what it was taken for.\n" + _table(self.matrix, self.classes))
        return "\n\n".join(part for part in parts if part)


def judge(path: str | Path, where: str) -> Judgement:
    """Judge the model of a file, or of a run's folder, on a data set by its name or path.

    Raises FileNotFoundError, ModelFormatError, and SettingsError where the data do not fit the model: by the shape of
    their pictures, or by classes that the model did not learn.
    """
    path = Path(path)
    told = read_config(path) if path.is_dir() else Settings()
    model = load(path / MODEL if path.is_dir() else path)
    if model.loss is None:
        raise SettingsError(f"{path} was saved before it was compiled: there is no loss to judge it by")
    parts = named(Settings(data=where, size=told.size, grey=told.grey), model.input_shape)
    part = as_learned(parts[-1], model)
    numbers = (model.evaluate(part.x, part.y) if isinstance(part, Dataset) else model.evaluate(part)).as_dict()
    if not isinstance(part, Dataset) or part.y.ndim != 1:
        return Judgement(where, len(part), numbers, part.classes)
    p = model.predict_proba(part.x)
    if p.ndim != 2:
        return Judgement(where, len(part), numbers, part.classes)
    matrix = confusion_matrix(part.y, p, num_classes=p.shape[1])
    report = str(classification_report(part.y, p, part.classes))
    return Judgement(where, len(part), numbers, part.classes, report, matrix)


def as_learned(part: Part, model: Sequential) -> Part:
    """The same examples with the labels counted as the model counts its classes."""
    shape = part.x.shape[1:] if isinstance(part, Dataset) else part.shape
    if model.input_shape is not None and tuple(shape) != tuple(model.input_shape):
        raise SettingsError(f"the pictures are {tuple(shape)}, and the model learned from {tuple(model.input_shape)}")
    learned = model.classes
    if learned is None or learned == part.classes:
        return part
    if unknown := [name for name in part.classes if name not in learned]:
        raise SettingsError(f"the model did not learn {', '.join(map(repr, unknown))}; it knows {', '.join(learned)}")
    if not isinstance(part, Dataset) or part.y.ndim == 2:
        raise SettingsError("the data have other classes than the model, in another order")
    places = np.array([learned.index(name) for name in part.classes])
    return Dataset(part.x, places[part.y], learned, part.name)


def _table(matrix: np.ndarray, classes: tuple[str, ...]) -> str:
    width = max(4, *(len(name[:10]) + 1 for name in classes), len(str(matrix.max())) + 1)
    head = " " * 11 + "".join(f"{name[:10]:>{width}}" for name in classes)
    rows = [
        f"{name[:10]:<11}" + "".join(f"{n:>{width}}" for n in row) for name, row in zip(classes, matrix, strict=True)
    ]
    return "\n".join([head, *rows])
