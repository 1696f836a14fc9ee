"""A sweep: the same run with other settings, many times, each in a folder of its own, on as many cores as there are.

A sweep that was interrupted goes on where it stopped: trials that are done are not done again, and one that was under
way goes on from its last checkpoint.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from tinycnn.files import write_whole
from tinycnn.runs.folder import RESULT, write_json
from tinycnn.runs.network import check_words
from tinycnn.runs.run import train_run
from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.runs.trials import Choice, chosen

PLAN, TABLE = "sweep.json", "sweep.csv"
Row = dict[str, Any]


def sweep(
    settings: Settings, choices: Sequence[Choice], out: Path, workers: int = 1,
    tell: Callable[[Row], None] = lambda row: None,
) -> list[Row]:  # fmt: skip
    """Run every choice; returns a row for each, the lowest validation loss first. A trial that fails is a row too.

    Every trial's settings are checked before the first is run. Ctrl-C ends the trials under way, saved, and begins no
    others. Raises SettingsError for a setting that cannot be, and for a folder that holds another sweep.
    """
    all_settings = [chosen(settings, choice) for choice in choices]
    for one in all_settings:
        check_words(one)
    _check_plan(out, settings, choices)
    rows: list[Row] = []
    context, others = multiprocessing.get_context("spawn"), multiprocessing.active_children()  # fork breaks threads
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_as_worker) as pool:
        try:
            for number, found in _finished(pool, all_settings, out, workers):
                rows.append({"trial": number, **choices[number - 1], **found})
                write_whole(out / TABLE, _table(ranked(rows)).encode())
                tell(rows[-1])
        except BaseException:
            for child in multiprocessing.active_children():
                if child not in others:
                    child.terminate()
            raise
    return ranked(rows)


def _finished(pool: ProcessPoolExecutor, all_settings: Sequence[Settings], out: Path, workers: int) -> Iterator[Any]:
    """Each trial's number and what it found, as they end; none is handed out before there is somebody to run it."""
    left, running = iter(enumerate(all_settings, 1)), dict[Future[Row], int]()
    while True:
        for number, one in itertools.islice(left, workers - len(running)):
            running[pool.submit(_trial, one, out / f"trial-{number:04d}")] = number
        if not running:
            return
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(done), done.result()


def _as_worker() -> None:
    """Leave Ctrl-C to the sweep, which ends its workers by SIGTERM, once; and do not outlive it."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()


def _end_with_the_sweep() -> None:
    sweeping = multiprocessing.parent_process()
    assert sweeping is not None  # a worker has one
    sweeping.join()
    os._exit(1)  # the folder keeps the epoch before, whole


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The best first, by validation loss; those that failed last."""
    lost = lambda row: row["val_loss"] is None or not math.isfinite(row["val_loss"])  # noqa: E731
    return sorted(rows, key=lambda row: (lost(row), 0.0 if lost(row) else row["val_loss"], row["trial"]))


def _trial(settings: Settings, out: Path) -> Row:
    """One run in its folder, or what it found when it was run before; an error is told in its row."""
    try:
        if (out / RESULT).is_file():
            result = json.loads((out / RESULT).read_text(encoding="utf-8"))
        else:
            result = train_run(settings, out, resume=True, verbose=0)
    except (ValueError, TypeError, OSError, RuntimeError, FloatingPointError) as error:
        return {"val_loss": None, "failed": (str(error).splitlines() or [type(error).__name__])[0]}
    numbers = {f"val_{name}": value for name, value in result["val"].items()}
    return {**numbers, "seconds": result["seconds"], "failed": ""}


def _check_plan(out: Path, settings: Settings, choices: Sequence[Choice]) -> None:
    """Raise SettingsError if the folder holds another sweep; more trials of the same are welcome."""
    plan = json.loads(json.dumps({"settings": settings.as_dict(), "trials": [dict(choice) for choice in choices]}))
    path = out / PLAN
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        count = len(before["trials"])
        if before["settings"] != plan["settings"] or before["trials"] != plan["trials"][:count]:
            raise SettingsError(f"{out} holds another sweep: give another folder")
    write_json(path, plan)


def _table(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
