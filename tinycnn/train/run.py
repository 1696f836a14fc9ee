"""A run: one call of fit as it goes on, and what it is at any moment. Callbacks are shown it, and may stop it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.backends import serving
from tinycnn.files import sha256
from tinycnn.naming import lookup
from tinycnn.train.history import History, Mean
from tinycnn.train.progress import Progress
from tinycnn.train.state import check_state

if TYPE_CHECKING:
    from tinycnn.train.callbacks import Callback
    from tinycnn.train.loop import Augmenter, Trainable

Array = np.ndarray


@dataclass
class Run:
    """What a run was told, and where it stands: `epoch` counts from 1, `step` the batches of it that are done.

    `numbers` are the loss and the metrics: of the last batch after a step, of the whole epoch after an epoch.
    `stop(reason)` ends the run after this step or epoch; `reason` says why it ended.
    """

    model: Trainable
    x: Any
    t: Any
    epochs: int
    batch_size: int
    rng: np.random.Generator | None
    validate: Callable[[], Mapping[str, float]] | None
    progress: Progress
    augment: Augmenter | None = None
    accumulate: int = 1
    callbacks: Sequence[Callback] = ()
    history: History = field(default_factory=History)
    epoch: int = 0
    step: int = 0
    epoch_is_over: bool = True
    numbers: dict[str, float] = field(default_factory=dict)
    mean: Mean = field(default_factory=Mean)
    batch: Array | None = None  # the examples of the last step, as the first layer saw them
    rate: float = math.nan
    reason: str = ""
    order: Any = None  # the shuffle's state when this epoch began: from it the same order is drawn again

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return math.ceil(len(self.x) / self.batch_size)

    @property
    def names(self) -> tuple[str, ...]:
        """The numbers that an epoch will have."""
        own = ("loss", *self.model.metrics)
        return own if self.validate is None else (*own, *(f"val_{name}" for name in own))

    @property
    def lr(self) -> float:
        """The optimizer's rate in the last step, as its schedule made it."""
        return self.rate

    @property
    def position(self) -> str:
        """Where it stands, in words."""
        step = "" if self.epoch_is_over else f", step {self.step} of {self.steps}"
        return f"epoch {self.epoch} of {self.epochs}{step}"

    def stop(self, reason: str) -> None:
        """End the run after this step or epoch."""
        self.reason = self.reason or reason or "told to stop"

    def say(self, text: str) -> None:
        """Print a line among those of the progress, unless that is silent."""
        self.progress.say(text)

    def check_monitor(self, monitor: str, who: str) -> None:
        """Raise ValueError unless an epoch will have this number."""
        if monitor in self.names:
            return
        if self.validate is None and monitor.removeprefix("val_") in self.names:
            raise ValueError(
                f"{who} watches {monitor!r}, and there are no validation data: pass validation_data=(x, y), or watch "
                f"{monitor.removeprefix('val_')!r}"
            )
        try:
            lookup(dict.fromkeys(self.names), monitor, "number to watch")
        except ValueError as error:
            raise ValueError(f"{who}: {error}") from None

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on; the data are told by their size and their targets alone."""
        return {
            "told": self._told(),
            "epoch": self.epoch,
            "step": self.step,
            "epoch_is_over": self.epoch_is_over,
            "rate": self.rate,
            "order": self.order,
            "mean": {"sums": self.mean.sums, "count": self.mean.count},
            "history": self.history.history,
            "model": self.model.state_dict(),
            "callbacks": {name: callback.state() for name, callback in self._named_callbacks()},
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Stand where another run stood; raises ValueError in one line if that one was told other things."""
        for what, ours in self._told().items():
            theirs = saved["told"].get(what)
            if theirs != ours:
                hint = f": choose it by tinycnn.backend({theirs!r})" if what == "rung" and theirs else ""
                raise ValueError(f"its {what} was {theirs}, and here it is {ours}{hint}")
        self.model.load_state_dict(saved["model"])
        self.epoch, self.step, self.epoch_is_over = saved["epoch"], saved["step"], saved["epoch_is_over"]
        self.order, self.mean, self.rate = saved["order"], Mean(), float(saved["rate"])
        self.mean.sums, self.mean.count = dict(saved["mean"]["sums"]), saved["mean"]["count"]
        self.history.history.update({name: list(values) for name, values in saved["history"].items()})
        for name, callback in self._named_callbacks():
            if name in saved["callbacks"]:
                callback.restore(saved["callbacks"][name])

    def check_state(self) -> None:
        """Raise TypeError if a callback remembers what no file could give back."""
        for name, callback in self._named_callbacks():
            check_state(callback.state(), f"the state of {name}")

    def _told(self) -> dict[str, Any]:
        """What must be the same where a run goes on, as text and numbers."""
        targets = None if self.t is None else sha256(np.ascontiguousarray(self.t).tobytes())[:16]
        return {
            "number of examples": len(self.x),
            "shape of an example": list(self.x.shape[1:] if isinstance(self.x, np.ndarray) else self.x.shape),
            "fingerprint of the targets": targets,
            "batch size": self.batch_size,
            "shuffle": self.rng is not None,
            "accumulate": self.accumulate,
            "loss": repr(self.model.loss),
            "penalty": repr(getattr(self.model, "regularizer", None)),
            "list of numbers": list(self.names),
            "augmentation": repr(self.augment),
            "preprocessing": repr(self.model.preprocessing),
            "seed": self.model.seed,
            "float type": self.model.dtype.name,
            "rung": serving(),
        }

    def _named_callbacks(self) -> list[tuple[str, Callback]]:
        """Each by its class and its place among those of its class, so that others may come and go."""
        seen: dict[str, int] = {}
        found = []
        for callback in self.callbacks:
            kind = type(callback).__name__
            seen[kind] = seen.get(kind, 0) + 1
            found.append((f"{kind} {seen[kind]}", callback))
        return found
