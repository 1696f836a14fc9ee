"""A file of named arrays (safetensors) with text in its header: what models and the states of training are kept in.

Nothing in such a file is ever run. A SHA-256 over text and arrays shows a changed bit; sizes are bounded before
anything is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.errors import ModelFormatError

Array = np.ndarray
MAX_HEADER = 16 * 1024 * 1024


def to_bytes(tensors: Mapping[str, Array], entries: Mapping[str, str]) -> bytes:
    """The file's bytes: the same for the same arrays and entries.

    >>> data = to_bytes({"w": np.ones(2, np.float32)}, {"format": "test"})
    >>> len(data) - 8 - int.from_bytes(data[:8], "little")    # two float32
    8
    """
    from safetensors.numpy import save

    return _in_order(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, metadata=dict(entries)))


def _in_order(data: bytes) -> bytes:
    """The same file with its header's keys sorted: the library leaves them to chance, and equal models differ."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # the weights begin at a multiple of 8
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def digest(text: str, tensors: Mapping[str, Array]) -> str:
    """SHA-256 over a text and every array's name, type, shape and bytes, in order of name."""
    found = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        value = np.ascontiguousarray(tensors[key])
        found.update(f"{key} {value.dtype.str} {value.shape}".encode())
        found.update(value.tobytes())
    return found.hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, with bounds on its size before it is read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(MAX_HEADER, size - 8):
            raise ModelFormatError("not a safetensors file, or cut short: its header does not fit into it")
        text = file.read(length)
    try:
        header = read_json(text.decode(), "the header")
    except UnicodeDecodeError:
        raise ModelFormatError("not a safetensors file: its header is not text") from None
    return header


def read_json(text: str, what: str, nan: bool = False) -> dict[str, Any]:
    """A JSON object without a key twice; NaN only where it may be."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [k for k, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ModelFormatError(f"{what} names {next(k for k in keys if keys.count(k) > 1)!r} twice")
        return dict(pairs)

    def number(constant: str) -> float:
        if constant == "NaN" and not nan:
            raise ValueError("NaN")
        return float(constant)  # Infinity: a border of −∞ is one

    try:
        found = json.loads(text, object_pairs_hook=unique, parse_constant=number)
    except ModelFormatError:
        raise
    except (ValueError, RecursionError):
        raise ModelFormatError(f"{what} is not the JSON it should be") from None
    if not isinstance(found, dict):
        raise ModelFormatError(f"{what} is not a JSON object")
    return found


def read_tensors(path: Path) -> dict[str, Array]:
    """Every array of the file, by name."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"the weights cannot be read: {error}") from None
