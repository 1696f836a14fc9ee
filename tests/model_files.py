"""Take a model file apart, change it, and put it together again with a digest that matches: a careful forger's tool."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from tinycnn.tensorfile import digest

Change = Callable[[dict[str, Any]], Any]


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows it."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: dict[str, Any] | str, body: bytes) -> bytes:
    """The file of a header and what follows it."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + body


def forged(data: bytes, architecture: Change | str = lambda a: None, header: Change = lambda h: None,
           tensors: Callable[[dict[str, np.ndarray]], Any] = lambda t: None) -> bytes:  # fmt: skip
    """The file with its architecture, weights and header changed in place, in that order, and signed anew."""
    entry = split(data)[0]["__metadata__"]
    arrays = load(data)
    tensors(arrays)
    if isinstance(architecture, str):
        text = architecture
    else:
        config = json.loads(entry["architecture"])
        architecture(config)
        text = json.dumps(config)
    entry |= {"architecture": text, "sha256": digest(text, arrays)}
    made = save({key: np.ascontiguousarray(a) for key, a in arrays.items()}, metadata=entry)
    found, body = split(made)
    header(found)
    return join(found, body)


def write(path: Path, data: bytes) -> Path:
    """The path, once these bytes are in it."""
    path.write_bytes(data)
    return path
