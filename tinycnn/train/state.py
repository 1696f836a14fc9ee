"""The state of a training, all that the steps to come depend on, as one file that is written whole or not at all.

A state is dictionaries and lists, with numbers, text and arrays in them. In the file the arrays are safetensors, and
the rest is JSON in its header, which says where each array belongs; nothing in it is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.errors import ModelFormatError
from tinycnn.files import write_whole
from tinycnn.tensorfile import digest, read_header, read_json, read_tensors, to_bytes

Array = np.ndarray
FORMAT, VERSION = "tinycnn training", "1"
ARRAY = "array of this name"  # the one key of what stands in the JSON for an array


def save_state(state: dict[str, Any], path: str | Path) -> None:
    """Write a state, whole or not at all; raises OSError if the folder cannot be written or the disk is full.

    Raises TypeError for what the file could not give back as it was; a tuple comes back as a list.
    """
    tensors: dict[str, Array] = {}
    text = json.dumps(_without_arrays(state, "", tensors))
    entries = {"format": FORMAT, "format_version": VERSION, "state": text, "sha256": digest(text, tensors)}
    write_whole(path, to_bytes(tensors, entries))


def check_state(state: Any, name: str) -> None:
    """Raise TypeError, which says where in the state of this name it is, for what no file could give back."""
    _without_arrays(state, name, {})


def load_state(path: str | Path) -> dict[str, Any]:
    """Read what `save_state` wrote, to the same bits.

    Raises FileNotFoundError if there is no such file, ModelFormatError if it is cut short, changed, of a newer format
    or no state of a training.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no training to resume from: there is no file {path}")
    try:
        entry = read_header(path).get("__metadata__")
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            known = isinstance(entry, dict) and entry.get("format") == "tinycnn"
            what = "it is a model (tinycnn.load reads it)" if known else "its header does not say that it is one"
            raise ModelFormatError(f"not the state of a training: {what}")
        if entry.get("format_version") != VERSION:
            raise ModelFormatError(f"format version {entry.get('format_version')!r}; this tinycnn reads {VERSION}")
        text, tensors = str(entry.get("state")), read_tensors(path)
        if digest(text, tensors) != entry.get("sha256"):
            raise ModelFormatError("the contents do not match their SHA-256: the file is damaged or was changed")
        return _with_arrays(read_json(text, "the state", nan=True), tensors)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def _without_arrays(value: Any, path: str, tensors: dict[str, Array]) -> Any:
    """The same as plain JSON; its arrays go into `tensors` by their path."""
    if isinstance(value, np.ndarray) and value.ndim:
        if path in tensors:
            raise ValueError(f"two arrays of the state would be called {path!r}")
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise _not_kept(path, f"an array of {value.dtype}")
        tensors[path] = value.astype(value.dtype.newbyteorder("="), copy=False)  # the file knows one order of bytes
        return {ARRAY: path}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == ARRAY:
                raise _not_kept(path, f"a dictionary with the key {key!r}")
        return {k: _without_arrays(v, f"{path}/{k}" if path else k, tensors) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(v, f"{path}/{k}", tensors) for k, v in enumerate(value)]
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise _not_kept(path, f"a {type(value).__name__}")


def _not_kept(path: str, what: str) -> TypeError:
    return TypeError(
        f"{path} is {what}, which a checkpoint cannot keep: a state is numbers, text, None, arrays of numbers, and "
        "lists and dictionaries (with text for keys) of these"
    )


def _with_arrays(value: Any, tensors: dict[str, Array]) -> Any:
    """The same with its arrays in their places."""
    if isinstance(value, dict) and value.keys() == {ARRAY}:
        return tensors[value[ARRAY]]
    if isinstance(value, dict):
        return {k: _with_arrays(v, tensors) for k, v in value.items()}
    return [_with_arrays(v, tensors) for v in value] if isinstance(value, list) else value
