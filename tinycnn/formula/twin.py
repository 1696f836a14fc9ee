"""The twins of an op: the same call and the same results, computed by the formula's loops alone, walked or compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn.formula.compiled import compiled, is_covered
from tinycnn.formula.declare import Formula

Pair = tuple[Callable, Callable]


def literal_twin(forward: Callable, backward: Callable) -> Pair:
    """From a pair of ops with declared formulas, the pair that evaluates those formulas and nothing else.

    The twin's cache is simply what its forward was called with. Slow: for tests, small pictures and lessons.
    """
    return _twin(forward, backward, forward.formula, backward.formula)  # type: ignore[attr-defined]


def compiled_twin(forward: Callable, backward: Callable) -> Pair:
    """The literal twin with its loops compiled by Numba.

    It covers real numbers. Complex ones are served by the ops themselves, whose own cache then asks for their backward.
    """
    formulas = compiled(forward.formula), compiled(backward.formula)  # type: ignore[attr-defined]
    looped_forward, looped_backward = _twin(forward, backward, *formulas)

    def twin_forward(*args: Any, **options: Any) -> tuple[Any, Any]:
        arrays = (a for a in (*args, *options.values()) if isinstance(a, np.ndarray))
        return (looped_forward if all(map(is_covered, arrays)) else forward)(*args, **options)

    def twin_backward(dy: Any, cache: Any) -> Any:
        return (looped_backward if isinstance(cache, dict) else backward)(dy, cache)

    return _named(twin_forward, twin_backward, forward, backward)


def _twin(forward: Callable, backward: Callable, formula: Formula, transpose: Formula) -> Pair:
    signature = inspect.signature(forward)

    learned = [name.removeprefix("d") for name in transpose.results]  # x, w, b, of dx, dw, db

    def kept(result: Any, cache: dict[str, Any], *dy: Any) -> Any:
        """The result in the type of what is learned: targets come in another, and do not widen it."""
        arrays = [a for a in (*map(cache.get, learned), *dy) if isinstance(a, np.ndarray)]
        wanted = np.result_type(*arrays) if arrays else result.dtype
        return result.astype(wanted, copy=False) if wanted.kind == result.dtype.kind else result

    def twin_forward(*args: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        return kept(formula.evaluate(**bound.arguments), bound.arguments), bound.arguments

    def twin_backward(dy: Any, cache: dict[str, Any]) -> Any:
        results = transpose.evaluate(dy=dy, **cache)
        if len(transpose.results) == 1:
            return kept(results, cache, dy)
        results = [kept(result, cache, dy) for result in results]
        absent = [cache.get(name[1:], 0) is None for name in transpose.results]  # no bias, no gradient of it
        return tuple(None if gone else result for gone, result in zip(absent, results, strict=True))

    return _named(twin_forward, twin_backward, forward, backward)


def _named(twin_forward: Callable, twin_backward: Callable, forward: Callable, backward: Callable) -> Pair:
    twin_forward.__name__, twin_backward.__name__ = forward.__name__, backward.__name__
    return twin_forward, twin_backward
