"""A sweep: the same run with other settings, many times, each in a folder of its own, on as many cores as there are.

A sweep that was interrupted goes on where it stopped: trials that are done are not done again, and one that was under
way goes on from its last checkpoint.
"""

from __future__ import annotations

import csv
import io
import json
import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tinycnn.files import write_whole
from tinycnn.runs.folder import RESULT, write_json
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

    Every trial's settings are checked before the first is run. Raises SettingsError for a setting that cannot be, and
    for a folder that holds another sweep.
    """
    all_settings = [chosen(settings, choice) for choice in choices]
    _check_plan(out, settings, choices)
    rows: list[Row] = []
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:  # fork breaks threads
        waiting = {
            pool.submit(_trial, one, out / f"trial-{number:04d}"): number for number, one in enumerate(all_settings, 1)
        }
        for done in as_completed(waiting):
            number = waiting[done]
            rows.append({"trial": number, **choices[number - 1], **done.result()})
            write_whole(out / TABLE, _table(ranked(rows)).encode())
            tell(rows[-1])
    return ranked(rows)


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
