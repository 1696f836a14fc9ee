"""What crosses the pipe to a student's process and back: JSON, and the raw bytes of arrays, every size checked.

Nothing that could run is ever read from the other side: no pickle, no object arrays. A message is the length of its
text, the text, and then the arrays that the text counts up, one behind the other. This file imports nothing of ours,
since the child reads it before anything else.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np

LARGEST = 16 * 2**20  # bytes of one message
_KINDS = "biufc"


class WireError(ValueError):
    """A message that is none."""


def pack(value: Any) -> bytes:
    """A tree of dicts, lists, tuples, words, numbers, arrays and random generators as bytes.

    >>> unpack(pack({"x": np.ones((1, 2)), "stride": (1, 2), "name": None}))
    {'x': array([[1., 1.]]), 'stride': (1, 2), 'name': None}
    """
    blobs: list[bytes] = []
    text = json.dumps(_down(value, blobs)).encode()
    return struct.pack("<I", len(text)) + text + b"".join(blobs)


def unpack(data: bytes) -> Any:
    """The tree again; raises WireError for anything that `pack` did not make."""
    try:
        (length,) = struct.unpack_from("<I", data)
        if length > len(data) - 4:
            raise WireError("the text is cut off")
        reader = _Reader(data, 4 + length)
        value = reader.up(json.loads(data[4 : 4 + length].decode()))
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError(f"no message: {error}") from None
    if reader.at != len(data):
        raise WireError(f"{len(data) - reader.at} bytes too many")
    return value


def _down(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS and value.ndim <= 8:
        plain = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        blobs.append(plain.tobytes())
        return {"array": plain.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return _down(np.asarray(value), blobs) | {"number": True}
    if isinstance(value, np.random.Generator):
        return {"generator": value.bit_generator.state}
    if isinstance(value, dict):
        return {"dict": {str(k): _down(v, blobs) for k, v in value.items()}}
    if isinstance(value, tuple):
        return {"tuple": [_down(v, blobs) for v in value]}
    if isinstance(value, list):
        return [_down(v, blobs) for v in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    raise WireError(f"a {type(value).__name__} cannot be sent")


class _Reader:
    """Takes the arrays off the end of a message, one after the other."""

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at

    def up(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.up(v) for v in value]
        if not isinstance(value, dict):
            return value
        if "array" in value:
            array = self.array(value["array"], value["shape"])
            return array[()] if value.get("number") else array
        if "generator" in value:
            generator = np.random.default_rng(0)
            generator.bit_generator.state = value["generator"]
            return generator
        if "tuple" in value:
            return tuple(self.up(v) for v in value["tuple"])
        return float(value["float"]) if "float" in value else {k: self.up(v) for k, v in value["dict"].items()}

    def array(self, kind: Any, shape: Any) -> np.ndarray:
        dtype = np.dtype(kind) if isinstance(kind, str) and len(kind) <= 4 else np.dtype(object)
        if dtype.kind not in _KINDS or len(shape) > 8 or not all(type(s) is int and 0 <= s < 2**31 for s in shape):
            raise WireError(f"no array of {kind!r} and shape {shape!r}")
        size = math.prod(shape) * dtype.itemsize
        if size > len(self.data) - self.at:
            raise WireError(f"an array of {size} bytes, and {len(self.data) - self.at} are left")
        array = np.frombuffer(self.data, dtype, math.prod(shape), self.at).reshape(shape)
        self.at += size
        return array.astype(dtype.newbyteorder("="))
