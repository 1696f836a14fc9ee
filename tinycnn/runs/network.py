"""The network of a run: one of the zoo by its name, or the layers that a settings file states, built for the data."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np

from tinycnn import zoo
from tinycnn.data.dataset import Dataset
from tinycnn.data.statistics import channel_statistics
from tinycnn.errors import ShapeError
from tinycnn.model.sequential import Sequential
from tinycnn.naming import lookup
from tinycnn.runs.parts import Parts
from tinycnn.runs.settings import Settings, SettingsError, settings_of
from tinycnn.runs.things import layers_of, optimizer_of, regularizer_of

DEFAULT = "digits"
PLAIN = {"loss": "cross_entropy", "metrics": ["accuracy"], "epochs": 20, "batch_size": 32, "normalise": True}


def with_recipe(settings: Settings) -> Settings:
    """The settings with what the recipe of their network says beneath; without a network, that of the digits.

    Raises SettingsError for a network that the zoo does not have.
    """
    if settings.layers:
        return settings.over(_table(PLAIN))
    name = settings.net or DEFAULT
    if name not in zoo.NETWORKS:
        try:
            lookup(zoo.NETWORKS, name, "network")
        except ValueError as error:
            raise SettingsError(f"{error}; or state layers in a settings file") from None
    return settings.over(_table(zoo.recipe(name) | {"net": name}))


def check_words(settings: Settings) -> None:
    """Raise SettingsError for a network, a layer or an optimizer that there is not, before any data are read."""
    settings = with_recipe(settings)
    layers_of(settings.layers)
    optimizer_of(replace(settings, schedule={}))  # a schedule may be as long as the run, which the data say


def _table(found: dict[str, Any]) -> Settings:
    return settings_of(found)


def usual_shape(settings: Settings) -> tuple[int, ...] | None:
    """The shape (C, H, W) that a network of the zoo is drawn for: picture files are read at that size."""
    if settings.layers:
        return None
    return inspect.signature(zoo.NETWORKS[settings.net or DEFAULT]).parameters["input_shape"].default


def network_for(settings: Settings, parts: Parts) -> Sequential:
    """The network, built for these data and compiled, with all that `predict` will have to know.

    Raises SettingsError where the data do not fit: by their shape, or by the number of classes.
    """
    shape, classes = parts.shape, len(parts.classes)
    try:
        if settings.layers:
            model = Sequential(layers_of(settings.layers), input_shape=shape, seed=settings.seed or 0)
        else:
            model = zoo.NETWORKS[settings.net or DEFAULT](classes=classes, input_shape=shape, seed=settings.seed or 0)
    except ShapeError as error:
        raise SettingsError(f"pictures of {'×'.join(map(str, shape))} do not fit the network: {error}") from None
    if model.output_shape is not None and model.output_shape[0] != classes:
        raise SettingsError(f"the last layer gives {model.output_shape[0]} numbers, and there are {classes} classes")
    model.classes = parts.classes
    model.preprocessing = _preprocessing(settings, parts)
    try:
        model.compile(
            optimizer=optimizer_of(settings), loss=settings.loss or "cross_entropy", metrics=settings.metrics or (),
            regularizer=regularizer_of(settings),
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise SettingsError(str(error)) from None
    _check_targets(model, parts)
    return model


def _check_targets(model: Sequential, parts: Parts) -> None:
    """Raise SettingsError where the network's outputs, its loss or its metrics are not for such targets."""
    y, out = parts.train.y, model.output_shape
    assert out is not None
    assert model.loss is not None
    by_pixel = y is None or y.ndim == 3  # a stream reads its masks with its pictures
    if by_pixel != (len(out) == 3) or (by_pixel and out[1:] != parts.shape[1:]):
        pixels = "×".join(map(str, parts.shape[1:]))
        wanted = f"a class for each of {pixels} pixels, as unet gives" if by_pixel else "one class a picture"
        raise SettingsError(f"the data have {wanted}, and the network gives numbers of shape {out}")
    some = np.zeros((2, *parts.shape[1:]), np.int64) if y is None else y[:2]
    try:
        model.loss.check(some, (len(some), *out))
    except (ValueError, TypeError):
        raise SettingsError(
            f"loss {model.loss.name!r} is not for data with one class a {'pixel' if by_pixel else 'picture'}: "
            "cross_entropy is, or sparse_categorical_crossentropy behind a Softmax; several labels a picture are for "
            "model.fit in Python"
        ) from None
    for name, metric in model.metrics.items():
        try:
            metric(some, np.zeros((len(some), *out), np.float32))
        except (ValueError, TypeError) as error:
            raise SettingsError(f"metric {name!r} is not for these data: {error}") from None


def _preprocessing(settings: Settings, parts: Parts) -> dict[str, Any]:
    """How a picture becomes the network's input; the statistics are those of the pictures to learn from."""
    digits = settings.data == "digits" and parts.shape == (1, 8, 8)
    found: dict[str, Any] = {"reader": "digit" if digits else "picture", "range": [0, 1]}
    if settings.normalise:
        found["normalise"] = channel_statistics(parts.train.x if isinstance(parts.train, Dataset) else parts.train)
        flat = [c for c, std in enumerate(found["normalise"]["std"]) if not np.isfinite(std) or std == 0]
        if flat:
            raise SettingsError(f"channel {flat[0]} of the pictures to learn from is the same everywhere: no spread")
    return found
