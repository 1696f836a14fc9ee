"""The same network, wider or narrower: every layer with a multiple of its filters or units, but the last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinycnn.model.files import from_config, to_config
from tinycnn.model.sequential import Sequential
from tinycnn.runs.settings import SettingsError

WIDE = ("filters", "units")  # the options that say how wide a layer is


def scaled(model: Sequential, factor: float) -> Sequential:
    """A network like this one with `factor` times its filters and units, at least 1 each, drawn anew from its seed.

    The last layer that has weights keeps its size: it has one output for each class. Raises SettingsError where the
    layers cannot be scaled, as those with groups that no longer divide their channels.

    >>> from tinycnn import zoo
    >>> scaled(zoo.article004(), 0.5).count_params(), zoo.article004().count_params()
    (79530, 315722)
    """
    if not (math.isfinite(factor) and factor > 0):
        raise SettingsError(f"a width must be a number above 0, got {factor}")
    config = to_config(model)
    last = _last_wide(config["layers"])
    _scale(config["layers"], factor, last)
    try:
        return from_config(config, model.dtype, np.random.default_rng(model.seed))
    except ValueError as error:
        raise SettingsError(f"the network cannot be made {factor:g} times as wide: {error}") from None


def _last_wide(entries: list[dict[str, Any]]) -> int:
    """Which entry, at the top, gives the classes."""
    wide = [place for place, entry in enumerate(entries) if any(option in entry["options"] for option in WIDE)]
    if not wide:
        raise SettingsError("no layer of this network has a width")
    return wide[-1]


def _scale(entries: list[dict[str, Any]], factor: float, keep: int | None) -> None:
    for place, entry in enumerate(entries):
        options = entry["options"]
        for option in WIDE:
            if option in options and place != keep:
                options[option] = max(1, round(options[option] * factor))
        if "layers" in options:
            _scale(options["layers"], factor, None)
