"""The state of a network in training: weights, running statistics, what the optimizer remembers, and all chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.layers.base import Array

if TYPE_CHECKING:
    from tinycnn.model.sequential import Sequential


def state_of(model: Sequential) -> dict[str, Any]:
    """A copy of all that the next step depends on, beside the data: numbers, text and arrays in dictionaries."""
    optimizer = model.optimizer
    return {
        "layers": _description(model),
        "weights": _copies(model.named_params()),
        "buffers": _copies(model.named_buffers()),
        "optimizer": None if optimizer is None else optimizer.state_dict() | {"made": repr(optimizer)},
        "generators": {path: rng.bit_generator.state for path, rng in _generators(model).items()},
        "epochs_seen": model.epochs_seen,
    }


def set_state(model: Sequential, saved: Mapping[str, Any]) -> None:
    """Go on from a state that `state_of` gave, of an equal network with an equal optimizer.

    Raises ValueError, before anything is changed, if it is of another network or optimizer.
    """
    _check(model, saved)
    for path, layer in model._paths():
        for own, kind in ((layer.params, "weights"), (layer.buffers, "buffers")):
            for key in own:
                own[key][...] = saved[kind][f"{path}.{key}"]  # into the array itself, which others may share
    if model.optimizer is not None:
        model.optimizer.load_state_dict(saved["optimizer"])
    for path, rng in _generators(model).items():
        rng.bit_generator.state = saved["generators"][path]
    model.epochs_seen = int(saved["epochs_seen"])


def _check(model: Sequential, saved: Mapping[str, Any]) -> None:
    here, there = _description(model), list(saved["layers"])
    for place, (ours, theirs) in enumerate(zip(here, there, strict=False), start=1):
        if ours != theirs:
            raise ValueError(f"it is of another network: its layer {place} is {theirs}, and here it is {ours}")
    if len(here) != len(there):
        raise ValueError(f"it is of another network: it has {len(there)} layers, and here are {len(here)}")
    for kind, arrays in (("weights", model.named_params()), ("buffers", model.named_buffers())):
        for key, value in arrays.items():
            found = saved[kind].get(key)
            if found is None or (found.shape, found.dtype) != (value.shape, value.dtype):
                said = "missing" if found is None else f"{found.dtype} {found.shape}"
                raise ValueError(f"it is of another network: {key} is {said}, and here {value.dtype} {value.shape}")
    made = (saved["optimizer"] or {}).get("made")
    if made != repr(model.optimizer):
        raise ValueError(f"it was trained by {made}, and this network is compiled with {model.optimizer!r}")
    if set(_generators(model)) != set(saved["generators"]):
        raise ValueError("its layers draw chance from other generators than those here")


def _description(model: Sequential) -> list[str]:
    """A line a layer: its path and its options."""
    frozen = lambda layer: "" if layer.trainable else ", frozen"  # noqa: E731
    return [f"{path}: {layer!r}{frozen(layer)}" for path, layer in model._paths()]


def _copies(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {key: value.copy() for key, value in arrays.items()}


def _generators(model: Sequential) -> dict[str, np.random.Generator]:
    """Every source of chance: the shuffle's, that of the weights to come, and those of the layers."""
    found = {"shuffle": model._shuffle, "weights": model._rng}
    own = {f"layer {path}": getattr(layer, "rng", None) for path, layer in model._paths()}
    return found | {path: rng for path, rng in own.items() if isinstance(rng, np.random.Generator)}
