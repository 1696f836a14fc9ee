"""Explain one number of a layer's output: the formula, the cells it read, the numbers put in, and the result."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn import backends, ops
from tinycnn.errors import ShapeError
from tinycnn.formula.cell import Cell, show_number
from tinycnn.layers.base import Array, Layer
from tinycnn.model.sequential import Sequential


@dataclass(frozen=True)
class Explanation:
    """One cell of a layer's output, taken apart. `cell` has the terms, `value` is what the layer itself computed."""

    title: str
    formula: str
    cell: Cell
    value: float

    def __str__(self) -> str:
        return "\n".join(
            [
                self.title,
                *("  " + line for line in self.formula.splitlines()),
                "  = " + self.cell.text(numbers=False),
                "  = " + self.cell.text(numbers=True),
                f"  = {_plain(self.cell.value)}    the layer's own value: {_plain(self.value)}",
            ]
        )

    def __repr__(self) -> str:
        return f"<explanation of {self.title.splitlines()[0]}>"


def _plain(value: float) -> str:
    return show_number(value).strip("()")


def explain(model: Sequential, x: Array, layer: str, index: tuple[int, ...]) -> Explanation:
    """Print how a layer came to one number of its output, with the numbers substituted, and return it taken apart.

    `x` is one example, or a batch of which the first is taken; `index` is the place in the layer's output without the
    batch: (filter, row, column), or (unit,).

    A layer inside another one goes by its path, `res1.conv1`. Raises KeyError if there is no such layer, IndexError
    if the place is outside its output, ValueError for a layer that is made of others.

    >>> from tinycnn import Conv2D, Sequential
    >>> model = Sequential([Conv2D(1, 2)], input_shape=(1, 2, 2))
    >>> model.layers[0].params["w"][:] = [[[[1, 2], [3, 4]]]]
    >>> found = explain(model, np.array([[[0.0, 1.0], [0.5, 0.25]]], np.float32), layer="conv1", index=(0, 0, 0))
    Conv2D 'conv1': output [0, 0, 0]
      y[n,f,u,v] = b[f] + Σ[c,i,j] xp[n,c0+c,u·sv+i·dv,v·sh+j·dh]·w[f,c,ti,tj]
      = b[0] + xp[0,0,0,0]·w[0,0,0,0] + xp[0,0,0,1]·w[0,0,0,1] + xp[0,0,1,0]·w[0,0,1,0] + xp[0,0,1,1]·w[0,0,1,1]
      = 0 + 0·1 + 1·2 + 0.5·3 + 0.25·4
      = 4.5    the layer's own value: 4.5
    """
    found = _explain(model, x, layer, index)
    print(found)
    return found


def _explain(model: Sequential, x: Array, layer: str, index: tuple[int, ...]) -> Explanation:
    chosen = model.layer(layer)
    x = _one_example(model, x)
    if chosen.children():
        inside = [path for path in dict(model._paths()) if path.startswith(layer + ".")]
        raise ValueError(f"{chosen.label} is made of layers: explain one of those, {', '.join(inside)}")
    with model._lock:
        y, calls = _watch(model, chosen, x)
    if not calls:
        raise ValueError(f"{chosen.label} hands on what it is given, number by number, outside of training")
    index = tuple(int(i) for i in (index if isinstance(index, tuple | list) else (index,)))
    if len(index) != y.ndim - 1 or any(not 0 <= i < size for i, size in zip(index, y.shape[1:], strict=False)):
        raise IndexError(f"{chosen.label} gives {y.shape[1:]} for an example; index {index} is no place in it")
    op, args, options = calls[0]
    forward = getattr(ops, op)
    bound = inspect.signature(forward).bind(*args, **options)
    bound.apply_defaults()
    entry = forward.formula
    cell = entry.terms((0, *index), **bound.arguments)
    return Explanation(f"{chosen.label}: output {list(index)}", entry.text, cell, float(y[(0, *index)]))


def _one_example(model: Sequential, x: Array) -> Array:
    x = np.asarray(x)
    if x.shape == model.input_shape:
        x = x[None]
    if model.input_shape is None or x.shape[1:] != model.input_shape or len(x) == 0:
        raise ShapeError(f"explain takes one example of shape {model.input_shape}, or a batch of them, got {x.shape}")
    return x[:1].astype(model.dtype)


def _watch(model: Sequential, chosen: Layer, x: Array) -> tuple[Array, list[Any]]:
    """Run the network; returns the output of one of its layers, wherever it stands, and the calls that layer made."""
    seen: list[Any] = []
    forward = chosen.forward
    with backends.recording() as recorder:

        def watched(x: Array, train: bool = False) -> Array:
            recorder.calls.clear()
            y = forward(x, train)
            seen[:] = y, list(recorder.calls)
            return y

        vars(chosen)["forward"] = watched
        try:
            model.forward(x)
        finally:
            del vars(chosen)["forward"]
    return seen[0], seen[1]
