"""Explain one number of a layer's output: the formula, the cells it read, the numbers put in, and the result."""

from __future__ import annotations

import inspect
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn import backends, ops
from tinycnn.errors import ShapeError
from tinycnn.explanation.layout import equals, made_from, width, wrap
from tinycnn.formula import Formula
from tinycnn.formula.cell import Cell
from tinycnn.formula.numbers import formula_number
from tinycnn.layers.base import Array, Layer
from tinycnn.model import Residual, SkipConcat
from tinycnn.model.sequential import Sequential

Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # an op, its arguments and its options

HANDED_ON = Formula("handed_on", ("y = x",), shapes="x (...) -> y (...)")
ADDED = Formula("added", ("y = x + fx",), where="fx is f(x), what the layers inside make of x",
                shapes="x (...), fx (...) -> y (...)")  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """One cell of a layer's output, taken apart. `cell` has the terms, `value` is what the layer itself computed."""

    title: str
    formula: str
    cell: Cell
    value: float

    def __str__(self) -> str:
        columns = width()
        own = f"  = {formula_number(self.cell.value)}    the layer's own value: {formula_number(self.value)}"
        formula = [part for line in self.formula.splitlines() for part in wrap("  " + line, columns)]
        sums = [equals(self.cell, numbers, columns) for numbers in (False, True)]
        return "\n".join([self.title, *formula, *sums[0], *sums[1], own, *made_from(self.cell, columns)])

    def __repr__(self) -> str:
        return f"<explanation of {self.title.splitlines()[0]}>"


def explain(model: Sequential, x: Array, layer: str, index: tuple[int, ...]) -> Explanation:
    """Print how a layer came to one number of its output, with the numbers substituted, and return it taken apart.

    `x` is one example, or a batch of which the first is taken; `index` is the place in the layer's output without the
    batch: (filter, row, column), or (unit,). The network is run as in prediction.

    A layer inside another one goes by its path, `res1.conv1`. Raises KeyError if there is no such layer, IndexError
    if the place is outside its output, ValueError for a layer that only holds others, or that has no formula.

    >>> from tinycnn import Conv2D, Sequential
    >>> model = Sequential([Conv2D(1, 2)], input_shape=(1, 2, 2))
    >>> model.layers[0].params["w"][:] = [[[[1, 2], [3, 4]]]]
    >>> found = explain(model, np.array([[[0.0, 1.0], [0.5, 0.25]]], np.float32), layer="conv1", index=(0, 0, 0))
    Conv2D 'conv1': output [0, 0, 0]
      y[n,f,u,v] = b[f] + Σ[c,i,j] xp[n,c0+c,u·sv+i·dv,v·sh+j·dh]·w[f,c,ti,tj]
      = b[0]
        + xp[0,0,0,0]·w[0,0,0,0] + xp[0,0,0,1]·w[0,0,0,1]
        + xp[0,0,1,0]·w[0,0,1,0] + xp[0,0,1,1]·w[0,0,1,1]
      = 0
        + 0·1    + 1·2
        + 0.5·3  + 0.25·4
      = 4.5    the layer's own value: 4.5
    """
    found = _explain(model, x, layer, index)
    print(found)
    return found


def _explain(model: Sequential, x: Array, layer: str, index: tuple[int, ...]) -> Explanation:
    chosen = model.layer(layer)
    x = _one_example(model, x)
    if chosen.children() and not isinstance(chosen, Residual | SkipConcat):
        inside = [path for path in dict(model._paths()) if path.startswith(layer + ".")]
        raise ValueError(f"{chosen.label} is made of layers: explain one of those, {', '.join(inside)}")
    with model._lock:
        x, y, calls, inner = _watch(model, chosen, x)
    index = tuple(map(operator.index, index if isinstance(index, tuple | list) else (index,)))
    if len(index) != y.ndim - 1 or any(not 0 <= i < size for i, size in zip(index, y.shape[1:], strict=False)):
        raise IndexError(f"{chosen.label} gives {y.shape[1:]} for an example; index {index} is no place in it")
    if isinstance(chosen, Residual):
        entry, values = ADDED, {"x": x, "fx": inner}
    elif len(calls) == 1 or isinstance(chosen, SkipConcat):  # of which the last call is its own
        entry, values = formula_and_values(calls[-1])
    elif not calls and y is x:
        entry, values = HANDED_ON, {"x": x}
    else:
        raise ValueError(f"{chosen.label} makes {len(calls)} calls of ops, so no one formula explains it")
    cell = entry.terms((0, *index), **values)
    return Explanation(f"{chosen.label}: output {list(index)}", entry.text, cell, float(y[(0, *index)]))


def formula_and_values(call: Call) -> tuple[Formula, dict[str, Any]]:
    """The formula of an op that was called, and what it was called with by the names of the formula."""
    op, args, options = call
    forward = getattr(ops, op)
    bound = inspect.signature(forward).bind(*args, **options)
    bound.apply_defaults()
    values = dict(bound.arguments)
    if op == "flatten_forward" and values["x"].ndim != 4:  # its formula shows images; others are counted through
        return ops.reshape_forward.formula, values | {"shape": (-1,)}  # type: ignore[attr-defined]
    return forward.formula, values


def _one_example(model: Sequential, x: Array) -> Array:
    x = np.asarray(x)
    if x.shape == model.input_shape:
        x = x[None]
    if model.input_shape is None or x.shape[1:] != model.input_shape or len(x) == 0:
        raise ShapeError(f"explain takes one example of shape {model.input_shape}, or a batch of them, got {x.shape}")
    return x[:1].astype(model.dtype)


def _watch(model: Sequential, chosen: Layer, x: Array) -> tuple[Array, Array, list[Call], Any]:
    """Run the network and watch one of its layers, wherever it stands.

    Returns its input, its output, the calls that it made, and what the layers inside it gave, if there are any.
    """
    seen: dict[str, Any] = {}
    inner = getattr(chosen, "inner", chosen)
    forward, inner_forward = chosen.forward, inner.forward
    with backends.recording() as recorder:

        def watched(x: Array, train: bool = False) -> Array:
            recorder.calls.clear()
            y = forward(x, train)
            seen.update(x=x, y=y, calls=list(recorder.calls))
            return y

        def watched_inside(x: Array, train: bool = False) -> Array:
            seen["inner"] = inner_forward(x, train)
            return seen["inner"]

        if inner is not chosen:
            vars(inner)["forward"] = watched_inside
        vars(chosen)["forward"] = watched
        try:
            model.forward(x)
        finally:
            del vars(chosen)["forward"]
            vars(inner).pop("forward", None)
    return seen["x"], seen["y"], seen["calls"], seen.get("inner")
