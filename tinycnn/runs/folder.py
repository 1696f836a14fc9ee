"""The folder of a run: what it was told, what came of it, and what it needs to go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinycnn.files import write_whole
from tinycnn.runs.settings import Settings, SettingsError, settings_of

CONFIG, RESULT, MODEL = "config.json", "result.json", "model.safetensors"
LAST = "checkpoints/last.safetensors"
MAY_CHANGE = ("epochs", "patience")  # where a run goes on: longer, or with more patience


def prepare(out: Path, settings: Settings, resume: bool) -> Path | None:
    """Make the folder ready for these settings; returns the checkpoint to go on from, if there is one.

    A folder that holds a run is refused unless that run is to go on, which it can only with the settings that it began
    with (epochs and patience may be others). Raises SettingsError, OSError for a folder that cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out must be a folder, and {out} is a file")
    if (out / CONFIG).exists() and ((out / LAST).exists() or (out / RESULT).exists()):  # else it never began
        if not resume:
            raise SettingsError(f"{out} holds a run already: go on with it by --resume, or give another folder")
        _check_same(out, read_config(out), settings)
    write_whole(out / CONFIG, json.dumps(settings.as_dict(), indent=1).encode())
    return out / LAST if resume and (out / LAST).exists() else None


def read_config(out: Path) -> Settings:
    """What the run of this folder was told; raises FileNotFoundError, or SettingsError for what is no such record."""
    path = out / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{out} holds no run: there is no {path}")
    try:
        return settings_of(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: {error}") from None


def write_json(path: Path, found: Any) -> None:
    """Write JSON, whole or not at all."""
    write_whole(path, (json.dumps(found, indent=1) + "\n").encode())


def _check_same(out: Path, before: Settings, now: Settings) -> None:
    old, new = before.as_dict(), now.as_dict()
    for name in dict.fromkeys([*old, *new]):
        if name not in MAY_CHANGE and old.get(name) != new.get(name):
            raise SettingsError(f"{out} was begun with {name} = {old.get(name)!r}, and now it is {new.get(name)!r}")
