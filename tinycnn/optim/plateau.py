"""Reduce on plateau: the rate falls when a number that is watched gets no better."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from tinycnn.formula import formula
from tinycnn.optim.options import check_count, check_option
from tinycnn.optim.schedules import Schedule


@formula(
    "better = (value < best - threshold)",
    "best = value if better else best",
    "bad = 0 if better else bad + 1",
    "cut = (bad > patience)",
    "factor = max(factor*gamma, least) if cut else factor",
    "bad = 0 if cut else bad",
    where="value is the number that is watched, or its negative where more is better; best is the lowest so far, ∞ at"
    " first; bad is how many epochs in a row brought nothing; better and cut are 1 for yes and 0 for no",
    shapes="value (), best (), bad (), factor (), threshold (), patience (), gamma (), least (), better (), cut ()"
    " -> factor, best, bad",
    source="as PyTorch's ReduceLROnPlateau with threshold_mode abs",
)
def plateau_schedule(
    value: float, best: float, bad: int, factor: float, threshold: float = 1e-4, patience: int = 10,
    gamma: float = 0.1, least: float = 0.0,
) -> tuple[float, float, int]:  # fmt: skip
    """What one more epoch does to the factor; returns the factor, the best value and the bad epochs in a row.

    >>> plateau_schedule(0.5, best=0.5, bad=2, factor=1.0, patience=2, gamma=0.25)
    (0.25, 0.5, 0)
    """
    if value < best - threshold:
        return factor, value, 0
    if bad + 1 > patience:
        return max(factor * gamma, least), best, 0
    return factor, best, bad + 1


class ReduceOnPlateau(Schedule):
    """Multiply the rate by `gamma` when `monitor` has not got better by `threshold` for more than `patience` epochs.

    `mode` says whether better is "min" or "max"; without it the number's name does: a loss should fall, an accuracy
    rise. The factor does not fall below `least`.

    >>> schedule = ReduceOnPlateau(patience=0, gamma=0.5)
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     schedule.observe({"val_loss": loss})
    >>> schedule.factor(4)
    0.25
    """

    name = "plateau"
    options = ("monitor", "gamma", "patience", "threshold", "least", "mode")

    def __init__(
        self, monitor: str = "val_loss", gamma: float = 0.1, patience: int = 10, threshold: float = 1e-4,
        least: float = 0.0, mode: str | None = None, every: str = "epoch",
    ):  # fmt: skip
        super().__init__(every)
        if every != "epoch":
            raise ValueError("a plateau is told by the numbers of whole epochs: every must be 'epoch'")
        self.monitor, self.mode = monitor, mode
        self.sign = sign_of(monitor, mode)
        self.gamma = check_option("gamma", gamma, 0.0, 1.0)
        self.patience = check_count("patience", patience, least=0)
        self.threshold, self.least = check_option("threshold", threshold, 0.0), check_option("least", least, 0.0)
        self.best, self.bad, self.now = math.inf, 0, 1.0

    def factor(self, t: int) -> float:
        """As the epochs so far have made it."""
        return self.now

    def observe(self, numbers: Mapping[str, float]) -> None:
        """By the formula."""
        assert self.monitor is not None
        self.now, self.best, self.bad = plateau_schedule(
            self.sign * numbers[self.monitor], self.best, self.bad, self.now, self.threshold, self.patience,
            self.gamma, self.least,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """The best value, the bad epochs and the factor."""
        return {"best": self.best, "bad": self.bad, "now": self.now}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what another one remembered."""
        self.best, self.bad, self.now = float(saved["best"]), int(saved["bad"]), float(saved["now"])


def sign_of(monitor: str, mode: str | None) -> float:
    """1 where less of a number is better, −1 where more is; by `mode`, or by the number's name.

    Raises ValueError for a mode that is none, and where the name does not say.

    >>> sign_of("val_loss", None), sign_of("val_accuracy", None), sign_of("speed", "max")
    (1.0, -1.0, -1.0)
    """
    if mode is None:
        last = monitor.removeprefix("val_")
        mode = "min" if last.endswith(_FALLS) else "max" if last in _RISES else None
    if mode is None:
        near = difflib.get_close_matches(monitor, [v + name for name in (*_FALLS, *_RISES) for v in ("", "val_")], n=1)
        hint = f", or is it {near[0]!r} that is meant?" if near else ""
        raise ValueError(f"is more or less of {monitor!r} better? Say mode='min' or mode='max'{hint}")
    check_mode(monitor, mode)
    return 1.0 if mode == "min" else -1.0


def check_mode(monitor: str, mode: str | None) -> None:
    """Raise ValueError for a mode that is none; None leaves it to the name, which the start of training looks up."""
    if mode not in (None, "min", "max"):
        raise ValueError(f"is more or less of {monitor!r} better? Say mode='min' or mode='max', got {mode!r}")


_FALLS = ("loss", "mse", "mae", "error")
_RISES = ("accuracy", "top_5_accuracy", "r2", "precision", "recall", "f1", "iou", "dice")
