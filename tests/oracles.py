"""What tests compare with, and how close is close: helpers that know the tolerance and say what differed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn.formula import literal_twin
from tinycnn.verify import GradientReport, check_gradient

EXACT = 1e-12  # float64, relative: what a different order of the same additions may cost


def inner(a: Any, b: Any) -> float:
    """The inner product of two arrays of the same shape: ⟨a, b⟩ = Σ a·b, without a conjugate."""
    assert np.shape(a) == np.shape(b), f"inner product of {np.shape(a)} with {np.shape(b)}"
    return (np.asarray(a) * np.asarray(b)).sum()


def assert_same(a: Any, b: Any, terms: Any = None, tol: float = EXACT, what: str = "") -> None:
    """`a` equals `b` up to `tol`, relative to `terms`: the sum of the absolute products behind each entry.

    Without `terms`, relative to the largest entry. An entry whose terms are 0 must be equal; NaN equals NaN, and an
    infinity equals itself.
    """
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, f"{what} shapes differ: {a.shape} and {b.shape}".strip()
    if a.size == 0:
        return
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        finite = np.isfinite(b)
        largest = np.abs(b[finite]).max(initial=0.0)
        scale = np.broadcast_to(largest if terms is None else np.abs(np.asarray(terms)), a.shape)
        allowed = np.where(finite, tol * scale, 0.0)
        difference = np.where(same, 0.0, np.abs(a - b))
    wrong = ~(difference <= allowed)
    if wrong.any():
        excess = np.where(wrong, np.nan_to_num(difference, nan=np.inf), -1.0)
        at = tuple(map(int, np.unravel_index(np.argmax(excess), a.shape)))
        raise AssertionError(
            f"{what} {int(wrong.sum())} of {a.size} entries differ; the worst at {list(at)}: {a[at]!r} and {b[at]!r}, "
            f"{difference[at]:.3g} apart where {allowed[at]:.3g} is allowed".strip()
        )


def assert_all_same(ours: Any, theirs: Any, names: Any, tol: float = EXACT) -> None:
    """Gradient by gradient, where both may be None (no bias, no gradient of it)."""
    for name, a, b in zip(names, ours, theirs, strict=True):
        assert (a is None) == (b is None), f"{name}: one side has a gradient, the other has not"
        if a is not None:
            assert_same(a, b, tol=tol, what=f"gradient of {name}:")


def assert_is_its_formula(forward: Callable, backward: Callable, args: Any, options: Any, seed: int = 3) -> None:
    """A pair gives what its declared formulas give when they are walked literally, under a random, signed dy."""
    literal_forward, literal_backward = literal_twin(forward, backward)
    y, cache = forward(*args, **options)
    y2, cache2 = literal_forward(*args, **options)
    assert_same(y, y2, what="y:")
    dy = np.random.default_rng(seed).normal(size=np.shape(y))
    ours, literal = backward(dy, cache), literal_backward(dy, cache2)
    several = isinstance(ours, tuple)
    names = backward.formula.results  # type: ignore[attr-defined]
    assert_all_same(ours if several else (ours,), literal if several else (literal,), names)


def gradient_report(
    forward: Callable, backward: Callable, args: Any, options: Any, positions: Any = (0,), seed: int = 3, **about: Any
) -> GradientReport:
    """Hold a pair's backward to the complex step through its forward, under a random, signed dy."""
    y, _ = forward(*args, **options)
    dy = np.random.default_rng(seed).normal(size=np.shape(y))
    dy = dy if dy.ndim else dy[()]
    present = [p for p in positions if args[p] is not None]

    def value_and_gradients(*arrays: np.ndarray) -> tuple[Any, list[Any]]:
        given = list(args)
        for position, array in zip(present, arrays, strict=True):
            given[position] = array
        y, cache = forward(*given, **options)
        found = backward(dy, cache)
        found = found if isinstance(found, tuple) else (found,)
        assert len(found) == len(positions), f"backward returned {len(found)} gradients, expected {len(positions)}"
        return (y * dy).sum(), [g for p, g in zip(positions, found, strict=True) if p in present]

    names = [f"argument {p}" for p in present]
    return check_gradient(value_and_gradients, *(args[p] for p in present), names=names, seed=seed, **about)


def assert_gradients(forward: Callable, backward: Callable, *args: Any, positions: Any = (0,), **options: Any) -> None:
    """The gradients of a pair pass the complex step at 1e-12."""
    report = gradient_report(forward, backward, args, options, positions)
    assert report.passed, f"\n{report}"
