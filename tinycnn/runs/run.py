"""A run from end to end: data, network, training with checkpoints, judgement, and a folder that holds all of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.data.dataset import Dataset
from tinycnn.model.sequential import Sequential
from tinycnn.runs.completed import check_augment, completed
from tinycnn.runs.folder import CONFIG, MODEL, RESULT, check_out, prepare, read_config, write_json
from tinycnn.runs.network import network_for, usual_shape, with_recipe
from tinycnn.runs.parts import Part, Parts, open_parts
from tinycnn.runs.settings import Settings
from tinycnn.runs.things import augment_of
from tinycnn.train import Checkpoint, EarlyStopping, History, Log
from tinycnn.train.metrics import confusion_matrix

Result = dict[str, Any]


def train_run(settings: Settings, out: Path, resume: bool = False, verbose: int = 1) -> Result:
    """Train as the settings say, and write the run to `out`; with `resume`, go on with the run that is there.

    All that can be wrong with settings, data or folder is an error before the first step: SettingsError,
    FileNotFoundError, OSError, and what the readers of data raise. Ctrl-C and SIGTERM end the run saved, as
    KeyboardInterrupt and `tinycnn.train.Terminated`.
    """
    started = time.perf_counter()
    if resume and (out / CONFIG).exists():
        settings = settings.over(read_config(out))
    check_out(out, settings.data, resume)
    settings = with_recipe(settings)
    parts = open_parts(settings, usual_shape(settings))
    settings = completed(settings, parts)
    model, augment = network_for(settings, parts), augment_of(settings)
    check_augment(augment, parts)
    checkpoint = prepare(out, settings, resume)
    if verbose:
        print(parts, end="\n\n")
    history = _fit(settings, parts, model, augment, out, checkpoint, verbose)
    model.save(out / MODEL)
    result = {"data": settings.data, "net": settings.net or "own layers", "weights": model.count_params(),
              "epochs": history.epochs, "seconds": round(time.perf_counter() - started, 2)}  # fmt: skip
    for name, part in (("val", parts.val), ("test", parts.test)):
        if part is not None:
            result[name] = judged(model, part)
    write_json(out / "history.json", history.history)
    write_json(out / RESULT, result)
    _draw(out, model, history, parts)
    return result


def judged(model: Sequential, part: Part) -> dict[str, float]:
    """The loss and the metrics on a part of the data."""
    return model.evaluate(part).as_dict()


def _fit(
    settings: Settings, parts: Parts, model: Sequential, augment: Any, out: Path, checkpoint: Path | None, verbose: int
) -> History:
    callbacks: list[Any] = [Checkpoint(out / "checkpoints"), Log(out / "log.csv")]
    if settings.patience is not None:
        callbacks.append(EarlyStopping(patience=settings.patience))
    return model.fit(
        parts.train, epochs=settings.epochs or 1,
        batch_size=None if model.optimizer is not None and model.optimizer.full_batch else settings.batch_size,
        validation_data=parts.val, verbose=verbose, augment=augment, callbacks=callbacks, resume_from=checkpoint,
    )  # fmt: skip


def _draw(out: Path, model: Sequential, history: History, parts: Parts) -> None:
    """The curves; and for classes in memory, who was taken for whom, and some pictures with what was said of them."""
    from tinycnn import plot
    from tinycnn.plot.style import save

    save(plot.learning_curves(history), out / "curves.png")
    part = parts.test if parts.test is not None else parts.val
    if not isinstance(part, Dataset) or part.y.ndim != 1:
        return
    scores = model.predict(part.x)
    if scores.ndim != 2 or not np.isfinite(scores).all():
        return
    matrix = confusion_matrix(part.y, scores, num_classes=len(part.classes))
    save(plot.confusion(matrix, part.classes), out / "confusion.png")
    try:
        p = model.predict_proba(part.x)
    except ValueError:  # the loss makes no probabilities of the scores, so that nothing says how sure it was
        return
    order = np.argsort(p[np.arange(len(part)), part.y], kind="stable")[:8]  # those that it was least sure of
    if part.x.ndim == 4 and part.x.shape[1] in (1, 3):
        save(plot.predictions(part.x[order], p[order], part.y[order], part.classes), out / "hardest.png")
