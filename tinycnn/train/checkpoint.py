"""Checkpoints: what a run needs to go on to the same bits after a crash, and the networks worth keeping."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinycnn.optim.options import check_count
from tinycnn.optim.plateau import check_mode, sign_of
from tinycnn.train.callbacks import Callback, check_writable, written
from tinycnn.train.run import Run
from tinycnn.train.state import load_state, save_state


class Checkpoint(Callback):
    """Keeps a run in a folder, each file whole at any moment, so that it survives whatever ends it.

    - `last.safetensors`: the state of the run after every epoch, and with `steps=n` after every n steps:
      `fit(…, resume_from="folder/last.safetensors")` goes on from it as if nothing had happened.
    - `best.safetensors`: the network of the best epoch, by `monitor` (the validation loss where there is one, else
      the loss), for `tinycnn.load`.
    - `epoch_0010.safetensors`, …: with `keep_every=10`, the network of every tenth epoch.

    Ctrl-C or SIGTERM ends the run after the step that is under way, saved. A disk that is full is a warning: training
    goes on, and so does the file that was written last.
    """

    def __init__(
        self, folder: str | Path, monitor: str | None = None, mode: str | None = None, steps: int | None = None,
        keep_every: int | None = None,
    ):  # fmt: skip
        self.folder, self.monitor, self.mode = Path(folder), monitor, mode
        self.steps = None if steps is None else check_count("steps", steps)
        self.keep_every = None if keep_every is None else check_count("keep_every", keep_every)
        check_mode(monitor or "loss", mode)
        self.best, self.since = math.inf, 0
        self.watched = monitor or "loss"

    @property
    def last(self) -> Path:
        """The file that `resume_from` takes."""
        return self.folder / "last.safetensors"

    def check(self, run: Run) -> None:
        """The number that it watches is one that every epoch has, known to rise or fall; the folder can be written."""
        self.watched = self.monitor or ("val_loss" if run.validate is not None else "loss")
        run.check_monitor(self.watched, "Checkpoint")
        sign_of(self.watched, self.mode)
        check_writable(self.folder, "checkpoints")
        for left in self.folder.glob(".tinycnn-*.tmp"):  # by a run that was killed while it wrote; a folder has one run
            left.unlink()
        trial = self.folder / ".tinycnn-trial.tmp"
        with contextlib.suppress(OSError):  # a full disk is a warning, at every file it has no room for
            run.model.save(trial)  # a layer that no file can hold is an error now, and not after an epoch
            trial.unlink()
        self.best, self.since = math.inf, 0

    def after_epoch(self, run: Run) -> None:
        """Keep the network, if it is the best so far or its turn has come."""
        value = sign_of(self.watched, self.mode) * run.numbers[self.watched]
        if value < self.best and self._kept(run, "best.safetensors"):
            self.best = value
        if self.keep_every and run.epoch % self.keep_every == 0:
            self._kept(run, f"epoch_{run.epoch:04d}.safetensors")

    def settle(self, run: Run) -> None:
        """Save the state, if its turn has come."""
        self.since += not run.epoch_is_over
        if run.epoch_is_over or run.reason or (self.steps and self.since >= self.steps):
            self.save(run)

    def save(self, run: Run) -> bool:
        """Save the state now; returns whether it could be written."""
        self.since = 0
        return written(run, self.last, lambda: save_state(run.state(), self.last))

    def _kept(self, run: Run, name: str) -> bool:
        return written(run, self.folder / name, lambda: run.model.save(self.folder / name))

    def state(self) -> dict[str, Any]:
        """The best number so far."""
        return {"best": self.best, "since": self.since}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on comparing with it."""
        self.best, self.since = float(saved["best"]), int(saved["since"])


def resume(run: Run, path: str | Path) -> None:
    """Bring a run to where the one stood that wrote this file.

    Raises FileNotFoundError, ModelFormatError for a file that is no whole state, and ValueError in one line if the
    network, the optimizer or the data are not those of that run.
    """
    saved = load_state(path)
    try:
        run.restore(saved)
    except ValueError as error:
        raise ValueError(f"cannot resume from {path}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"cannot resume from {path}: it is not whole ({type(error).__name__}: {error})") from None
