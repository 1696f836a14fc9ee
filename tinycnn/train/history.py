"""What training and evaluation report: a history of epochs, and a result that unpacks in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class History(Mapping[str, list[float]]):
    """The numbers of every epoch: `history["loss"]`, `history["val_accuracy"]`, one for each epoch.

    >>> history = History()
    >>> history.add({"loss": 2.3, "accuracy": 0.1})
    >>> history["loss"], history.epochs
    ([2.3], 1)
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}  # Keras's word for it

    def add(self, numbers: Mapping[str, float]) -> None:
        """Append one epoch."""
        for name, value in numbers.items():
            self.history.setdefault(name, []).append(float(value))

    @property
    def epochs(self) -> int:
        """How many epochs there were."""
        return max((len(values) for values in self.history.values()), default=0)

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __len__(self) -> int:
        return len(self.history)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.history.items())
        return f"<history of {self.epochs} epochs: {last}>" if last else "<history of 0 epochs>"


class Mean:
    """Means over examples, from means over batches of different sizes."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, numbers: Mapping[str, float], size: int) -> None:
        """Add a batch's means."""
        self.count += size
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * size

    def values(self) -> dict[str, float]:
        """The means over all examples so far."""
        return {name: total / self.count for name, total in self.sums.items()}


class Evaluation(tuple):
    """The loss and the metrics of an evaluation: unpacks in order, and answers to names.

    >>> result = Evaluation({"loss": 0.25, "accuracy": 0.9})
    >>> loss, accuracy = result
    >>> result.loss, result["accuracy"], result.as_dict()
    (0.25, 0.9, {'loss': 0.25, 'accuracy': 0.9})
    """

    names: tuple[str, ...]

    def __new__(cls, numbers: Mapping[str, float]) -> Evaluation:
        """Keep the numbers in order, and their names."""
        result = super().__new__(cls, (float(v) for v in numbers.values()))
        result.names = tuple(numbers)
        return result

    def as_dict(self) -> dict[str, float]:
        """The numbers by name."""
        return dict(zip(self.names, self, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return Evaluation, (self.as_dict(),)

    def __getitem__(self, key: Any) -> Any:
        return self.as_dict()[key] if isinstance(key, str) else super().__getitem__(key)

    def __getattr__(self, name: str) -> float:
        if name != "names" and name in self.names:
            return self.as_dict()[name]
        raise AttributeError(f"no metric {name!r}; there are {', '.join(self.names)}")

    def __repr__(self) -> str:
        return f"Evaluation({', '.join(f'{n}={v:.4f}' for n, v in self.as_dict().items())})"
