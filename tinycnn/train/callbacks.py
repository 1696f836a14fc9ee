"""Callbacks: what is to happen between the steps and epochs of a run, beside the training itself.

`fit(callbacks=[EarlyStopping(), Log("log.csv"), my_function])`: a function of yours is called with the run after every
epoch.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.files import write_whole
from tinycnn.optim.options import check_count, check_option
from tinycnn.optim.plateau import check_mode, sign_of
from tinycnn.train.run import Run


class Callback:
    """Something that watches a run. A subclass overrides the moments that it cares for.

    What `state` gives (numbers, text, None, arrays of numbers, and dictionaries with text for keys and lists of these)
    is kept in the checkpoint, and handed to `restore` where the run goes on. It is looked at before the first step.
    """

    def check(self, run: Run) -> None:
        """Before anything else: raise ValueError if the run cannot be watched so."""

    def begin(self, run: Run) -> None:
        """Before the first step; after `restore`, where the run goes on."""

    def after_step(self, run: Run) -> None:
        """After every step of the optimizer: `run.numbers` are those of its last batch."""

    def after_epoch(self, run: Run) -> None:
        """After every epoch and its validation: `run.numbers` are the epoch's."""

    def settle(self, run: Run) -> None:
        """After every step and epoch, when all callbacks have seen it: the moment to save the state."""

    def end(self, run: Run) -> None:
        """After the last step, unless an error ended the run."""

    def state(self) -> dict[str, Any]:
        """What must be known to go on as if nothing had happened."""
        return {}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""


class Call(Callback):
    """Calls a function with the run after every epoch.

    >>> Call(print).function is print
    True
    """

    def __init__(self, function: Callable[[Run], Any]):
        self.function = function

    def after_epoch(self, run: Run) -> None:
        """Call it."""
        self.function(run)


class EarlyStopping(Callback):
    """Stop when `monitor` has not got better by more than `min_delta` for `patience` epochs in a row.

    With `restore_best` the network ends with the weights (and running statistics) of its best epoch. `mode` says
    whether better is "min" or "max"; without it the number's name does. A number that no epoch has is an error at the
    start of training, which says what numbers there are.
    """

    def __init__(
        self, monitor: str = "val_loss", patience: int = 10, min_delta: float = 0.0, mode: str | None = None,
        restore_best: bool = True,
    ):  # fmt: skip
        self.monitor, self.mode, self.patience = monitor, mode, check_count("patience", patience)
        self.min_delta, self.restore_best = check_option("min_delta", min_delta, 0.0), restore_best
        check_mode(monitor, mode)
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = math.inf, 0, 0
        self.weights: dict[str, np.ndarray] = {}

    def check(self, run: Run) -> None:
        """The number that it watches must be one that every epoch has, and it must be known which way is better."""
        run.check_monitor(self.monitor, "EarlyStopping")
        sign_of(self.monitor, self.mode)
        self._forget()  # it may have watched another run

    def begin(self, run: Run) -> None:
        """A run that had stopped before it was resumed stays so."""
        self._stop_if_over(run)

    def after_epoch(self, run: Run) -> None:
        """Keep the weights of the best epoch; count those that brought nothing."""
        value = sign_of(self.monitor, self.mode) * run.numbers[self.monitor]
        if value < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = value, run.epoch, 0
            if self.restore_best:
                self.weights = {key: w.copy() for key, w in all_arrays(run).items()}
            return
        self.waited += 1
        self._stop_if_over(run)

    def _stop_if_over(self, run: Run) -> None:
        if self.waited >= self.patience:
            best = f"it was best in epoch {self.best_epoch}" if self.best_epoch else "it was never a number"
            run.stop(f"{self.monitor} got no better for {self.waited} epochs; {best}")

    def end(self, run: Run) -> None:
        """Put the best weights back."""
        for key, w in all_arrays(run).items() if self.weights else ():
            w[...] = self.weights[key]

    def state(self) -> dict[str, Any]:
        """The best epoch, with its weights, and how long nothing has come."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited, "weights": self.weights}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self.best, self.best_epoch, self.waited = saved["best"], saved["best_epoch"], saved["waited"]
        self.weights = dict(saved["weights"])


class TimeBudget(Callback):
    """Stop after the step in which the time is up; the clock starts with every call of fit.

    >>> TimeBudget(minutes=1.5).seconds
    90.0
    """

    def __init__(self, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0):
        self.seconds = check_option("the time budget", seconds + 60 * minutes + 3600 * hours, 0.0)
        if not self.seconds:
            raise ValueError("a time budget is more than 0: TimeBudget(minutes=10)")
        self._started = 0.0

    def begin(self, run: Run) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def after_step(self, run: Run) -> None:
        """Look at it."""
        if time.monotonic() - self._started >= self.seconds:
            run.stop(f"the time budget of {self.seconds:g} s is used up")

    def after_epoch(self, run: Run) -> None:
        """Validation takes time too."""
        self.after_step(run)


class Log(Callback):
    """Keeps a row an epoch in a file: the epoch, its seconds, the learning rate, and its numbers.

    A name that ends in .csv makes a table with a head, .jsonl one JSON object a line. The file is whole at any moment,
    and a run that is resumed goes on in it without a row twice.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if self.path.suffix not in (".csv", ".jsonl"):
            raise ValueError(f"a log is a .csv or a .jsonl file, got {str(path)!r}")
        self.rows: list[dict[str, Any]] = []
        self._since = 0.0

    def check(self, run: Run) -> None:
        """The file can be written: said now, and not after the first epoch."""
        self.rows = []
        check_writable(self.path.parent, "the log")

    def begin(self, run: Run) -> None:
        """Start the clock of the first epoch."""
        self._since = time.perf_counter()

    def after_epoch(self, run: Run) -> None:
        """Write all rows anew, so that none is ever cut."""
        now = time.perf_counter()
        self.rows.append({"epoch": run.epoch, "seconds": round(now - self._since, 3), "lr": run.lr} | run.numbers)
        self._since = now
        written(run, self.path, lambda: write_whole(self.path, self._text().encode()))

    def _text(self) -> str:
        if self.path.suffix == ".jsonl":
            return "".join(json.dumps(row) + "\n" for row in self.rows)
        out = io.StringIO()
        writer = csv.DictWriter(out, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return out.getvalue()

    def state(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on below them."""
        self.rows = [dict(row) for row in saved["rows"]]


def callbacks_of(callbacks: Iterable[Any]) -> list[Callback]:
    """Callbacks, and functions as such; raises TypeError for what is neither."""
    if isinstance(callbacks, Callback) or callable(callbacks):
        callbacks = [callbacks]
    found = []
    for one in callbacks:
        if isinstance(one, type) or not (isinstance(one, Callback) or callable(one)):
            hint = f"; did you mean {one.__name__}(…)?" if isinstance(one, type) else ""
            raise TypeError(f"callbacks must be those of tinycnn.train, or functions of a run; got {one!r}{hint}")
        found.append(one if isinstance(one, Callback) else Call(one))
    if len({id(one) for one in found}) < len(found):
        raise ValueError("a callback is in the list twice")
    return found


def all_arrays(run: Run) -> dict[str, np.ndarray]:
    """The weights and the running statistics, by name."""
    return run.model.named_params() | run.model.named_buffers()


def written(run: Run, path: Path, write: Callable[[], None]) -> bool:
    """Whether a file could be written; if not, a warning says so, and training goes on."""
    try:
        write()
    except OSError as error:
        warnings.warn(
            f"{path} was not written at {run.position}: {error.strerror or error}. Training goes on; the file that "
            "was there is whole",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def check_writable(folder: Path, what: str) -> None:
    """Raise OSError, in one line, unless a file can be made in this folder, which is made where it is missing."""
    try:
        write_whole(folder / ".tinycnn-writable", b"")
        (folder / ".tinycnn-writable").unlink()
    except OSError as error:
        raise type(error)(error.errno, f"{what} cannot be written into the folder {folder}: {error.strerror}") from None
