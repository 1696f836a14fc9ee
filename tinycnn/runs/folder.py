"""The folder of a run: what it was told, what came of it, and what it needs to go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinycnn.files import write_whole
from tinycnn.runs.settings import Settings, SettingsError, settings_of
from tinycnn.train import load_state

CONFIG, RESULT, MODEL = "config.json", "result.json", "model.safetensors"
LAST, BEST = "checkpoints/last.safetensors", "checkpoints/best.safetensors"
WRITTEN = (
    "checkpoints", CONFIG, "confusion.png", "curves.png", "hardest.png", "history.json", "log.csv", MODEL, RESULT
)  # fmt: skip
MAY_CHANGE = ("epochs", "patience")  # where a run goes on: longer, or with more patience


def prepare(out: Path, settings: Settings, resume: bool) -> Path | None:
    """Make the folder ready for these settings; returns the checkpoint to go on from, if there is one.

    A run that goes on does so with the settings that it began with; patience may be another, and epochs may be more.
    Raises SettingsError, OSError for a folder that cannot be written, and what `check_out` raises.
    """
    check_out(out, settings.data, resume)
    checkpoint = out / LAST if resume and (out / LAST).exists() else None
    if resume and _began(out):
        _check_same(out, read_config(out), settings)
    if checkpoint is not None and (done := load_state(checkpoint)["epoch"]) > (settings.epochs or 1):
        raise SettingsError(f"{out} is in epoch {done} already: ask for as many or more, not for {settings.epochs}")
    try:
        write_whole(out / CONFIG, json.dumps(settings.as_dict(), indent=1).encode())
    except OSError as error:
        raise OSError(f"--out: nothing can be written to the folder {out}: {error.strerror}") from None
    return checkpoint


def check_out(out: Path, data: str, resume: bool) -> None:
    """Raise NotADirectoryError or SettingsError if a run cannot have this folder; to be asked before data are read.

    It must be no file, must not hold a run unless that is to go on, and must be outside the folder of the data: what is
    written would be taken for pictures and classes.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out must be a folder, and {out} is a file")
    if not resume and _began(out):
        raise SettingsError(f"{out} holds a run already: go on with it by --resume, or give another folder")
    if data and Path(data).is_dir() and out.resolve().is_relative_to(Path(data).resolve()):
        raise SettingsError(f"--out {out} is inside the data, {data}, and would become a part of them: give another")


def written(out: Path) -> list[str]:
    """The names of what a run wrote into its folder."""
    return [name for name in WRITTEN if (out / name).exists()]


def read_config(out: Path) -> Settings:
    """What the run of this folder was told; raises FileNotFoundError, or SettingsError for what is no such record."""
    path = out / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{out} holds no run: there is no {path}")
    try:
        return settings_of(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: {error}") from None


def model_file(path: str | Path) -> Path:
    """The model's file of a run's folder; any other path is the file itself. FileNotFoundError if it has none."""
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / LAST).is_file() and not (path / MODEL).is_file():
        raise FileNotFoundError(
            f"the run in {path} has not come to its end: go on with --resume, or take {path / BEST}, its best so far"
        )
    read_config(path)
    return path / MODEL


def write_json(path: Path, found: Any) -> None:
    """Write JSON, whole or not at all."""
    write_whole(path, (json.dumps(found, indent=1) + "\n").encode())


def _began(out: Path) -> bool:
    """Whether a run in this folder came as far as its first epoch; one that never did is in nobody's way."""
    return (out / CONFIG).exists() and ((out / LAST).exists() or (out / RESULT).exists())


def _check_same(out: Path, before: Settings, now: Settings) -> None:
    old, new = _in_effect(before), _in_effect(now)
    for name in dict.fromkeys([*old, *new]):
        if name not in MAY_CHANGE and old.get(name) != new.get(name):
            raise SettingsError(f"{out} was begun with {_said(name, old)}, and now it is to be {_said(name, new)}")


def _said(name: str, told: dict[str, Any]) -> str:
    if name in ("net", "layers"):
        return f"the network {told['net']!r}" if "net" in told else "layers of its own"
    return f"{name} = {told[name]!r}" if name in told else f"no {name}"


def _in_effect(settings: Settings) -> dict[str, Any]:
    """What the settings come to: a default that is said is no other setting, and a rate is the optimizer's."""
    told = {"seed": 0} | settings.as_dict()
    told["optimizer"] = {"name": "adam", **told.get("optimizer", {})}
    if (lr := told.pop("lr", None)) is not None:
        told["optimizer"]["lr"] = lr
    return told
