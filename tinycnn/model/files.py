"""A model as one file: safetensors for the weights, and in its header the architecture, which code never runs from.

The header says what the layers are by name, from a list of allowed ones; weights are read only when every name and
shape is what the architecture calls for. A SHA-256 over all of it shows a changed bit.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn import layers as layer_classes
from tinycnn.errors import ModelFormatError
from tinycnn.files import write_whole
from tinycnn.layers.base import Array, Layer
from tinycnn.layers.losses import LOSSES
from tinycnn.model.combinators import Residual, SkipConcat
from tinycnn.naming import lookup
from tinycnn.optim import L1, L2, OPTIMIZERS
from tinycnn.tensorfile import MAX_HEADER, digest, read_header, read_json, read_tensors, to_bytes

if TYPE_CHECKING:
    from tinycnn.model.sequential import Sequential

FORMAT, VERSION = "tinycnn", 1
MAX_LAYERS = 2048
MAX_SIZE = 2**24  # the largest size of an image, kernel or layer that a file may call for
ALLOWED: dict[str, type[Layer]] = {n: getattr(layer_classes, n) for n in layer_classes.__all__ if n != "Layer"}
ALLOWED |= {"Residual": Residual, "SkipConcat": SkipConcat}


def to_config(model: Sequential) -> dict[str, Any]:
    """The architecture and what travels with it, as plain JSON; a loss or optimizer of your own is left out."""
    loss, optimizer = model.loss, model.optimizer
    if optimizer is not None and type(optimizer) is not OPTIMIZERS.get(optimizer.name):
        optimizer = None
    return {
        "layers": [_entry(layer) for layer in model.layers],
        "input_shape": model.input_shape,
        "seed": model.seed,
        "classes": model.classes,
        "preprocessing": model.preprocessing,
        "loss": {"name": loss.name, "options": loss.config()} if loss and type(loss) in LOSSES.values() else None,
        "optimizer": None if optimizer is None else {"name": optimizer.name, "options": optimizer.config()},
        "regularizer": model.regularizer and {"name": model.regularizer.name, "strength": model.regularizer.strength},
        "metrics": list(model.metrics),
    }


def from_config(config: dict[str, Any], dtype: Any = np.float32, rng: np.random.Generator | None = None) -> Sequential:
    """The model that a configuration describes, its weights not drawn unless a generator is given.

    Raises ModelFormatError for a layer, loss or optimizer that is not known, or for options that do not fit.
    """
    from tinycnn.model.sequential import Sequential
    from tinycnn.train import METRICS

    try:
        if (count := _count(config["layers"])) > MAX_LAYERS:
            raise ModelFormatError(f"{count:,} layers are over the limit of {MAX_LAYERS:,}")
        members = [_layer(entry) for entry in config["layers"]]
        model = Sequential(
            seed=config["seed"], classes=config["classes"], preprocessing=config["preprocessing"], dtype=dtype
        )
        for member in members:
            model.append(member)
        if config["input_shape"] is not None:
            _check_sizes(config["input_shape"], "input_shape")
            model.build(config["input_shape"], rng)
        if config["loss"] is not None:
            model.loss = lookup(LOSSES, config["loss"]["name"], "loss")(**config["loss"]["options"])
        if config["optimizer"] is not None:
            chosen = lookup(OPTIMIZERS, config["optimizer"]["name"], "optimizer")
            model.optimizer = chosen(**config["optimizer"]["options"])
        if config["regularizer"] is not None:
            penalty = lookup({r.name: r for r in (L1, L2)}, config["regularizer"]["name"], "regularizer")
            model.regularizer = penalty(config["regularizer"]["strength"])
        model.metrics = {name: METRICS[name] for name in config["metrics"] if name in METRICS}
    except ModelFormatError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ModelFormatError(f"the architecture does not describe a network: {said}") from None
    return model


def save(model: Sequential, path: str | Path) -> None:
    """Write a model, whole or not at all.

    Raises RuntimeError if it has no weights yet, TypeError for a layer of your own, which `load` would not know.
    """
    if model.input_shape is None:
        raise RuntimeError("the model is not built yet: give it an input_shape, or train it first")
    for _, member in model._paths():
        if type(member) not in ALLOWED.values():
            raise TypeError(f"{member.label} cannot be saved: a file holds tinycnn's own layers, {', '.join(ALLOWED)}")
    tensors = {key: np.ascontiguousarray(value) for key, value in _tensors(model).items()}
    architecture = json.dumps(to_config(model), sort_keys=True)
    header = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "architecture": architecture,
        "sha256": digest(architecture, tensors),
    }
    write_whole(path, to_bytes(tensors, header))


def load(path: str | Path) -> Sequential:
    """Read a model that `save` wrote.

    Raises FileNotFoundError if there is no such file, ModelFormatError if it is cut short, changed, of a newer format,
    or not a model at all; nothing in it is ever run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {path}")
    try:
        return _load(path)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def _load(path: Path) -> Sequential:
    header = read_header(path)
    entry = header.get("__metadata__")
    if not isinstance(entry, dict) or entry.get("format") != FORMAT:
        if isinstance(entry, dict) and entry.get("format") == "tinycnn training":
            raise ModelFormatError("this is the state of a training, not a model: model.fit(…, resume_from=…) reads it")
        raise ModelFormatError("this safetensors file is not a tinycnn model: its header does not say so")
    _check_version(entry.get("format_version"))
    config = read_json(str(entry.get("architecture")), "the architecture")
    entries = {k: v for k, v in header.items() if k != "__metadata__" and isinstance(v, dict)}
    shapes = {k: tuple(v["shape"]) if isinstance(v.get("shape"), list) else () for k, v in entries.items()}
    model = from_config(config, np.float64 if any(v.get("dtype") == "F64" for v in entries.values()) else np.float32)
    _check_names_and_shapes(model, shapes)
    _check_length(path, shapes)
    tensors = _read_tensors(path)
    if digest(str(entry["architecture"]), tensors) != entry.get("sha256"):
        raise ModelFormatError("the contents do not match their SHA-256: the file is damaged or was changed")
    for key, value in tensors.items():
        owner, _, name = key.rpartition(".")
        layer = model.layer(owner)
        assert layer.input_shape is not None
        (layer.buffers if name in layer.buffer_shapes(layer.input_shape) else layer.params)[name] = value
    return model


def _check_version(version: Any) -> None:
    if not isinstance(version, str) or not (version.isascii() and version.isdecimal()) or version.startswith("0"):
        raise ModelFormatError(f"its format version is {version!r}, which is no version")
    if len(version) > 9 or int(version) > VERSION:
        raise ModelFormatError(f"format version {version[:9]} is newer than {VERSION}, the newest this tinycnn reads")


def _check_length(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise for a file longer than its weights could fill, before it is read into memory."""
    longest = 8 + MAX_HEADER + 8 * sum(math.prod(shape) for shape in shapes.values())
    if path.stat().st_size > longest:
        raise ModelFormatError(f"the file has {path.stat().st_size:,} bytes, more than its weights call for")


def _check_sizes(value: Any, name: str) -> None:
    """Raise for an int, alone or in a list, that is larger than any network needs."""
    for number in value if isinstance(value, list | tuple) else (value,):
        if isinstance(number, int) and abs(number) > MAX_SIZE:
            raise ModelFormatError(f"{name} calls for a size of {number:.3g}, over the limit of {MAX_SIZE:,}")


def _entry(layer: Layer) -> dict[str, Any]:
    """A layer as plain JSON; what is inside it likewise."""
    options = {k: [_entry(one) for one in v] if k == "layers" else v for k, v in layer.config().items()}
    frozen = {} if layer.trainable else {"trainable": False}
    return {"class": type(layer).__name__, "name": layer.name, "options": options} | frozen


def _count(entries: list[dict[str, Any]]) -> int:
    """How many layers there are, with those inside others."""
    return sum(1 + _count(entry["options"].get("layers", [])) for entry in entries)


def _layer(entry: dict[str, Any]) -> Layer:
    kind = entry["class"]
    if kind not in ALLOWED:
        raise ModelFormatError(f"unknown layer {kind!r}; known are {', '.join(ALLOWED)}")
    for option, value in entry["options"].items():
        _check_sizes(value, f"{option} of {kind}")
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["options"].items()}
    if "layers" in options:
        options["layers"] = [_layer(inner) for inner in options["layers"]]
    layer = ALLOWED[kind](**options, name=entry["name"])
    if "trainable" in entry:
        layer.trainable = entry["trainable"]
    return layer


def _tensors(model: Sequential) -> dict[str, Array]:
    return model.named_params() | model.named_buffers()


def _expected(model: Sequential) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for path, layer in model._paths():
        if layer.input_shape is not None:
            arrays = layer.weights(layer.input_shape) | layer.buffer_shapes(layer.input_shape)
            found |= {f"{path}.{key}": shape for key, (shape, _) in arrays.items()}
    return found


def _check_names_and_shapes(model: Sequential, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise one error that lists every weight missing, left over or of the wrong shape."""
    expected = _expected(model)
    faults = [f"{key} is missing" for key in expected if key not in shapes]
    faults += [f"{key} belongs to no layer" for key in shapes if key not in expected]
    faults += [
        f"{key} has shape {shapes[key]}, the architecture calls for {shape}"
        for key, shape in expected.items()
        if key in shapes and shapes[key] != shape
    ]
    if faults:
        raise ModelFormatError("the weights do not fit the architecture: " + "; ".join(faults))


def _read_tensors(path: Path) -> dict[str, Array]:
    tensors = read_tensors(path)
    wrong = [f"{k} ({v.dtype})" for k, v in tensors.items() if v.dtype not in (np.float32, np.float64)]
    if wrong:
        raise ModelFormatError(f"weights must be float32 or float64: {', '.join(wrong)}")
    return tensors
