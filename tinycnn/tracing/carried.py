"""An array of a trace as JSON carries it: base64 of its numbers, or how it is made of other arrays."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinycnn.tracing.store import Stored
from tinycnn.tracing.worked import worked

Array = np.ndarray


class _MadeError(ValueError):
    """Says of one array of a file, once, why it cannot be worked out of the others."""


def encoded(stored: Stored, most: int, made: list[Any] | None = None) -> dict[str, Any]:
    """An array as JSON, of more than `most` numbers the first so many; or, in its place, how it is `made` of others."""
    array, first = stored.array, stored.first
    entry = {"shape": list(stored.shape), "dtype": array.dtype.name, "role": stored.role}
    if made is not None:
        return entry | {"made": made}
    if array.size > most:
        array, first = array.ravel()[:most], most
    if array.dtype == np.int64:
        fits = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
        array = array.astype(np.int32 if fits else np.float64)
        entry["dtype"] = array.dtype.name
    entry["data"] = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")
    return entry if first is None else entry | {"first": int(first)}


def decoded(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Stored]:
    """All arrays as JSON carries them, or worked out of each other; raises ValueError for what is neither."""
    found: dict[str, Stored] = {}
    begun: set[str] = set()

    def array_of(name: str) -> Array:
        if name not in found:
            found[name] = _read(entries[name]) if "made" not in entries[name] else worked_out(name)
        return found[name].array

    def worked_out(name: str) -> Stored:
        if name in begun:
            raise _MadeError(f"array {name} of the trace is made of itself")
        begun.add(name)
        try:
            return _checked(np.asarray(worked(entries[name]["made"], array_of)), entries[name])
        except _MadeError:
            raise
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _MadeError(f"array {name} of the trace cannot be worked out: {error!r}") from None

    for name in entries:
        array_of(name)
    return {name: found[name] for name in entries}


def _read(entry: Mapping[str, Any]) -> Stored:
    dtype = {"float32": "<f4", "float64": "<f8", "int32": "<i4"}.get(entry["dtype"])
    if dtype is None:
        raise ValueError(f"an array of the trace has the type {entry['dtype']!r}: it may be float32, float64 or int32")
    array = np.frombuffer(base64.b64decode(entry["data"]), dtype)
    return _checked(array.astype(np.int64 if entry["dtype"] == "int32" else entry["dtype"]), entry)


def _checked(array: Array, entry: Mapping[str, Any]) -> Stored:
    shape, first = tuple(entry["shape"]), entry.get("first")
    if array.size != (math.prod(shape) if first is None else first):
        raise ValueError(f"an array of the trace has {array.size} numbers, and shape {shape}")
    array = array.reshape(shape) if first is None else array
    array.flags.writeable = False
    return Stored(array, shape, entry["role"], first)
