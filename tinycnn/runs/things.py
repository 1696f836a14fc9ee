"""From words to objects: a layer, an optimizer, an augmentation by its name, with its options held to what it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tinycnn import data, optim
from tinycnn.data.augment import Augmentation, Compose
from tinycnn.layers.base import Layer
from tinycnn.model.files import ALLOWED
from tinycnn.naming import lookup
from tinycnn.optim.base import Optimizer
from tinycnn.optim.regularise import L1, L2, Regulariser
from tinycnn.optim.schedules import Schedule
from tinycnn.optim.sequences import SCHEDULES
from tinycnn.runs.settings import Entry, Settings, SettingsError, nearest

REGULARIZERS = {r.name: r for r in (L1, L2)}
AUGMENTATIONS = {
    name: thing
    for name in data.__all__
    if isinstance(thing := getattr(data, name), type) and issubclass(thing, Augmentation)
    and thing not in (Augmentation, Compose)
}  # fmt: skip


def layers_of(entries: tuple[Entry, ...], path: str = "") -> list[Layer]:
    """The layers that a settings file states; those inside a Residual or SkipConcat likewise.

    Raises SettingsError that says which entry is wrong, for a layer or an option that is not known.
    """
    layers = []
    for place, entry in enumerate(entries, start=1):
        where, options = f"layer {path}{place}", {k: v for k, v in entry.items() if k != "type"}
        if "layers" in options:
            options["layers"] = layers_of(options["layers"], f"{path}{place}.")
        layers.append(_made(ALLOWED, entry["type"], options, "layer", where))
    return layers


def optimizer_of(settings: Settings) -> Optimizer:
    """The optimizer of the settings; `lr` beside it is its learning rate. Raises SettingsError."""
    options = {k: v for k, v in settings.optimizer.items() if k != "name"}
    if settings.lr is not None:
        options["lr"] = settings.lr
    if settings.schedule:
        options["schedule"] = _schedule_of(settings.schedule)
    return _made(optim.OPTIMIZERS, settings.optimizer.get("name", "adam"), options, "optimizer", "optimizer")


def _schedule_of(entry: Entry) -> Schedule:
    options = {k: _schedule_of(v) if k == "then" and isinstance(v, Mapping) else v for k, v in entry.items()}
    return _made(SCHEDULES, options.pop("name", None), options, "schedule", "schedule")


def regularizer_of(settings: Settings) -> Regulariser | None:
    """The penalty on the weights, if there is to be one. Raises SettingsError."""
    options = dict(settings.regularizer)
    return _made(REGULARIZERS, options.pop("name"), options, "regularizer", "regularizer") if options else None


def augment_of(settings: Settings) -> Augmentation | None:
    """What changes the training pictures, step after step, if anything is to. Raises SettingsError."""
    steps = []
    for place, entry in enumerate(settings.augment or (), start=1):
        options = {k: v for k, v in entry.items() if k != "type"}
        steps.append(_made(AUGMENTATIONS, entry["type"], options, "augmentation", f"augment {place}"))
    return Compose(steps) if steps else None


def _made(table: Mapping[str, Callable[..., Any]], name: Any, options: dict[str, Any], what: str, where: str) -> Any:
    """One thing of a table, made with these options; every way that can fail says where in the settings it is."""
    try:
        make = lookup(table, name, what)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None
    taken = _parameters(make)
    for option in options:
        if option not in taken:
            raise SettingsError(f"{where}, {name}, has no option {option!r}{nearest(option, taken)}")
    if left := [k for k, p in taken.items() if p.default is p.empty and k not in options]:
        raise SettingsError(f"{where}, {name}, needs {', '.join(left)}")
    try:
        return make(**options)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{where}, {name}: {error}") from None


def _parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What it may be given; a class that hands further options on takes those of the class that it stands on."""
    found: dict[str, inspect.Parameter] = {}
    for one in make.__mro__ if isinstance(make, type) else (make,):
        mine = inspect.signature(one).parameters
        found |= {k: p for k, p in mine.items() if p.kind is p.POSITIONAL_OR_KEYWORD and k not in found}
        if not any(p.kind is p.VAR_KEYWORD for p in mine.values()):
            break
    return found
