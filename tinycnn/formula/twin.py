"""The literal twin of an op: the same call and the same results, computed by walking the formula's loops."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def literal_twin(forward: Callable, backward: Callable) -> tuple[Callable, Callable]:
    """From a pair of ops with declared formulas, the pair that evaluates those formulas and nothing else.

    The twin's cache is simply what its forward was called with. Slow: for tests, small pictures and lessons.
    """
    signature = inspect.signature(forward)

    def twin_forward(*args: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        return forward.formula.evaluate(**bound.arguments), bound.arguments  # type: ignore[attr-defined]

    def twin_backward(dy: Any, cache: dict[str, Any]) -> Any:
        formula = backward.formula  # type: ignore[attr-defined]
        results = formula.evaluate(dy=dy, **cache)
        if len(formula.results) == 1:
            return results
        absent = [cache.get(name[1:], 0) is None for name in formula.results]  # no bias, no gradient of it
        return tuple(None if gone else result for gone, result in zip(absent, results, strict=True))

    twin_forward.__name__, twin_backward.__name__ = forward.__name__, backward.__name__
    return twin_forward, twin_backward
